package publish_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/berth-sh/berth/internal/faultproxy"
	"github.com/berth-sh/berth/pipelines/fault"
)

func status(code int) faultproxy.Fault {
	return faultproxy.Fault{
		Status: code, Header: http.Header{"Retry-After": {"0"}},
		Body: fmt.Sprintf(`{"errors":[{"code":"TEST","message":"status %d"}]}`, code),
	}
}

// phases are the steps before the tags, as requests for the third component.
func phases() map[string]faultproxy.Rule {
	at := func(method, rest string) faultproxy.Rule {
		return faultproxy.Rule{Method: method, Path: regexp.MustCompile(`^/v2/acme/charlie/` + rest)}
	}
	return map[string]faultproxy.Rule{
		"look at a tag":    at("HEAD", `manifests/v1\.1\.0$`),
		"read the old one": at("GET", `manifests/sha256:`),
		"look for a blob":  at("HEAD", `blobs/sha256:`),
		"begin an upload":  at("POST", `blobs/uploads/`),
		"send a blob":      at("PUT", `blobs/uploads/`),
		"send a manifest":  at("PUT", `manifests/sha256:`),
	}
}

// The promise that everything else stands on: a failure before the tags, in any phase and of any sort, leaves every tag
// of every component where it was, and the same command finishes the work.
func TestAFailureBeforeTheTagsMovesNone(t *testing.T) {
	t.Parallel()
	old, next := cargo{version: "1.0.0", day: 1}, cargo{version: "1.1.0", day: 2}
	want, made := expected(t, old, next)
	faults := map[string]struct {
		fault faultproxy.Fault
		code  fault.Code
	}{
		"401":           {status(401), fault.Credentials},
		"403":           {status(403), fault.Credentials},
		"429":           {status(429), fault.Unavailable},
		"500":           {status(500), fault.Unavailable},
		"502":           {status(502), fault.Unavailable},
		"503":           {status(503), fault.Unavailable},
		"a full disk":   {status(507), fault.Unavailable},
		"reset":         {faultproxy.Fault{Reset: true, ResetAfter: 20}, fault.Unavailable},
		"odd answer":    {status(418), fault.Failed},
		"lost answer":   {faultproxy.Fault{LoseAnswer: true}, fault.Unavailable},
		"hangs up":      {faultproxy.Fault{Close: true}, fault.Unavailable},
		"429 for hours": {faultproxy.Fault{Status: 429, Header: http.Header{"Retry-After": {"7200"}}}, fault.Unavailable},
	}
	for phase, rule := range phases() {
		for name, f := range faults {
			if alike := []string{"500", "502", "429 for hours", "hangs up"}; !strings.HasPrefix(phase, "send") && slices.Contains(alike, name) {
				continue // the request is sent by the same code as in the other phases
			}
			t.Run(phase+"/"+name, func(t *testing.T) {
				t.Parallel()
				h := newHarbour(t)
				h.stock = made
				h.must(old)
				before := h.tags()
				rule := rule
				rule.Fault = f.fault
				h.proxy.Add(rule)
				s := h.load(next)
				_, err := h.publish(t.Context(), s)
				if got := fault.CodeOf(err); got != f.code {
					t.Errorf("code %d, want %d: %v", got, f.code, err)
				}
				same(t, "after the failure", h.tags(), before)
				h.proxy.Clear()
				if _, err := h.publish(t.Context(), s); err != nil {
					t.Errorf("again: %v", err)
				}
				same(t, "again", h.tags(), want)
			})
		}
	}
}

// A registry that says nothing is given up after its time-outs.
func TestSilenceBeforeTheTagsMovesNone(t *testing.T) {
	t.Parallel()
	h := newHarbour(t)
	h.must(cargo{version: "1.0.0", day: 1})
	before := h.tags()
	rule := phases()["send a blob"]
	rule.Fault = faultproxy.Fault{Hang: true}
	h.proxy.Add(rule)
	h.client = newClient(t, 100*time.Millisecond)
	_, err := h.publish(t.Context(), h.load(cargo{version: "1.1.0", day: 2}))
	failed(t, err, fault.Unavailable, "network")
	same(t, "after the failure", h.tags(), before)
}

// tagPuts are the requests that put the tags of main for version 1.1.0 and day 2.
func tagPuts() []string {
	var out []string
	for _, component := range []string{"alpha", "bravo", "charlie"} {
		for _, tag := range []string{"v1.1.0", commit(2)[:7], "v1.1", "v1", "latest"} {
			out = append(out, component+"/manifests/"+tag)
		}
	}
	return out
}

// A failure among the tags cannot be undone, because registries have no transactions. It says what to do, no floating
// tag has moved before all version tags are there, and the same command leads to what a clean run leads to.
func TestAFailureAmongTheTagsIsFinishedByRunningAgain(t *testing.T) {
	t.Parallel()
	old, next := cargo{version: "1.0.0", day: 1}, cargo{version: "1.1.0", day: 2}
	want, made := expected(t, old, next)
	if n := len(want); n != components*(tagsOfMain+3) {
		t.Fatalf("%d tags: %v", n, want)
	}
	faults := map[string]struct {
		fault faultproxy.Fault
		code  fault.Code
	}{
		"503":         {status(503), fault.Unavailable},
		"403":         {status(403), fault.Credentials},
		"lost answer": {faultproxy.Fault{LoseAnswer: true}, fault.Unavailable},
	}
	for _, put := range tagPuts() {
		for name, f := range faults {
			t.Run(put+"/"+name, func(t *testing.T) {
				t.Parallel()
				h := newHarbour(t)
				h.stock = made
				h.must(old)
				before := h.tags()
				h.proxy.Add(faultproxy.Rule{
					Method: "PUT", Path: regexp.MustCompile("^/v2/acme/" + regexp.QuoteMeta(put) + "$"), Fault: f.fault,
				})
				s := h.load(next)
				_, err := h.publish(t.Context(), s)
				failed(t, err, f.code, "run the same command again")
				if want := "tag " + h.host + "/acme/" + strings.Replace(put, "/manifests/", ":", 1) + ": "; !strings.HasPrefix(err.Error(), want) {
					t.Errorf("the message does not begin with %s: %v", want, err)
				}
				if next := fault.NextOf(err); strings.Count(next, "run the same command again") != 1 || !strings.Contains(next, "only tags are missing") {
					t.Errorf("next: %s", next)
				}
				if e, ok := errors.AsType[*fault.Error](err); !ok || e.Retryable != (f.code == fault.Unavailable) {
					t.Errorf("retryable: %+v", e)
				}
				versionsBeforeFloating(t, before, h.tags())
				h.proxy.Clear()
				receipt, err := h.publish(t.Context(), s)
				if err != nil {
					t.Fatalf("again: %v", err)
				}
				if up := receipt.Uploaded(); up.Blobs != 0 || up.Manifests != 0 {
					t.Errorf("again sent %+v", up)
				}
				same(t, "again", h.tags(), want)
			})
		}
	}
}

// All tags are set when they are read back, but nobody can be sure: that is a failure with the same way out.
func TestAFailureOfTheReadBack(t *testing.T) {
	t.Parallel()
	for method, f := range map[string]faultproxy.Fault{"GET": status(500), "HEAD": status(403)} {
		h := newHarbour(t)
		s := h.load(cargo{version: "1.0.0", day: 1})
		// A first publish reads no tag, and looks at each one twice before it puts it.
		h.proxy.Add(faultproxy.Rule{
			Method: method, Path: regexp.MustCompile(`^/v2/acme/bravo/manifests/[^:]+$`), Skip: map[string]int{"HEAD": 2 * tagsOfMain}[method], Fault: f,
		})
		_, err := h.publish(t.Context(), s)
		failed(t, err, map[string]fault.Code{"GET": fault.Unavailable, "HEAD": fault.Credentials}[method], "run the same command again")
		h.proxy.Clear()
		if _, err := h.publish(t.Context(), s); err != nil || len(h.tags()) != components*tagsOfMain {
			t.Errorf("again: %v, %v", err, h.tags())
		}
	}
}

// versionsBeforeFloating checks that no floating tag moved while a version tag was missing.
func versionsBeforeFloating(t *testing.T, before, after map[string]string) {
	t.Helper()
	missing := false
	for _, component := range []string{"alpha", "bravo", "charlie"} {
		for _, tag := range []string{"v1.1.0", commit(2)[:7]} {
			missing = missing || after[component+":"+tag] == ""
		}
	}
	for tag, digest := range before {
		if missing && after[tag] != digest {
			t.Errorf("%s moved although a version tag is missing", tag)
		}
	}
}

// Faults that pass are overcome, wherever they hit.
func TestAStormOfFaultsIsWeathered(t *testing.T) {
	t.Parallel()
	old, next := cargo{version: "1.0.0", day: 1}, cargo{version: "1.1.0", day: 2}
	want, made := expected(t, old, next)
	for seed := range uint64(6) {
		h := newHarbour(t)
		h.stock = made
		h.must(old)
		h.proxy.Random(seed, 0.15, status(429), status(500), status(502), status(503),
			faultproxy.Fault{Reset: true}, faultproxy.Fault{Reset: true, ResetAfter: 50}, faultproxy.Fault{LoseAnswer: true})
		s := h.load(next)
		// Three attempts a request are not always enough; the same command finishes what is left.
		var err error
		for range 20 {
			if _, err = h.publish(t.Context(), s); err == nil {
				break
			}
			if fault.CodeOf(err) != fault.Unavailable {
				t.Fatalf("seed %d: %v", seed, err)
			}
		}
		if err != nil {
			t.Fatalf("seed %d: never finished: %v", seed, err)
		}
		same(t, fmt.Sprintf("seed %d", seed), h.tags(), want)
	}
}

func TestACancelledPublishMovesNoTag(t *testing.T) {
	t.Parallel()
	for phase, rule := range phases() {
		t.Run(phase, func(t *testing.T) {
			t.Parallel()
			h := newHarbour(t)
			h.must(cargo{version: "1.0.0", day: 1})
			before := h.tags()
			s := h.load(cargo{version: "1.1.0", day: 2})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			h.once(false, func(r *http.Request) bool {
				return r.Method == rule.Method && rule.Path.MatchString(r.URL.Path)
			}, cancel)
			if _, err := h.publish(ctx, s); !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
			same(t, "after the cancellation", h.tags(), before)
		})
	}
}
