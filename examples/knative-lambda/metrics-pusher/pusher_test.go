package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/berth-sh/berth/examples/knative-lambda/metrics-pusher/internal/receiver"
	"github.com/berth-sh/berth/examples/knative-lambda/metrics-pusher/internal/series"
	"github.com/berth-sh/berth/examples/knative-lambda/metrics-pusher/internal/service"
)

// rig is a pusher between a target whose text can be changed and a remote write endpoint, with a clock of its own.
type rig struct {
	*pusher
	t        *testing.T
	server   *service.Server
	receiver receiver.Receiver

	mu     sync.Mutex
	target func(http.ResponseWriter, *http.Request)
}

var start = time.UnixMilli(1_000_000)

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t}
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.target(w, req)
	}))
	t.Cleanup(target.Close)
	endpoint := httptest.NewServer(&r.receiver)
	t.Cleanup(endpoint.Close)
	build := service.NewBuild(name, "1.0.0", "abc")
	r.server = service.NewServer(build, slog.New(slog.NewJSONHandler(io.Discard, nil)))
	r.pusher = newPusher(settings{
		scrape: target.URL, remote: endpoint.URL, job: "j", instance: "i",
		timeout: time.Minute, attempts: 1,
	}, build, r.server)
	now := start
	r.now = func() time.Time { defer func() { now = now.Add(time.Second) }(); return now }
	return r
}

func (r *rig) serve(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.target = func(w http.ResponseWriter, req *http.Request) {
		if !strings.HasPrefix(req.Header.Get("Accept"), "text/plain;version=0.0.4") {
			w.WriteHeader(http.StatusNotAcceptable)
			return
		}
		_, _ = io.WriteString(w, text) // the pusher may stop reading
	}
}

// pushed returns the samples of the last request as text, without the target's labels.
func (r *rig) pushed() string {
	r.t.Helper()
	requests := r.receiver.Requests()
	if len(requests) == 0 {
		r.t.Fatal("nothing was pushed")
	}
	var lines []string
	for _, s := range requests[len(requests)-1].Samples {
		lines = append(lines, show(s))
	}
	return strings.Join(lines, " ")
}

func show(s series.Sample) string {
	text := ""
	for _, l := range s.Labels {
		switch l {
		case series.Label{Name: "instance", Value: "i"}, series.Label{Name: "job", Value: "j"}:
		default:
			text += l.Value + ":"
		}
	}
	if math.Float64bits(s.Value) == math.Float64bits(series.Stale()) {
		return fmt.Sprintf("%sstale@%d", text, s.Time)
	}
	return fmt.Sprintf("%s%v@%d", text, s.Value, s.Time)
}

func (r *rig) expect(want string) {
	r.t.Helper()
	if got := r.pushed(); got != want {
		r.t.Errorf("pushed %s, want %s", got, want)
	}
}

func (r *rig) metrics() string {
	w := httptest.NewRecorder()
	r.server.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	return w.Body.String()
}

func TestPushAndEndOfSeries(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.serve("a 1\nb{x=\"y\"} 2\na 3\nup 7\nc 5 42\n")
	r.once(t.Context())
	r.expect("up:1@1000000 a:1@1000000 b:y:2@1000000 c:5@42")
	r.serve("a 4\n") // c had times of its own: it ends by itself
	r.once(t.Context())
	r.expect("up:1@1001000 a:4@1001000 b:y:stale@1001000")
	r.serve("this is not\nright")
	r.once(t.Context())
	r.expect("up:0@1002000 a:stale@1002000")
	if s := r.Status(); !strings.Contains(s.ScrapeError, "line 1") || s.PushError != "" || s.Samples != 2 {
		t.Errorf("status %+v", s)
	}
	r.serve("a 5\n")
	r.once(t.Context())
	r.expect("up:1@1003000 a:5@1003000")
	if s := r.Status(); s.ScrapeError != "" || !s.LastPush.Equal(start.Add(3*time.Second)) {
		t.Errorf("status %+v", s)
	}
	for _, line := range []string{
		`pusher_scrapes_total{outcome="failed"} 1`, `pusher_scrapes_total{outcome="ok"} 3`,
		`pusher_samples_total{outcome="sent"} 11`, `pusher_samples_total{outcome="duplicate"} 2`,
	} {
		if !strings.Contains(r.metrics(), "\n"+line+"\n") {
			t.Errorf("metrics lack %s in\n%s", line, r.metrics())
		}
	}
}

func TestScrapeFailures(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		target func(http.ResponseWriter, *http.Request)
		says   string
	}{
		"status": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }, "500"},
		"cut":    {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "EOF"},
		"too large": {func(w http.ResponseWriter, _ *http.Request) {
			line := []byte(strings.Repeat("#", 1<<16) + "\n")
			for n := 0; n <= maxScrape; n += len(line) {
				if _, err := w.Write(line); err != nil {
					return
				}
			}
		}, "larger than"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.target = tt.target
			r.once(t.Context())
			r.expect("up:0@1000000")
			if s := r.Status(); !strings.Contains(s.ScrapeError, tt.says) {
				t.Errorf("status %+v, want %q", s, tt.says)
			}
		})
	}
}

func TestPushInPortions(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ status, requests, sent, dropped int }{
		"all fine":         {204, 3, 2*maxSend + 1, 0},
		"first rejected":   {400, 3, maxSend + 1, maxSend},
		"endpoint is away": {500, 1, 0, 2*maxSend + 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.receiver.Answer = func(n int, w http.ResponseWriter) {
				if n == 1 {
					w.WriteHeader(tt.status)
				}
			}
			var text strings.Builder
			for i := range 2 * maxSend {
				fmt.Fprintf(&text, "m%d 1\n", i)
			}
			r.serve(text.String())
			r.once(t.Context())
			if n := len(r.receiver.Requests()); n != tt.requests {
				t.Errorf("%d requests, want %d", n, tt.requests)
			}
			for outcome, want := range map[string]int{"sent": tt.sent, "dropped": tt.dropped} {
				line := fmt.Sprintf("pusher_samples_total{outcome=%q} %d\n", outcome, want)
				if want > 0 && !strings.Contains(r.metrics(), line) {
					t.Errorf("metrics lack %s", line)
				}
			}
			if failed := r.Status().PushError != ""; failed != (tt.dropped > 0) {
				t.Errorf("status %+v", r.Status())
			}
			w := httptest.NewRecorder()
			r.server.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/readyz", nil))
			if w.Code != http.StatusOK {
				t.Errorf("the endpoint makes the pusher unready: %s", w.Body)
			}
		})
	}
}

func TestRunPushesAtOnceAtTicksAndAtTheEnd(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.serve("a 1\n")
	tick := make(chan time.Time)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx, tick) }()
	tick <- time.Time{} // taken when the first push is over
	tick <- time.Time{}
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	requests := r.receiver.Requests()
	if n := len(requests); n < 3 || n > 4 { // the end may come before the third push
		t.Fatalf("%d requests", n)
	}
	if got := r.pushed(); !strings.Contains(got, "a:stale@") || !strings.Contains(got, "up:stale@") {
		t.Errorf("the last request is %s", got)
	}
}

// TestProgram runs the whole program against real servers until its end is asked for.
func TestProgram(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.serve("a 1\n")
	ctx, cancel := context.WithCancel(t.Context())
	r.receiver.Answer = func(int, http.ResponseWriter) { cancel() }
	endpoint := httptest.NewServer(&r.receiver)
	defer endpoint.Close()
	env := map[string]string{
		"PORT": "0", "SCRAPE_URL": r.scrapeURL, "REMOTE_WRITE_URL": endpoint.URL,
		"JOB": "j", "INSTANCE": "i", "DRAIN_DELAY": "0s",
	}
	var logs bytes.Buffer
	code := program("1.2.3", "abc").Run(ctx, service.World{
		Stdout: io.Discard, Stderr: &logs,
		Lookup: func(name string) (string, bool) { v, ok := env[name]; return v, ok },
	})
	if code != 0 {
		t.Fatalf("exit code %d\n%s", code, &logs)
	}
	first := r.receiver.Requests()[0]
	if agent := first.Header.Get("User-Agent"); agent != name+"/1.2.3" {
		t.Errorf("user agent %q", agent)
	}
	if len(first.Samples) != 2 || !strings.HasPrefix(show(first.Samples[1]), "a:1@") {
		t.Errorf("pushed %+v", first.Samples)
	}
}

func TestProgramRefusesBadSettings(t *testing.T) {
	t.Parallel()
	for says, args := range map[string][]string{
		"remote-write-url is required":               {},
		"remote-write-url is not a full":             {"--remote-write-url=endpoint/api"},
		"remote-write-url must not hold":             {"--remote-write-url=https://me:hunter2@endpoint/api"},
		"scrape-url is not a full":                   {"--remote-write-url=http://e/", "--scrape-url=file:///etc/passwd"},
		"max-attempts at least 1":                    {"--remote-write-url=http://e/", "--max-attempts=0"},
		"interval and timeout must be above":         {"--remote-write-url=http://e/", "--interval=0s"},
		"job not empty":                              {"--remote-write-url=http://e/", "--job="},
		"invalid value \\\"x\\\" for flag -interval": {"--interval=x"},
	} {
		var logs bytes.Buffer
		code := program("", "").Run(t.Context(), service.World{
			Args: args, Stdout: io.Discard, Stderr: &logs,
			Lookup: func(string) (string, bool) { return "", false },
		})
		if code != 2 || !strings.Contains(logs.String(), says) || strings.Contains(logs.String(), "hunter2") {
			t.Errorf("%q: exit code %d, logs %s, want %q", args, code, &logs, says)
		}
	}
}

func TestStatusAnswer(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.serve("a 1\n")
	r.once(t.Context())
	w := httptest.NewRecorder()
	r.server.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/status", nil))
	var got map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got["samples"] != 2.0 || got["lastPush"] == nil || got["pushError"] != nil {
		t.Errorf("got %s", w.Body)
	}
}

func TestSleepEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := sleep(ctx, time.Hour); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if err := sleep(t.Context(), 0); err != nil {
		t.Errorf("got %v", err)
	}
}
