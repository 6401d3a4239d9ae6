package faultproxy_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/berth-sh/berth/internal/faultproxy"
)

// target answers "hello, world" and counts the requests and bytes that reach it.
type target struct{ requests, bytes atomic.Int64 }

func (h *target) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n, _ := io.Copy(io.Discard, r.Body)
	h.requests.Add(1)
	h.bytes.Add(n)
	_, _ = io.WriteString(w, "hello, world")
}

// answer sends one request and returns the status and body, or the error.
func answer(ctx context.Context, rt http.RoundTripper, url, body string) (int, string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, url+"/v2/n/blobs/uploads/1", strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	req.GetBody = nil // or net/http would send it again by itself
	resp, err := rt.RoundTrip(req)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text), err
}

func TestFaults(t *testing.T) {
	t.Parallel()
	slow := faultproxy.Fault{Status: 429, Body: "slow", Header: http.Header{"Retry-After": {"1"}}}
	cases := map[string]struct {
		fault   faultproxy.Fault
		status  int
		body    string
		err     bool
		reached int64 // requests that the registry saw
	}{
		"none":     {faultproxy.Fault{}, 200, "hello, world", false, 1},
		"status":   {slow, 429, "slow", false, 0},
		"reset":    {faultproxy.Fault{Reset: true, ResetAfter: 10}, 0, "", true, 0},
		"close":    {faultproxy.Fault{Close: true}, 0, "", true, 0},
		"truncate": {faultproxy.Fault{Truncate: 5}, 200, "hello", true, 1},
		"lose":     {faultproxy.Fault{LoseAnswer: true}, 0, "", true, 1},
	}
	for name, c := range cases {
		for _, wrapped := range []bool{false, true} {
			h := new(target)
			p := faultproxy.New(h, faultproxy.Rule{Fault: c.fault})
			base := new(http.Transport)
			rt, handler := http.RoundTripper(base), http.Handler(p)
			if wrapped {
				rt, handler = p.Wrap(base), h
			}
			server := httptest.NewServer(handler)
			status, body, err := answer(t.Context(), rt, server.URL, strings.Repeat("x", 100))
			base.CloseIdleConnections()
			server.Close()
			if status != c.status || body != c.body || (err != nil) != c.err || h.requests.Load() != c.reached {
				t.Errorf("%s, wrapped %v: %d %q %v, %d requests", name, wrapped, status, body, err, h.requests.Load())
			}
			if p.Count("PUT", "uploads") != 1 || p.Count("", "") != 1 {
				t.Errorf("%s, wrapped %v: counted %v", name, wrapped, p.Log())
			}
		}
	}
}

func TestAResetIsAReset(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(faultproxy.New(nil, faultproxy.Rule{Fault: faultproxy.Fault{Reset: true}}))
	t.Cleanup(server.Close)
	if _, _, err := answer(t.Context(), new(http.Transport), server.URL, ""); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got %v", err)
	}
}

func TestHangLastsUntilTheClientGivesUp(t *testing.T) {
	t.Parallel()
	hang := faultproxy.Rule{Fault: faultproxy.Fault{Hang: true}}
	server := httptest.NewServer(faultproxy.New(nil, hang))
	t.Cleanup(server.Close)
	for name, rt := range map[string]http.RoundTripper{
		"server": new(http.Transport), "wrapped": faultproxy.New(nil, hang).Wrap(nil),
	} {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() {
			_, _, err := answer(ctx, rt, server.URL, "x")
			ended <- err
		}()
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRules(t *testing.T) {
	t.Parallel()
	p := faultproxy.New(nil,
		faultproxy.Rule{Method: "GET", Fault: faultproxy.Fault{Status: 1}},
		faultproxy.Rule{Path: regexp.MustCompile("manifests"), Fault: faultproxy.Fault{Status: 2}},
		faultproxy.Rule{Method: "PUT", Skip: 1, Times: 2, Fault: faultproxy.Fault{Status: 3}},
		faultproxy.Rule{Fault: faultproxy.Fault{Status: 4}})
	var got []int
	for range 5 {
		status, _, err := answer(t.Context(), p.Wrap(nil), "http://h", "x")
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, status)
	}
	if want := []int{4, 3, 3, 4, 4}; !slices.Equal(got, want) {
		t.Errorf("faults %v, want %v", got, want)
	}
}

func TestRandomModeRepeatsItself(t *testing.T) {
	t.Parallel()
	h := new(target)
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	run := func(seed uint64) (faults int, pattern string) {
		p := faultproxy.New(nil)
		p.Random(seed, 0.2, faultproxy.Fault{Status: 500}, faultproxy.Fault{Status: 503})
		for range 200 {
			status, _, err := answer(t.Context(), p.Wrap(http.DefaultTransport), server.URL, "")
			if err != nil {
				t.Fatal(err)
			}
			pattern += http.StatusText(status) + ","
			if status >= 500 {
				faults++
			}
		}
		return faults, pattern
	}
	faults, one := run(1)
	_, again := run(1)
	_, other := run(2)
	if faults < 20 || faults > 60 || one != again || one == other {
		t.Errorf("%d of 200 faulty; the same again: %v; another seed differs: %v", faults, one == again, one != other)
	}
}

func TestClass(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"/v2/o/n/blobs/uploads/": "uploads", "/v2/o/n/blobs/uploads/x": "uploads", "/v2/o/n/blobs/sha256:a": "blobs",
		"/v2/o/n/manifests/v1": "manifests", "/v2/o/n/tags/list": "tags", "/v2/o/n/referrers/sha256:a": "referrers",
		"/token": "token", "/v2/token": "token", "/v2/auth": "token", "/v2/": "ping", "/": "other",
	} {
		if got := faultproxy.Class(path); got != want {
			t.Errorf("Class(%s) = %s, want %s", path, got, want)
		}
	}
}
