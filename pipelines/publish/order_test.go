package publish_test

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/berth-sh/berth/internal/faultproxy"
	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/version"
)

// A branch works towards a version that is not released yet. Only a release keeps a floating tag from an older one.
func TestABranchBuildBlocksNoRelease(t *testing.T) {
	t.Parallel()
	const latest = "charlie:latest"
	for what, c := range map[string]struct {
		release bool // 2.0.0 is released, too
		day     int  // of the branch build
		want    string
	}{
		"an older branch build":                  {false, 1, "moved"},
		"a newer branch build":                   {false, 9, "kept"},
		"an older branch build, and the release": {true, 1, "moved"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			h := newHarbour(t)
			if c.release {
				h.must(cargo{version: "2.0.0", day: 3})
			}
			branch := h.must(cargo{version: "2.0.0", branch: "topic", day: c.day, content: "of the branch"})
			for _, component := range []string{"alpha", "bravo", "charlie"} {
				if err := h.retag(component, branch.digest(component), "latest"); err != nil {
					t.Fatal(err)
				}
			}
			s := h.load(cargo{version: "1.1.0", day: 5})
			r, err := h.publish(t.Context(), s)
			if err != nil {
				t.Fatal(err)
			}
			want := s.digest("charlie")
			if c.want == "kept" {
				want = branch.digest("charlie")
			}
			if did := actions(r)[latest]; did != c.want || h.tags()[latest] != want {
				t.Errorf("latest was %s and names %s, want %s: %+v", did, h.tags()[latest], want, r.Images[2].Tags)
			}
		})
	}
	// The release itself blocks, and that is told by its version tag.
	h := newHarbour(t)
	old := h.must(cargo{version: "2.0.0", day: 1})
	r, err := h.publish(t.Context(), h.load(cargo{version: "1.1.0", day: 5}))
	if err != nil || actions(r)[latest] != "kept" || h.tags()[latest] != old.digest("charlie") {
		t.Errorf("latest over the release 2.0.0: %v, %v", actions(r), err)
	}
}

// SOURCE_DATE_EPOCH may make every image as old as the next one: the time of the commit decides.
func TestImagesOfAnotherTimeAreOrderedByTheirCommits(t *testing.T) {
	t.Parallel()
	for what, epochs := range map[string][2]int{
		"the same time": {1, 1}, "times the other way round": {20, 1}, "only the first": {20, 0}, "only the second": {0, 1},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			h := newHarbour(t)
			first := cargo{version: "1.0.0", branch: "topic", day: 5, epoch: epochs[0]}
			second := cargo{version: "1.0.0", branch: "topic", day: 6, epoch: epochs[1], content: "changed"}
			h.must(first)
			s := h.load(second)
			r, err := h.publish(t.Context(), s)
			if err != nil || actions(r)["alpha:edge"] != "moved" {
				t.Errorf("the later commit: %v, %v", actions(r), err)
			}
			r, err = h.publish(t.Context(), h.load(first))
			if err != nil || actions(r)["alpha:edge"] != "kept" || h.tags()["alpha:edge"] != s.digest("alpha") {
				t.Errorf("a late run of the earlier commit: %v, %v", actions(r), err)
			}
		})
	}
}

// The first version tag is put alone and read back: who loses it has changed nothing else.
func TestTheVersionTagIsClaimedFirst(t *testing.T) {
	t.Parallel()
	const claimed = "alpha/manifests/v1.1.0"
	cases := map[string]struct {
		after bool
		fits  func() func(*http.Request) bool
	}{
		"set after the last look at all tags": {false, func() func(*http.Request) bool {
			// It is looked at three times: at the start, before the tags, and directly before it is put.
			var looks atomic.Int32
			return func(r *http.Request) bool {
				return r.Method == http.MethodHead && strings.HasSuffix(r.URL.Path, claimed) && looks.Add(1) == 3
			}
		}},
		"set again right after it was put": {true, func() func(*http.Request) bool {
			return func(r *http.Request) bool {
				return r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, claimed)
			}
		}},
	}
	for what, c := range cases {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			h := newHarbour(t)
			old := h.must(cargo{version: "1.0.0", day: 1})
			s := h.load(cargo{version: "1.1.0", day: 2})
			want := h.tags()
			want["alpha:v1.1.0"] = old.digest("alpha")
			var did atomic.Bool
			h.once(c.after, c.fits(), func() {
				did.Store(true)
				if err := h.retag("alpha", old.digest("alpha"), "v1.1.0"); err != nil {
					t.Error(err)
				}
			})
			_, err := h.publish(t.Context(), s)
			if !did.Load() {
				t.Fatal("nobody came between")
			}
			failed(t, err, fault.Refused, "berth version bump patch")
			reason := "acme/alpha:v1.1.0: another run has just set it to " + old.digest("alpha") +
				", while this one has " + s.digest("alpha")
			if err == nil || !strings.HasSuffix(err.Error(), reason) {
				t.Errorf("got %v, want %s", err, reason)
			}
			same(t, "after the claim was lost", h.tags(), want)
			// The same again is refused before anything is sent.
			h.proxy.ResetCounts()
			_, err = h.publish(t.Context(), s)
			failed(t, err, fault.Refused, "berth version bump patch")
			if n := h.proxy.Count("PUT", "") + h.proxy.Count("POST", ""); n != 0 {
				t.Errorf("%d requests that write: %v", n, h.proxy.Log())
			}
			same(t, "after the second run", h.tags(), want)
		})
	}
}

// Whoever sets the very same image meanwhile does no harm.
func TestTheSameImageClaimedTwiceIsFine(t *testing.T) {
	t.Parallel()
	h := newHarbour(t)
	h.must(cargo{version: "1.0.0", day: 1})
	next := cargo{version: "1.1.0", day: 2}
	s, other := h.load(next), h.loadElsewhere(next)
	h.once(false, func(r *http.Request) bool {
		return r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "alpha/manifests/v1.1.0")
	}, func() {
		if err := h.elsewhere(other); err != nil {
			t.Error(err)
		}
	})
	if _, err := h.publish(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	for _, component := range []string{"alpha", "bravo", "charlie"} {
		if got := h.tags()[component+":v1.1.0"]; got != s.digest(component) {
			t.Errorf("%s:v1.1.0 names %s", component, got)
		}
	}
}

// Where a registry's own rule keeps floating tags in place, the same command would meet the rule again.
func TestARegistryThatKeepsFloatingTags(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]faultproxy.Fault{
		"Quay": {Status: 409, Body: `{"errors":[{"code":"TAG_IMMUTABLE","message":"the tag is immutable"}]}`},
		"ECR":  {Status: 400, Body: `{"errors":[{"code":"TAG_INVALID","message":"the repository is immutable"}]}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHarbour(t)
			h.must(cargo{version: "1.1.0", day: 1})
			want := h.tags()
			s := h.load(cargo{version: "1.1.1", day: 2})
			h.proxy.Add(faultproxy.Rule{Method: "PUT", Path: regexp.MustCompile(`/manifests/(latest|v1|v1\.1)$`), Fault: f})
			_, err := h.publish(t.Context(), s)
			failed(t, err, fault.Refused, "a registry that refuses to move floating tags")
			if strings.Contains(fault.NextOf(err), "same command") {
				t.Errorf("next: %s", fault.NextOf(err))
			}
			for _, x := range s.plan.Images {
				versions := slices.DeleteFunc(slices.Clone(x.Tags), func(tag version.Tag) bool { return tag.Class != version.ClassVersion })
				if len(versions) != 2 {
					t.Fatalf("version tags: %v", versions)
				}
				for _, tag := range versions {
					want[x.Component+":"+tag.Name] = s.digest(x.Component)
				}
			}
			same(t, "after the refusal", h.tags(), want)
		})
	}
}
