package publish_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/publish"
)

// Between the preflight and the tags lie a build and an upload. What somebody else publishes meanwhile is met by the
// same rules.
func TestSomebodyElsePublishesMeanwhile(t *testing.T) {
	t.Parallel()
	next := cargo{version: "1.1.0", day: 2}
	cases := map[string]struct {
		theirs cargo
		check  func(t *testing.T, h *harbour, r publish.Receipt, err error, before, theirs map[string]string)
	}{
		"the same version": {
			cargo{version: "1.1.0", day: 3},
			func(t *testing.T, h *harbour, _ publish.Receipt, err error, _, theirs map[string]string) {
				t.Helper()
				failed(t, err, fault.Refused, "berth version bump patch")
				same(t, "after the refusal", h.tags(), theirs)
			},
		},
		"a newer version": {
			cargo{version: "1.2.0", day: 3},
			func(t *testing.T, h *harbour, r publish.Receipt, err error, _, theirs map[string]string) {
				t.Helper()
				if err != nil {
					t.Fatal(err)
				}
				after, did := h.tags(), actions(r)
				for _, tag := range []string{"charlie:v1", "charlie:latest", "alpha:latest"} {
					if did[tag] != "kept" || after[tag] != theirs[tag] {
						t.Errorf("%s was %s and names %s", tag, did[tag], after[tag])
					}
				}
				if did["charlie:v1.1.0"] != "created" || did["charlie:v1.1"] != "created" {
					t.Errorf("%v", did)
				}
			},
		},
		"the very same": {
			next,
			func(t *testing.T, h *harbour, r publish.Receipt, err error, _, theirs map[string]string) {
				t.Helper()
				if err != nil {
					t.Fatal(err)
				}
				for tag, action := range actions(r) {
					if action != "unchanged" {
						t.Errorf("%s %s", tag, action)
					}
				}
				same(t, "after both", h.tags(), theirs)
			},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHarbour(t)
			h.must(cargo{version: "1.0.0", day: 1})
			before, s, other := h.tags(), h.load(next), h.loadElsewhere(c.theirs)
			var theirs map[string]string
			// The index of charlie is the last thing that is sent before the tags of charlie are looked at again.
			h.once(false, func(r *http.Request) bool {
				return r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "charlie/manifests/"+s.digest("charlie"))
			}, func() {
				if err := h.elsewhere(other); err != nil {
					t.Error(err)
				}
				theirs = h.tags()
			})
			r, err := h.publish(t.Context(), s)
			c.check(t, h, r, err, before, theirs)
		})
	}
}

// A tag that does not name what was put there is a failure, not a receipt.
func TestReadBackFindsAMovedTag(t *testing.T) {
	t.Parallel()
	for _, tag := range []string{"latest", "v1.1.0"} {
		t.Run(tag, func(t *testing.T) {
			t.Parallel()
			h := newHarbour(t)
			old := h.must(cargo{version: "1.0.0", day: 1})
			s := h.load(cargo{version: "1.1.0", day: 2})
			h.once(true, func(r *http.Request) bool {
				return r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "charlie/manifests/"+tag)
			}, func() {
				if err := h.retag("charlie", old.digest("charlie"), tag); err != nil {
					t.Error(err)
				}
			})
			_, err := h.publish(t.Context(), s)
			failed(t, err, fault.Failed, "look who else publishes to it")
			for _, part := range []string{"charlie:" + tag, s.digest("charlie"), old.digest("charlie")} {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("the message does not name %s: %v", part, err)
				}
			}
		})
	}
}

// retag puts an image that is there under a tag, past the proxy.
func (h *harbour) retag(component, digest, tag string) error {
	r, err := h.direct.Repository(h.behind + "/acme/" + component)
	if err != nil {
		return err
	}
	raw, desc, err := r.Manifest(context.Background(), digest)
	if err != nil {
		return err
	}
	return r.Tag(context.Background(), raw, desc, tag)
}
