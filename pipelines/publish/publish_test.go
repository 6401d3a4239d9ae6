package publish_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/image"
	"github.com/berth-sh/berth/pipelines/plan"
	"github.com/berth-sh/berth/pipelines/publish"
	"github.com/berth-sh/berth/pipelines/registry"
)

// actions is "component:tag" → what happened to it.
func actions(r publish.Receipt) map[string]string {
	out := map[string]string{}
	for _, x := range r.Images {
		for _, tag := range x.Tags {
			out[x.Component+":"+tag.Name] = string(tag.Action)
		}
	}
	return out
}

func TestAFirstPublish(t *testing.T) {
	t.Parallel()
	h := newHarbour(t)
	s := h.load(cargo{version: "1.0.0", day: 1})
	r, err := h.publish(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	if r.Environment != "prd" || r.Registry != "main" || r.Commit != commit(1) || r.Version != "1.0.0" {
		t.Errorf("%+v", r)
	}
	// Each image: two configurations, two layers, two manifests and the index.
	if up := r.Uploaded(); up.Blobs != 4*components || up.Manifests != 3*components || up.Bytes == 0 {
		t.Errorf("uploaded %+v", up)
	}
	tags := h.tags()
	for _, x := range r.Images {
		if x.Repository != h.host+"/acme/"+x.Component || x.Digest != s.digest(x.Component) ||
			!slices.Equal(x.Platforms, []string{"linux/amd64", "linux/arm64"}) {
			t.Errorf("%+v", x)
		}
		for _, tag := range []string{"v1.0.0", "v1.0", "v1", "latest", commit(1)[:7]} {
			if got := tags[x.Component+":"+tag]; got != x.Digest {
				t.Errorf("%s:%s names %q", x.Component, tag, got)
			}
		}
	}
	for tag, action := range actions(r) {
		if action != string(publish.ActionCreated) {
			t.Errorf("%s %s", tag, action)
		}
	}
	if len(tags) != components*tagsOfMain {
		t.Errorf("tags: %v", tags)
	}
}

// The same command again asks once for each tag, sends nothing and says so.
func TestTheSameAgainOnlyLooks(t *testing.T) {
	t.Parallel()
	h := newHarbour(t)
	s := h.must(cargo{version: "1.0.0", day: 1})
	before := h.tags()
	h.proxy.ResetCounts()
	r, err := h.publish(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	if all, heads := h.proxy.Count("", ""), h.proxy.Count("HEAD", "manifests"); all != heads || heads != components*tagsOfMain {
		t.Errorf("%d requests, %d of them look at a tag, want %d: %v", all, heads, components*tagsOfMain, h.proxy.Log())
	}
	if up := r.Uploaded(); up != (registry.Uploaded{}) {
		t.Errorf("uploaded %+v", up)
	}
	for tag, action := range actions(r) {
		if action != string(publish.ActionUnchanged) {
			t.Errorf("%s %s", tag, action)
		}
	}
	same(t, "again", h.tags(), before)
}

func TestWhatMovesAndWhatStays(t *testing.T) {
	t.Parallel()
	const created, moved, kept = "created", "moved", "kept"
	cases := map[string]struct {
		before []cargo
		now    cargo
		want   map[string]string // of alpha
	}{
		"the next release": {
			[]cargo{{version: "1.0.0", day: 1}},
			cargo{version: "1.1.0", day: 2},
			map[string]string{"v1.1.0": created, "v1.1": created, "v1": moved, "latest": moved, commit(2)[:7]: created},
		},
		"a hotfix of an older line": {
			[]cargo{{version: "1.0.0", day: 1}, {version: "1.1.0", day: 2}},
			cargo{version: "1.0.1", day: 3},
			map[string]string{"v1.0.1": created, "v1.0": moved, "v1": kept, "latest": kept, commit(3)[:7]: created},
		},
		"a pre-release": {
			[]cargo{{version: "1.0.0", day: 1}},
			cargo{version: "1.1.0-rc.1", day: 2},
			map[string]string{"v1.1.0-rc.1": created, "v1.1": kept, "v1": kept, "latest": kept, commit(2)[:7]: created},
		},
		"a late run of an old job": {
			[]cargo{{version: "1.0.0", day: 5, branch: "topic"}},
			cargo{version: "1.0.0", day: 4, branch: "topic"},
			map[string]string{"v1.0.0-dev." + commit(4)[:7]: created, "edge": kept},
		},
		"of the same second, an ancestor": {
			[]cargo{{version: "1.0.0", day: 5, hash: 25, branch: "topic"}},
			cargo{version: "1.0.0", day: 5, branch: "topic"},
			map[string]string{"v1.0.0-dev." + commit(5)[:7]: created, "edge": kept},
		},
		"of the same second, no ancestor": {
			[]cargo{{version: "1.0.0", day: 5, hash: 3, branch: "topic"}},
			cargo{version: "1.0.0", day: 5, branch: "topic"},
			map[string]string{"v1.0.0-dev." + commit(5)[:7]: created, "edge": moved},
		},
		"a branch build": {
			[]cargo{{version: "1.0.0", day: 4, branch: "topic"}},
			cargo{version: "1.0.0", day: 5, branch: "other"},
			map[string]string{"v1.0.0-dev." + commit(5)[:7]: created, "edge": moved},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHarbour(t)
			for _, k := range c.before {
				h.must(k)
			}
			before, s := h.tags(), h.load(c.now)
			r, err := h.publish(t.Context(), s)
			if err != nil {
				t.Fatal(err)
			}
			got, after := actions(r), h.tags()
			for tag, want := range c.want {
				if got["alpha:"+tag] != want {
					t.Errorf("%s was %s, want %s", tag, got["alpha:"+tag], want)
				}
				names := s.digest("alpha")
				if want == kept {
					names = before["alpha:"+tag]
				}
				if after["alpha:"+tag] != names {
					t.Errorf("%s names %q, want %q", tag, after["alpha:"+tag], names)
				}
			}
			if len(got) != components*len(c.want) {
				t.Errorf("tags: %v", got)
			}
		})
	}
}

// One component whose version tag is taken stops all of them, before a byte is sent.
func TestATakenVersionTagSendsNothing(t *testing.T) {
	t.Parallel()
	h := newHarbour(t)
	h.must(cargo{version: "1.0.0", day: 1})
	before := h.tags()
	h.proxy.ResetCounts()
	s := h.load(cargo{version: "1.0.0", day: 2})
	// The other two are new to the registry: only charlie's tag is taken.
	for i := range 2 {
		s.plan.Images[i].Repository += "-new"
	}
	_, err := h.publish(t.Context(), s)
	failed(t, err, fault.Refused, "berth version bump patch")
	for _, part := range []string{"/acme/charlie:v1.0.0", before["charlie:v1.0.0"], s.digest("charlie"), commit(1), commit(2)} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the message does not name %s: %v", part, err)
		}
	}
	if strings.Contains(err.Error(), "alpha") {
		t.Errorf("the message names alpha: %v", err)
	}
	if n := h.proxy.Count("", "") - h.proxy.Count("HEAD", "") - h.proxy.Count("GET", ""); n != 0 {
		t.Errorf("%d requests that write: %v", n, h.proxy.Log())
	}
	same(t, "after the refusal", h.tags(), before)
}

func TestEveryRefusalIsReported(t *testing.T) {
	t.Parallel()
	h := newHarbour(t)
	h.must(cargo{version: "1.0.0", day: 1})
	_, err := h.publish(t.Context(), h.load(cargo{version: "1.0.0", day: 1, content: "other"}))
	failed(t, err, fault.Refused, "the same commit gave other bytes")
	for _, component := range []string{"alpha", "bravo", "charlie"} {
		for _, tag := range []string{"v1.0.0", commit(1)[:7]} {
			if !strings.Contains(err.Error(), h.host+"/acme/"+component+":"+tag+":") {
				t.Errorf("%s:%s is not reported: %v", component, tag, err)
			}
		}
	}
}

// An image by another tool says neither version nor age. Its floating tags may move; its version tags may not.
func TestAnImageThatSaysNothing(t *testing.T) {
	t.Parallel()
	h := newHarbour(t)
	foreign := h.must(cargo{version: "0.0.1", day: 1})
	r, err := h.direct.Repository(h.behind + "/acme/alpha")
	if err != nil {
		t.Fatal(err)
	}
	// The image of one platform, without an index and without annotations.
	child := foreign.images[0].Manifest.Manifests[0].Digest.String()
	if err := h.retag("alpha", child, "v2"); err != nil {
		t.Fatal(err)
	}
	got, err := h.publish(t.Context(), h.load(cargo{version: "2.0.0", day: 2}))
	if err != nil {
		t.Fatal(err)
	}
	for _, tag := range got.Images[0].Tags {
		if tag.Name == "v2" && (tag.Action != publish.ActionMoved || !strings.Contains(tag.Reason, "does not say how old")) {
			t.Errorf("%+v", tag)
		}
	}
	if err := h.retag("alpha", child, "v3.0.0"); err != nil {
		t.Fatal(err)
	}
	_, err = h.publish(t.Context(), h.load(cargo{version: "3.0.0", day: 3}))
	failed(t, err, fault.Refused, "berth version bump patch")
	if desc, err := r.Resolve(t.Context(), "v3.0.0"); err != nil || desc.Digest.String() != child {
		t.Errorf("%v, %v", desc, err)
	}
}

func TestOnlyWritersMayPublish(t *testing.T) {
	t.Parallel()
	h := newHarbour(t)
	s := h.load(cargo{version: "1.0.0", day: 1, writers: "[acme+ci, release]"})
	_, err := h.publish(t.Context(), s)
	failed(t, err, fault.Refused, "acme+ci, release")
	if n := h.proxy.Count("", ""); n != 0 {
		t.Errorf("%d requests: %v", n, h.proxy.Log())
	}
	as := func(name string) *publish.Publisher {
		return publish.New(
			func(name string) (publish.Target, error) { return h.client.Repository(name) },
			func(context.Context, string) (string, error) { return name, nil }, laterDay, nil)
	}
	if _, err := run(t.Context(), as("someone"), s); fault.CodeOf(err) != fault.Refused || !strings.Contains(err.Error(), "someone") {
		t.Errorf("someone: %v", err)
	}
	if _, err := run(t.Context(), as("release"), s); err != nil {
		t.Errorf("release: %v", err)
	}
	broken := errors.New("the helper is broken")
	p := publish.New(nil, func(context.Context, string) (string, error) { return "", broken }, laterDay, nil)
	if _, err := p.Observe(t.Context(), s.plan); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

func TestAPlanThatCannotBeCarriedOut(t *testing.T) {
	t.Parallel()
	h := newHarbour(t)
	good := h.load(cargo{version: "1.0.0", day: 1})
	cases := map[string]struct {
		change func(*ship)
		code   fault.Code
		next   string
		text   string
	}{
		"refusals": {func(s *ship) {
			s.plan.Refusals = []plan.Refusal{{Subject: "environment prd", Reason: "it is closed", Next: "wait"}}
		}, fault.Refused, "wait", "environment prd: it is closed"},
		"no image": {func(s *ship) { s.images = s.images[:2] }, fault.Usage, "berth build --component charlie", "component charlie"},
		"too few platforms": {func(s *ship) {
			s.plan.Images[1].Platforms = []string{"linux/amd64", "linux/arm64", "linux/riscv64"}
		}, fault.Usage, "build it again", "component bravo"},
		"too many platforms": {func(s *ship) { s.plan.Images[1].Platforms = []string{"linux/amd64"} }, fault.Usage, "build it again", "component bravo"},
		"a bad repository":   {func(s *ship) { s.plan.Images[2].Repository = h.host + "/Acme" }, fault.Usage, "", "Acme"},
		"a bad version":      {func(s *ship) { s.plan.Version = "one" }, fault.Failed, "", "version of the plan"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := ship{plan: good.plan, images: slices.Clone(good.images)}
			s.plan.Images = slices.Clone(good.plan.Images)
			c.change(&s)
			_, err := h.publish(t.Context(), s)
			failed(t, err, c.code, c.next)
			if err == nil || !strings.Contains(err.Error(), c.text) {
				t.Errorf("got %v, want %q", err, c.text)
			}
		})
	}
	if tags := h.tags(); len(tags) != 0 {
		t.Errorf("tags: %v", tags)
	}
}

// A plan may name the default variant of an architecture; the image does not.
func TestPlatformsAreComparedNormalised(t *testing.T) {
	t.Parallel()
	h := newHarbour(t)
	s := h.load(cargo{version: "1.0.0", day: 1})
	for i := range s.plan.Images {
		s.plan.Images[i].Platforms = []string{"linux/arm64/v8", "linux/amd64"}
	}
	if _, err := h.publish(t.Context(), s); err != nil {
		t.Error(err)
	}
	var none []image.Index
	if _, err := publisher(h.client).Apply(t.Context(), plan.Plan{Version: "1.0.0"}, nil, none); err != nil {
		t.Errorf("an empty plan: %v", err)
	}
}
