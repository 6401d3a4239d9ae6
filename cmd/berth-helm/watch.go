package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// interval is the time between two looks at the pods.
const interval = time.Second

// instanceLabel is on the pods of every chart that follows Helm's conventions.
// Source: https://helm.sh/docs/chart_best_practices/labels/
const instanceLabel = "app.kubernetes.io/instance"

// watcher looks at the pods of a release while Helm waits for them, tells what changes, and remembers what is wrong:
// after a rollback, nobody could ask the pods any more.
type watcher struct {
	client    kubernetes.Interface
	namespace string
	release   string
	tell      func(subject, format string, args ...any)

	mu    sync.Mutex
	told  map[string]string
	wrong map[string]map[string]string // by pod, and in it by container
}

// start watches until the returned function is called, which waits for the last look.
func (w *watcher) start(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	w.told, w.wrong = map[string]string{}, map[string]map[string]string{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for {
			w.look(ctx)
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

func (w *watcher) look(ctx context.Context) {
	pods, err := w.client.CoreV1().Pods(w.namespace).List(ctx, metav1.ListOptions{
		LabelSelector: instanceLabel + "=" + w.release,
	})
	if err != nil {
		return // Helm itself says when the cluster is gone
	}
	ready := 0
	for _, pod := range pods.Items {
		if pod.DeletionTimestamp != nil {
			continue // a rollback ends it, and what was wrong with it is what counts
		}
		if isReady(pod) {
			ready++
		}
		wrong := w.reasons(ctx, pod)
		for place, reason := range wrong {
			w.once(place, reason)
		}
		w.mu.Lock()
		w.wrong[pod.Name] = wrong
		w.mu.Unlock()
	}
	if len(pods.Items) > 0 {
		w.once(w.release, fmt.Sprintf("%d of %d pods ready", ready, len(pods.Items)))
	}
}

// once tells what was not told before of the subject.
func (w *watcher) once(subject, text string) {
	w.mu.Lock()
	known := w.told[subject] == text
	w.told[subject] = text
	w.mu.Unlock()
	if !known {
		w.tell(subject, "%s", text)
	}
}

// problems lists what was wrong when each pod was last seen alive.
func (w *watcher) problems() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []string
	for _, pod := range w.wrong {
		for place, reason := range pod {
			out = append(out, place+": "+reason)
		}
	}
	slices.Sort(out)
	return out
}

func isReady(pod corev1.Pod) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

// reasons says, for each container that does not run, why.
func (w *watcher) reasons(ctx context.Context, pod corev1.Pod) map[string]string {
	out := map[string]string{}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
			out["pod "+pod.Name] = c.Reason + ": " + c.Message
		}
	}
	for _, s := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		place := "pod " + pod.Name + ", container " + s.Name
		switch {
		case s.State.Waiting != nil && !patient(s.State.Waiting.Reason):
			out[place] = w.waiting(ctx, pod, s)
		case s.State.Terminated != nil && s.State.Terminated.ExitCode != 0:
			out[place] = ended(s.State.Terminated)
		}
	}
	return out
}

// patient tells the reasons that every container goes through.
func patient(reason string) bool {
	return reason == "ContainerCreating" || reason == "PodInitializing" || reason == ""
}

// imageOf is what the pod asks for: the status may have another name of the same content, such as a tag.
func imageOf(pod corev1.Pod, s corev1.ContainerStatus) string {
	for _, c := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
		if c.Name == s.Name {
			return c.Image
		}
	}
	return s.Image
}

func (w *watcher) waiting(ctx context.Context, pod corev1.Pod, s corev1.ContainerStatus) string {
	image := imageOf(pod, s)
	text := s.State.Waiting.Reason + " " + image
	switch s.State.Waiting.Reason {
	case "ImagePullBackOff", "ErrImagePull":
		// While it backs off, the kubelet says so and no longer why; the event still does.
		if why := w.event(ctx, pod, image); why != "" {
			return text + ": " + why
		}
	case "CrashLoopBackOff":
		if last := s.LastTerminationState.Terminated; last != nil {
			return text + ": " + ended(last)
		}
	}
	if s.State.Waiting.Message != "" {
		text += ": " + s.State.Waiting.Message
	}
	return text
}

func ended(t *corev1.ContainerStateTerminated) string {
	text := fmt.Sprintf("ended with exit code %d (%s)", t.ExitCode, t.Reason)
	if message := strings.TrimSpace(t.Message); message != "" {
		text += ": " + message
	}
	return text
}

// event finds what the kubelet said of a pull, which holds the registry's own words.
func (w *watcher) event(ctx context.Context, pod corev1.Pod, image string) string {
	events, err := w.client.CoreV1().Events(w.namespace).List(ctx, metav1.ListOptions{
		FieldSelector: "involvedObject.name=" + pod.Name + ",type=Warning,reason=Failed",
	})
	if err != nil {
		return ""
	}
	for _, e := range slices.Backward(events.Items) {
		if strings.Contains(e.Message, `"`+image+`"`) && strings.HasPrefix(e.Message, "Failed to pull image") {
			return e.Message
		}
	}
	return ""
}
