package main

import (
	"bytes"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/berth-sh/berth/cmd/berth-helm/internal/wire"
)

// kubeconfig names a cluster at an address.
func kubeconfig(t *testing.T, server string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kubeconfig")
	text := "apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts: [{name: c, context: {cluster: c, user: u}}]\n" +
		"clusters: [{name: c, cluster: {server: \"" + server + "\"}}]\nusers: [{name: u, user: {}}]\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestUnreachableClusters(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := "http://" + ln.Addr().String()
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	for _, verb := range []wire.Verb{wire.Deploy, wire.Deployed} {
		r := request(t, verb, "dev")
		r.Cluster.Kubeconfig = kubeconfig(t, closed)
		a := ask(t, r)
		if a.Fault == nil || a.Fault.Code != codeFailed || !strings.Contains(a.Fault.Subject, closed) || a.Fault.Next == "" {
			t.Errorf("%s: %+v", verb, a.Fault)
		}
		r.Cluster.Kubeconfig = filepath.Join(t.TempDir(), "missing")
		if a := ask(t, r); a.Fault == nil || a.Fault.Code != codeUsage {
			t.Errorf("%s without a kubeconfig: %+v", verb, a.Fault)
		}
		r.Cluster = wire.Cluster{Kubeconfig: kubeconfig(t, closed), Context: "nope"}
		if a := ask(t, r); a.Fault == nil || a.Fault.Code != codeUsage || !strings.Contains(a.Fault.Message, "nope") {
			t.Errorf("%s in an unknown context: %+v", verb, a.Fault)
		}
	}
}

func waiting(name, image, reason, message string) corev1.ContainerStatus {
	return corev1.ContainerStatus{Name: name, Image: image, State: corev1.ContainerState{
		Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message},
	}}
}

// TestReasons: what a pod says of itself becomes what a person needs to know.
func TestReasons(t *testing.T) {
	t.Parallel()
	const image = "ghcr.io/acme/web:v1"
	why := `Failed to pull image "` + image + `": unexpected status from HEAD request: 401 Unauthorized`
	crash := waiting("web", "ghcr.io/acme/web:latest", "CrashLoopBackOff", "back-off")
	crash.LastTerminationState.Terminated = &corev1.ContainerStateTerminated{ExitCode: 2, Reason: "Error", Message: "no config\n"}
	for name, tt := range map[string]struct {
		status corev1.PodStatus
		event  string
		want   []string
	}{
		"pull refused": {
			corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{waiting("web", image, "ImagePullBackOff", "Back-off")}},
			why,
			[]string{"pod p, container web: ImagePullBackOff " + image + ": " + why},
		},
		"pull refused, event gone": {
			corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{waiting("web", image, "ErrImagePull", "401")}},
			"",
			[]string{"pod p, container web: ErrImagePull " + image + ": 401"},
		},
		"another image's event": {
			corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{waiting("web", image, "ErrImagePull", "401")}},
			`Failed to pull image "x": 500`,
			[]string{"pod p, container web: ErrImagePull " + image + ": 401"},
		},
		"crash": {
			corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{crash}},
			"",
			[]string{"pod p, container web: CrashLoopBackOff " + image + ": ended with exit code 2 (Error): no config"},
		},
		"init container": {
			corev1.PodStatus{InitContainerStatuses: []corev1.ContainerStatus{{Name: "i", State: corev1.ContainerState{
				Terminated: &corev1.ContainerStateTerminated{ExitCode: 1, Reason: "Error"},
			}}}}, "", []string{"pod p, container i: ended with exit code 1 (Error)"},
		},
		"no room": {
			corev1.PodStatus{Conditions: []corev1.PodCondition{{
				Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable", Message: "0/1 nodes",
			}}}, "", []string{"pod p: Unschedulable: 0/1 nodes"},
		},
		"starting": {
			corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{waiting("web", image, "ContainerCreating", "")}}, "", nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := fake.NewClientset(
				&corev1.Pod{
					ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "n", Labels: map[string]string{instanceLabel: "r"}},
					Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Image: image}}},
					Status:     tt.status,
				},
				&corev1.Event{
					ObjectMeta: metav1.ObjectMeta{Name: "e", Namespace: "n"}, Message: tt.event, Type: "Warning", Reason: "Failed",
					InvolvedObject: corev1.ObjectReference{Name: "p"},
				})
			var out bytes.Buffer
			w := &watcher{client: client, namespace: "n", release: "r", tell: (&teller{out: &out}).tell}
			w.told, w.wrong = map[string]string{}, map[string]map[string]string{}
			w.look(t.Context())
			w.look(t.Context())
			if diff := cmp.Diff(tt.want, w.problems()); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
			var told []string
			for line := range strings.Lines(out.String()) {
				var e wire.Event
				if err := json.Unmarshal([]byte(line), &e); err != nil {
					t.Fatal(err)
				}
				told = append(told, e.Subject)
			}
			if len(told) != len(tt.want)+1 {
				t.Errorf("told %v: each problem and the count, once", told)
			}
		})
	}
}

// TestProblemsOfPodsThatWereRolledBack: what was wrong is told after the pods are gone, and no longer when they recover.
func TestProblemsOfPodsThatWereRolledBack(t *testing.T) {
	t.Parallel()
	pod := func(name string, s corev1.ContainerStatus) *corev1.Pod {
		return &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "n", Labels: map[string]string{instanceLabel: "r"}},
			Status:     corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{s}},
		}
	}
	running := corev1.ContainerStatus{Name: "web", Ready: true}
	crashed := corev1.ContainerStatus{Name: "web", State: corev1.ContainerState{
		Terminated: &corev1.ContainerStateTerminated{ExitCode: 2, Reason: "Error"},
	}}
	client := fake.NewClientset(pod("old", running), pod("recovers", crashed), pod("new", crashed), pod("ends", crashed))
	pods := client.CoreV1().Pods("n")
	w := &watcher{client: client, namespace: "n", release: "r", tell: func(string, string, ...any) {}}
	w.told, w.wrong = map[string]string{}, map[string]map[string]string{}
	w.look(t.Context())

	ending := pod("ends", running)
	ending.DeletionTimestamp = &metav1.Time{Time: time.Unix(1, 0)}
	for _, changed := range []*corev1.Pod{pod("recovers", running), ending} {
		if _, err := pods.Update(t.Context(), changed, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := pods.Delete(t.Context(), "new", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	w.look(t.Context())
	want := []string{
		"pod ends, container web: ended with exit code 2 (Error)", "pod new, container web: ended with exit code 2 (Error)",
	}
	if diff := cmp.Diff(want, w.problems()); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
}
