package pipelines_test

import (
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/berth-sh/berth/pipelines"
	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/image"
	"github.com/berth-sh/berth/pipelines/plan"
	"github.com/berth-sh/berth/pipelines/publish"
	"github.com/berth-sh/berth/pipelines/registry"
)

// layout writes an OCI layout with one image and returns its folder.
func (p *project) layout(x image.Index) string {
	p.t.Helper()
	dir := filepath.Join(p.t.TempDir(), "layout")
	if err := image.WriteLayout(p.t.Context(), dir, []image.Index{x}); err != nil {
		p.t.Fatal(err)
	}
	return dir
}

func TestPublishFromALayout(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	proxy := p.serve()
	x := p.assemble("web", p.git("rev-parse", "HEAD"), "1.0.0")
	request := pipelines.PublishRequest{Request: plan.Request{Environment: "prd"}, From: p.layout(x)}
	r, err := p.open().Publish(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Images) != 1 || r.Images[0].Digest != x.Descriptor.Digest.String() || r.Uploaded().Manifests != 2 {
		t.Errorf("%+v", r)
	}
	for _, tag := range []string{"v1.0.0", "latest"} {
		if desc, err := p.repository("acme/web").Resolve(t.Context(), tag); err != nil || desc.Digest != x.Descriptor.Digest {
			t.Errorf("%s is %v, %v", tag, desc, err)
		}
	}
	proxy.ResetCounts()
	if r, err = p.open().Publish(t.Context(), request); err != nil || r.Uploaded() != (registry.Uploaded{}) ||
		r.Images[0].Tags[0].Action != publish.ActionUnchanged || proxy.Count("", "") != proxy.Count("HEAD", "manifests") {
		t.Errorf("again: %+v, %v, %v", r, err, proxy.Log())
	}
}

// Tags are computed from the commit that is checked out, so images must be of that commit and that version.
func TestALayoutOfSomethingElseIsRefused(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	proxy := p.serve()
	head := p.git("rev-parse", "HEAD")
	other := strings.Repeat("0", 40)
	cases := map[string]struct {
		from string
		text string
		next string
	}{
		"another commit":    {p.layout(p.assemble("web", other, "1.0.0")), "web was built from commit " + other + ", but " + head + " is checked out", "berth build --output"},
		"uncommitted work":  {p.layout(p.assemble("web", head+"-dirty", "1.0.0")), head + "-dirty", "berth build --output"},
		"another version":   {p.layout(p.assemble("web", head, "2.0.0")), "web was built as version 2.0.0, but this is version 1.0.0", "VERSION=2.0.0"},
		"another component": {p.layout(p.assemble("api", head, "1.0.0")), "component web: there is no image of it", "berth build"},
		"no layout":         {p.dir, "read the OCI layout", "build --output"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := p.open().Publish(t.Context(), pipelines.PublishRequest{Request: plan.Request{Environment: "prd"}, From: c.from})
			failed(t, err, fault.Usage, c.text, c.next)
		})
	}
	if n := proxy.Count("", "") - proxy.Count("HEAD", "") - proxy.Count("GET", ""); n != 0 {
		t.Errorf("%d requests that write: %v", n, proxy.Log())
	}
}

// A refusal costs nothing: no build, no request.
func TestARefusedPublishAsksNobody(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	proxy := p.serve()
	p.write("src/main.go", "this does not compile")
	p.commit("fix: oops")
	p.env["GIT_BRANCH"] = "topic"
	_, err := p.open().Publish(t.Context(), pipelines.PublishRequest{Request: plan.Request{Environment: "prd"}})
	failed(t, err, fault.Refused, "environment prd: it does not accept branch topic; it accepts branches main and git tags v*", "--env dev")
	if n := proxy.Count("", ""); n != 0 {
		t.Errorf("%d requests: %v", n, proxy.Log())
	}
}

// A base image is pulled by its digest, and its layers and name are in what is published.
func TestABaseImageFromARegistry(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	p.serve()
	base := p.assemble("base", "", "")
	if _, err := p.repository("library/base").Push(t.Context(), base, base.Descriptor, registry.PushOptions{}); err != nil {
		t.Fatal(err)
	}
	name := p.host + "/library/base:edge@" + base.Descriptor.Digest.String()
	p.replace("{go: {dir: src}}", "{go: {dir: src}, base: '"+name+"'}")
	r, err := p.open().Publish(t.Context(), pipelines.PublishRequest{})
	if err != nil {
		t.Fatal(err)
	}
	target := p.repository("acme/web")
	desc, err := target.Resolve(t.Context(), "v1.0.0")
	if err != nil {
		t.Fatal(err)
	}
	got, err := image.Load(t.Context(), "web", target, desc)
	if err != nil {
		t.Fatal(err)
	}
	if got.Descriptor.Digest.String() != r.Images[0].Digest || got.Manifest.Annotations[ocispec.AnnotationBaseImageName] != name ||
		got.Manifest.Annotations[ocispec.AnnotationBaseImageDigest] != base.Descriptor.Digest.String() {
		t.Errorf("%s %v", got.Descriptor.Digest, got.Manifest.Annotations)
	}
	of := func(x image.Index) []ocispec.Descriptor {
		reader, err := x.Fetch(t.Context(), x.Manifest.Manifests[0])
		if err != nil {
			t.Fatal(err)
		}
		defer reader.Close()
		var m ocispec.Manifest
		if err := json.NewDecoder(reader).Decode(&m); err != nil {
			t.Fatal(err)
		}
		return m.Layers
	}
	if layers, below := of(got), of(base); len(layers) != 2 || layers[0].Digest != below[0].Digest {
		t.Errorf("layers %v on %v", layers, below)
	}
}

func TestABaseImageThatIsNotThere(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	p.serve()
	name := p.host + "/library/base@sha256:" + strings.Repeat("0", 64)
	p.replace("{go: {dir: src}}", "{go: {dir: src}, base: '"+name+"'}")
	_, _, err := p.open().Build(t.Context(), pipelines.BuildRequest{})
	if !errors.Is(err, registry.ErrNotFound) || !strings.Contains(err.Error(), "base image of web") || !strings.Contains(err.Error(), name) {
		t.Errorf("%v", err)
	}
	tags, err := p.repository("acme/web").Tags(t.Context())
	if len(tags) != 0 || err != nil && !errors.Is(err, registry.ErrNotFound) {
		t.Errorf("%v, %v", tags, err)
	}
}

func TestSourceDateEpoch(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	for _, bad := range []string{"yesterday", "-1", "1.5"} {
		p.env["SOURCE_DATE_EPOCH"] = bad
		_, _, err := p.open().Build(t.Context(), pipelines.BuildRequest{})
		failed(t, err, fault.Usage, "SOURCE_DATE_EPOCH="+bad, "whole seconds")
	}
}
