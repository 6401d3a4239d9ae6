package service

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func world(args []string, env map[string]string) (World, *bytes.Buffer, *bytes.Buffer) {
	var stdout, stderr bytes.Buffer
	return World{
		Args: args, Stdout: &stdout, Stderr: &stderr, Now: time.Now,
		Lookup: func(name string) (string, bool) { v, ok := env[name]; return v, ok },
	}, &stdout, &stderr
}

// ending ends a service when it says that it has started.
type ending struct {
	log *bytes.Buffer
	end func()
}

func (e ending) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte("starting")) {
		e.end()
	}
	return e.log.Write(p)
}

func TestRun(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		args   []string
		env    map[string]string
		code   int
		stdout string
		stderr string
		mode   string
	}{
		"version":              {args: []string{"--version"}, stdout: "demo 1.2.3 (commit abc"},
		"help":                 {args: []string{"-h"}, stderr: "-mode"},
		"unknown flag":         {args: []string{"--nope"}, code: Usage, stderr: "nope"},
		"argument":             {args: []string{"serve"}, code: Usage, stderr: "unexpected argument"},
		"bad variable":         {env: map[string]string{"PORT": "http"}, code: Usage, stderr: "environment variable PORT"},
		"VERSION is no flag":   {args: []string{"--version"}, env: map[string]string{"VERSION": "9"}, stdout: "1.2.3"},
		"bad setting":          {args: []string{"--port=0", "--mode=bad"}, code: Usage, stderr: "no such mode"},
		"port out of range":    {args: []string{"--port=70000"}, code: Failed, stderr: "cannot listen"},
		"from variable":        {args: []string{"--port=0"}, env: map[string]string{"MODE": "env"}, stderr: "stopped", mode: "env"},
		"flag before variable": {args: []string{"--port=0", "--mode=flag"}, env: map[string]string{"MODE": "env"}, mode: "flag"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, stdout, stderr := world(tt.args, tt.env)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			w.Stderr = ending{stderr, cancel}
			var mode string
			code := Program{
				Build: NewBuild("demo", "1.2.3", "abc"),
				Flags: func(f *flag.FlagSet) { f.StringVar(&mode, "mode", "", "") },
				Routes: func(*http.ServeMux, World) error {
					if mode == "bad" {
						return errors.New("no such mode")
					}
					return nil
				},
			}.Run(ctx, w)
			if code != tt.code || tt.mode != "" && mode != tt.mode {
				t.Errorf("exit code %d with mode %q, want %d with %q", code, mode, tt.code, tt.mode)
			}
			if !strings.Contains(stdout.String(), tt.stdout) || !strings.Contains(stderr.String(), tt.stderr) {
				t.Errorf("stdout %q, stderr %q", stdout, stderr)
			}
		})
	}
}

func TestServeLetsRequestsFinish(t *testing.T) {
	t.Parallel()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	entered, release := make(chan struct{}), make(chan struct{})
	drained := make(chan struct{})
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(entered)
		<-release
		WriteJSON(w, http.StatusOK, "done")
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- serve(ctx, &http.Server{Handler: handler}, listener, func() { close(drained) }, time.Minute)
	}()
	got := make(chan string, 1)
	go func() {
		res, err := http.Get("http://" + listener.Addr().String())
		if err != nil {
			got <- err.Error()
			return
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		got <- string(body)
		if err != nil {
			t.Error(err)
		}
	}()
	<-entered
	cancel()
	<-drained
	close(release)
	if text := <-got; !strings.Contains(text, "done") {
		t.Errorf("the running request got %q", text)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestMux(t *testing.T) {
	t.Parallel()
	ready := true
	mux := NewMux(NewBuild("demo", "", ""), func() bool { return ready })
	mux.Handle("POST /double", Handle(func(_ *http.Request, in struct{ N int }) (int, error) {
		switch {
		case in.N < 0:
			return 0, errors.New("negative")
		case in.N == 0:
			return 0, Fail(http.StatusConflict, "zero")
		}
		return 2 * in.N, nil
	}))
	for _, tt := range []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"GET", "/healthz", "", 200, "ok"},
		{"GET", "/readyz", "", 200, "ready"},
		{"GET", "/version", "", 200, `"version":"dev","commit":"unknown"`},
		{"POST", "/double", `{"N": 21}`, 200, "42"},
		{"POST", "/double", `{"N": -1}`, 422, "negative"},
		{"POST", "/double", `{"N": 0}`, 409, "zero"},
		{"POST", "/double", `{`, 400, "not the expected JSON"},
		{"POST", "/double", `{"x":"` + strings.Repeat("x", maxBody) + `"}`, 400, "too large"},
		{"GET", "/double", "", 405, ""},
	} {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest(tt.method, tt.path, strings.NewReader(tt.body)))
		if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.want) {
			t.Errorf("%s %s: %d %s", tt.method, tt.path, w.Code, w.Body)
		}
	}
	ready = false
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/readyz", nil))
	if w.Code != http.StatusServiceUnavailable {
		t.Errorf("readyz answers %d while draining", w.Code)
	}
}
