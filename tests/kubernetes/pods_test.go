//go:build linux

package kubernetes

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// pods is what the tests read of `kubectl get pods`.
type pods struct {
	Items []pod
}

type pod struct {
	Metadata struct {
		Name              string
		DeletionTimestamp string
	}
	Spec struct {
		Containers []struct{ Name, Image string }
	}
	Status struct {
		ContainerStatuses []struct {
			Name, ImageID string
			Ready         bool
		}
	}
}

// runs checks that the pods of the release are ready, as many as the overlay says, and run the images of the receipt
// and no other, and that the release has this revision.
func (d deployment) runs(t *testing.T, r release, revision int) {
	t.Helper()
	var err error
	// Pods of before may still end, and the autoscaler of prd starts with one.
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(time.Second) {
		if err = d.look(t, r); err == nil {
			break
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	secrets := d.kubectl(t, "", "get", "secrets", "--namespace", d.namespace(), "--output=name",
		"--selector=owner=helm,status=deployed")
	if want := ".v" + strconv.Itoa(revision); !strings.HasSuffix(strings.TrimSpace(secrets), want) {
		t.Errorf("the release that runs is %q, want revision %d", secrets, revision)
	}
	t.Logf("%s, revision %d:\n%s%s", d.environment, revision,
		d.kubectl(t, "", "get", "pods", "--namespace", d.namespace()),
		d.kubectl(t, "", "get", "pods", "--namespace", d.namespace(), "--output=jsonpath="+
			`{range .items[*]}{range .spec.containers[*]}{.name}{"  "}{.image}{"\n"}{end}{end}`))
}

func (d deployment) look(t *testing.T, r release) error {
	t.Helper()
	want := d.images(r)
	var all pods
	must(t, json.Unmarshal([]byte(d.kubectl(t, "", "get", "pods", "--namespace", d.namespace(), "--output=json")), &all))
	if len(all.Items) != d.pods {
		return fmt.Errorf("%s has %d pods, want %d", d.environment, len(all.Items), d.pods)
	}
	for _, p := range all.Items {
		if err := p.runs(want); err != nil {
			return fmt.Errorf("pod %s: %w", p.Metadata.Name, err)
		}
	}
	return nil
}

// runs checks that these images run, all of them are ready, and no other.
func (p pod) runs(want []string) error {
	if p.Metadata.DeletionTimestamp != "" || len(p.Spec.Containers) != len(want) {
		return fmt.Errorf("it ends, or has not %d containers: %+v", len(want), p.Spec.Containers)
	}
	digests := map[string]string{}
	for _, c := range p.Spec.Containers {
		if !slices.Contains(want, c.Image) {
			return fmt.Errorf("container %s is to run %s, want one of %v", c.Name, c.Image, want)
		}
		_, digests[c.Name], _ = strings.Cut(c.Image, "@")
	}
	for _, s := range p.Status.ContainerStatuses {
		// containerd knows an image by its content: the digest is of this image, the name may be of another registry.
		if !s.Ready || !strings.HasSuffix(s.ImageID, "@"+digests[s.Name]) {
			return fmt.Errorf("container %s, ready: %t, runs %s", s.Name, s.Ready, s.ImageID)
		}
	}
	return nil
}

// images are the references of the receipt.
func (d deployment) images(r release) []string {
	var out []string
	for _, x := range r.receipts[d.environment].Images {
		out = append(out, d.registry+"/"+x.Component+"@"+x.Digest)
	}
	return out
}

// pulled checks that the node got the images from the registry of the overlay just now, and not from its own store.
func (d deployment) pulled(t *testing.T, r release) {
	t.Helper()
	if d.environment == "local" {
		return // it shares images with dev, and does not ask for what is there
	}
	events := d.kubectl(t, "", "get", "events", "--namespace", d.namespace(),
		"--field-selector=reason=Pulled", "--output=jsonpath="+`{range .items[*]}{.message}{"\n"}{end}`)
	for _, image := range d.images(r) {
		if !strings.Contains(events, `Successfully pulled image "`+image+`"`) {
			t.Errorf("%s was not pulled:\n%s", image, events)
		}
	}
}
