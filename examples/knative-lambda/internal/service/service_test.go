package service

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"
)

func testServer() *Server {
	return NewServer(NewBuild("demo", "1.2.3", "abc"), slog.New(slog.NewJSONHandler(io.Discard, nil)))
}

func get(h http.Handler, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w
}

func TestVersion(t *testing.T) {
	t.Parallel()
	var got map[string]string
	if err := json.Unmarshal(get(testServer(), "/version").Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"name": "demo", "version": "1.2.3", "commit": "abc",
		"goVersion": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH,
	}
	for key, value := range want {
		if got[key] != value {
			t.Errorf("%s is %q, want %q", key, got[key], value)
		}
	}
	if b := NewBuild("demo", "", ""); b.Version != "dev" || b.Commit != "unknown" {
		t.Errorf("a plain build says %+v", b)
	}
}

func TestReadiness(t *testing.T) {
	t.Parallel()
	s := testServer()
	if w := get(s, "/readyz"); w.Code != http.StatusOK {
		t.Errorf("a new server answers %d", w.Code)
	}
	logs, disk := "missing", "full"
	s.AddCheck("logs", func() string { return logs })
	s.AddCheck("disk", func() string { return disk })
	if w := get(s, "/readyz"); w.Code != http.StatusServiceUnavailable ||
		!strings.Contains(w.Body.String(), `["logs: missing","disk: full"]`) {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	logs, disk = "", ""
	if w := get(s, "/readyz"); w.Code != http.StatusOK {
		t.Errorf("after all reasons are gone: %d", w.Code)
	}
	if w := get(s, "/healthz"); w.Code != http.StatusOK {
		t.Errorf("/healthz answers %d", w.Code)
	}
}

func TestMetricsText(t *testing.T) {
	t.Parallel()
	m := &Metrics{}
	m.Gauge("b", "line\nbreak \\", func() float64 { return 0.5 })
	c := m.Counter("a_total", "Counts.", "l")
	c.Add(1, "quote\" slash\\ line\n")
	c.Add(2, "x")
	c.Add(1, "x")
	m.Counter("zero_total", "Starts at zero.")
	s := m.Summary("d_seconds", "Time.")
	s.Observe(1.5)
	s.Observe(2)
	m.Info("i", "Info.", "version", "v1", "os", "linux")
	want := "# HELP a_total Counts.\n# TYPE a_total counter\n" +
		`a_total{l="quote\" slash\\ line\n"} 1` + "\n" + `a_total{l="x"} 3` + "\n" +
		"# HELP b line\\nbreak \\\\\n# TYPE b gauge\nb 0.5\n" +
		"# HELP d_seconds Time.\n# TYPE d_seconds summary\nd_seconds_sum 3.5\nd_seconds_count 2\n" +
		"# HELP i Info.\n# TYPE i gauge\n" + `i{version="v1",os="linux"} 1` + "\n" +
		"# HELP zero_total Starts at zero.\n# TYPE zero_total counter\nzero_total 0\n"
	w := get(m, "/metrics")
	if got := w.Body.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := w.Header().Get("Content-Type"); got != "text/plain; version=0.0.4; charset=utf-8" {
		t.Errorf("content type %q", got)
	}
}

func TestRequestsAreCountedByRouteNotByPath(t *testing.T) {
	t.Parallel()
	s := testServer()
	s.Handle("GET /items/{id}", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		WriteProblem(w, http.StatusTeapot, "short and stout")
	}))
	get(s, "/items/1")
	get(s, "/items/2")
	get(s, "/nowhere/1")
	s.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("BREW", "/healthz", nil))
	text := get(s, "/metrics").Body.String()
	for _, want := range []string{
		`http_requests_total{method="GET",route="/items/{id}",code="418"} 2`,
		`http_requests_total{method="GET",route="none",code="404"} 1`,
		`http_requests_total{method="other",route="none",code="405"} 1`,
		"http_request_duration_seconds_count 4",
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("missing %s in\n%s", want, text)
		}
	}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() }) // closed already when the server ran
	return ln
}

// TestShutdown follows one request over the end of the service: not ready first, then closed, and the request finishes.
func TestShutdown(t *testing.T) {
	t.Parallel()
	s, ln := testServer(), listen(t)
	drained, inDrain := make(chan time.Time), make(chan struct{})
	s.After = func(time.Duration) <-chan time.Time { close(inDrain); return drained }
	entered, release := make(chan struct{}), make(chan struct{})
	s.Handle("GET /slow", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(entered)
		<-release
		WriteJSON(w, http.StatusOK, "done")
	}))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx, ln) }()
	base := "http://" + ln.Addr().String()
	slow := make(chan string, 1)
	go func() { slow <- fetch(t, base+"/slow") }()
	<-entered
	cancel()
	<-inDrain
	if got := fetch(t, base+"/readyz"); !strings.HasPrefix(got, "503") || !strings.Contains(got, "shutting down") {
		t.Errorf("while draining /readyz answers %s", got)
	}
	close(drained)
	select {
	case err := <-ended:
		t.Fatalf("ended while a request ran: %v", err)
	case got := <-slow:
		t.Fatalf("the request ended by itself: %s", got)
	default:
	}
	close(release)
	if got := <-slow; !strings.HasPrefix(got, "200") {
		t.Errorf("the request in flight got %s", got)
	}
	if err := <-ended; err != nil {
		t.Errorf("Run: %v", err)
	}
	if got := fetch(t, base+"/healthz"); !strings.Contains(got, "refused") {
		t.Errorf("after the end the port answers %s", got)
	}
}

func fetch(t *testing.T, url string) string {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Get(url)
	if err != nil {
		return err.Error()
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Error(err)
	}
	return res.Status + " " + string(body)
}

func TestRunEndsWithTheFirstJob(t *testing.T) {
	t.Parallel()
	failure := errors.New("disk on fire")
	for name, want := range map[string]error{"orderly": nil, "failed": failure} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := testServer()
			s.DrainDelay = 0
			other := make(chan struct{})
			err := s.Run(t.Context(), listen(t),
				func(context.Context) error { return want },
				func(ctx context.Context) error { <-ctx.Done(); close(other); return ctx.Err() })
			if !errors.Is(err, want) || (want == nil) != (err == nil) {
				t.Errorf("got %v, want %v", err, want)
			}
			select {
			case <-other:
			default:
				t.Error("the other job still runs")
			}
		})
	}
}

func TestRunCutsOffWhatOutlivesTheGrace(t *testing.T) {
	t.Parallel()
	s, ln := testServer(), listen(t)
	s.DrainDelay, s.Grace = 0, time.Nanosecond
	entered := make(chan struct{})
	s.Handle("GET /stuck", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()
	}))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	answer := make(chan string, 1)
	go func() { answer <- fetch(t, "http://"+ln.Addr().String()+"/stuck") }()
	go func() { <-entered; cancel() }()
	if err := s.Run(ctx, ln); err == nil || !strings.Contains(err.Error(), "still ran") {
		t.Errorf("got %v", err)
	}
	<-answer
}

func TestRunReportsABrokenListener(t *testing.T) {
	t.Parallel()
	ln := listen(t)
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	if err := testServer().Run(t.Context(), ln); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v", err)
	}
}

func TestProgram(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		args   []string
		env    map[string]string
		code   int
		stdout string
		stderr string
		dir    string // what the setting is in the end
	}{
		"version":            {args: []string{"--version"}, stdout: `^demo 1\.2\.3 \(commit abc, go\S+, \w+/\w+\)\n$`},
		"help":               {args: []string{"-h"}, stderr: "log-dir"},
		"VERSION is no flag": {args: []string{"--version"}, env: map[string]string{"VERSION": "9"}, stdout: "demo 1.2.3"},
		"unknown flag":       {args: []string{"--nope"}, code: 2, stderr: "nope"},
		"argument":           {args: []string{"serve"}, code: 2, stderr: "unexpected argument"},
		"bad variable":       {env: map[string]string{"PORT": "http"}, code: 2, stderr: `environment variable PORT`},
		"port too high":      {env: map[string]string{"PORT": "65536"}, code: 2, stderr: "above 65535"},
		"bad setting":        {args: []string{"--port=0", "--log-dir=bad"}, code: 2, stderr: "cannot use bad"},
		"from variable": {
			args: []string{"--port=0"}, env: map[string]string{"LOG_DIR": "/env"},
			stderr: "serving", dir: "/env",
		},
		"flag before variable": {
			args: []string{"--port=0", "--log-dir=/flag"}, env: map[string]string{"LOG_DIR": "/env"},
			stderr: "stopped", dir: "/flag",
		},
		"empty variable": {args: []string{"--port=0"}, env: map[string]string{"LOG_DIR": ""}, dir: "/default"},
		"failing job":    {args: []string{"--port=0", "--log-dir=fail"}, code: 1, stderr: "job failed", dir: "fail"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var dir, used string
			p := Program{
				Build: NewBuild("demo", "1.2.3", "abc"),
				Flags: func(f *flag.FlagSet) { f.StringVar(&dir, "log-dir", "/default", "where logs are") },
				Start: func(s *Server) ([]Job, error) {
					s.DrainDelay = 0
					if dir == "bad" {
						return nil, errors.New("cannot use bad")
					}
					used = dir
					return []Job{func(context.Context) error {
						if dir == "fail" {
							return errors.New("job failed")
						}
						return nil
					}}, nil
				},
			}
			var stdout, stderr bytes.Buffer
			code := p.Run(t.Context(), World{
				Args: tt.args, Stdout: &stdout, Stderr: &stderr,
				Lookup: func(name string) (string, bool) { v, ok := tt.env[name]; return v, ok },
			})
			if code != tt.code || used != tt.dir {
				t.Errorf("exit code %d with dir %q, want %d with %q\n%s", code, used, tt.code, tt.dir, &stderr)
			}
			if !regexp.MustCompile(tt.stdout).MatchString(stdout.String()) || !strings.Contains(stderr.String(), tt.stderr) {
				t.Errorf("stdout %q, stderr %q", &stdout, &stderr)
			}
		})
	}
}

func TestHealthcheck(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]int{http.StatusOK: 0, http.StatusServiceUnavailable: 1} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/healthz" {
				t.Errorf("asked for %s", r.URL.Path)
			}
			w.WriteHeader(status)
		}))
		_, port, err := net.SplitHostPort(server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		p := Program{Build: NewBuild("demo", "", "")}
		world := World{
			Args: []string{"--healthcheck"}, Stdout: io.Discard, Stderr: io.Discard,
			Lookup: func(name string) (string, bool) { return port, name == "PORT" },
		}
		if got := p.Run(t.Context(), world); got != want {
			t.Errorf("status %d gives exit code %d, want %d", status, got, want)
		}
		server.Close()
		if got := p.Run(t.Context(), world); got != 1 {
			t.Errorf("a closed port gives exit code %d, want 1", got)
		}
	}
}

// TestCopyInMetricsPusher holds the copy that the second module has of this package to this one.
func TestCopyInMetricsPusher(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	copied := 0
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		want, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join("../../metrics-pusher/internal/service", name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s differs from its copy; run: go generate ./internal/service", name)
		}
		copied++
	}
	if copied == 0 {
		t.Error("nothing was compared")
	}
}
