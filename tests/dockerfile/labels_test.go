package dockerfile

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/registry/remote"
)

// standing builds on a base by its digest, and then on what was built by its tag: each image names its own base alone.
func (l *lab) standing(t *testing.T, setting []string) {
	hub := l.repository(t, "library/busybox")
	busybox, err := hub.Resolve(t.Context(), "1")
	if err != nil {
		t.Fatal(err)
	}
	env := l.environment(setting...)
	for _, c := range []struct{ component, from, name, digest string }{
		{"below", "busybox:1@" + busybox.Digest.String(), "docker.io/library/busybox:1", busybox.Digest.String()},
		{"above", l.registry + "/standing/below:v1.0.0", l.registry + "/standing/below:v1.0.0", ""},
	} {
		dir := l.project(t, map[string]string{
			"berth.yaml": strings.NewReplacer("web:", c.component+":", "/acme", "/standing", ", linux/arm64", "").Replace(berthYAML("{dockerfile: {}}")),
			"VERSION":    "1.0.0\n",
			"Dockerfile": "FROM " + c.from + " AS base\nFROM scratch AS never\nFROM base\nRUN echo x > /x\n",
		})
		x := l.published(t, dir, env, "--builder", "docker")
		if y := l.build(t, dir, env, "--builder", "buildkit"); y[0].Digest != x.Digest {
			t.Errorf("docker gives %s, buildkit %s", x.Digest, y[0].Digest)
		}
		want := map[string]string{ocispec.AnnotationBaseImageName: c.name}
		if c.digest != "" {
			want[ocispec.AnnotationBaseImageDigest] = c.digest
		}
		labels, annotations := l.said(t, "standing/"+c.component, x.Digest)
		for what, got := range map[string]map[string]string{"labels": labels, "annotations": annotations} {
			maps.DeleteFunc(got, func(name, _ string) bool { return !strings.HasPrefix(name, "org.opencontainers.image.base.") })
			if !maps.Equal(got, want) {
				t.Errorf("%s has the %s %v, not %v", c.component, what, got, want)
			}
		}
	}
}

func (l *lab) repository(t *testing.T, name string) *remote.Repository {
	t.Helper()
	r, err := remote.NewRepository(l.registry + "/" + name)
	if err != nil {
		t.Fatal(err)
	}
	r.PlainHTTP = true
	return r
}

// fetch reads the JSON of a descriptor.
func fetch(t *testing.T, r *remote.Repository, d ocispec.Descriptor, into any) {
	t.Helper()
	data, err := content.FetchAll(t.Context(), r, d)
	if err == nil {
		err = json.Unmarshal(data, into)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// said are the labels of the first platform of an image, and the annotations of its index.
func (l *lab) said(t *testing.T, repository, digest string) (labels, annotations map[string]string) {
	t.Helper()
	r := l.repository(t, repository)
	root, err := r.Resolve(t.Context(), digest)
	if err != nil {
		t.Fatal(err)
	}
	var index ocispec.Index
	var manifest ocispec.Manifest
	var config ocispec.Image
	fetch(t, r, root, &index)
	fetch(t, r, index.Manifests[0], &manifest)
	fetch(t, r, manifest.Config, &config)
	return config.Config.Labels, index.Annotations
}
