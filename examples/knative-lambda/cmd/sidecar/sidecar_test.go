package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/berth-sh/berth/examples/knative-lambda/internal/logwatch"
	"github.com/berth-sh/berth/examples/knative-lambda/internal/service"
)

func get(h http.Handler, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w
}

func TestStatusReadinessAndMetrics(t *testing.T) {
	t.Parallel()
	dir, message := t.TempDir(), filepath.Join(t.TempDir(), "message")
	log := slog.New(slog.NewJSONHandler(io.Discard, nil))
	server := service.NewServer(service.NewBuild(name, "", ""), log)
	watcher := logwatch.New(dir, message, io.Discard, log)
	expose(server, watcher)
	look := func() {
		t.Helper()
		if _, err := watcher.Poll(); err != nil {
			t.Fatal(err)
		}
	}
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(filepath.Join(dir, "x.log"), "one\ntwo\n")
	look()
	if w := get(server, "/readyz"); w.Code != http.StatusOK {
		t.Errorf("not ready: %s", w.Body)
	}
	for _, line := range []string{
		"sidecar_log_lines_total 2", "sidecar_log_bytes_total 8", "sidecar_log_files 1",
		"sidecar_log_rotations_total 0", "sidecar_log_truncations_total 0",
	} {
		if text := get(server, "/metrics").Body.String(); !strings.Contains(text, "\n"+line+"\n") {
			t.Errorf("metrics lack %s in\n%s", line, text)
		}
	}
	write(message, "exit 7")
	look()
	look()
	if w := get(server, "/readyz"); w.Code != http.StatusServiceUnavailable ||
		!strings.Contains(w.Body.String(), "terminated") {
		t.Errorf("after the termination message: %d %s", w.Code, w.Body)
	}
	var status logwatch.Status
	if err := json.Unmarshal(get(server, "/status").Body.Bytes(), &status); err != nil {
		t.Fatal(err)
	}
	if !status.Terminated || status.Message != "exit 7" || len(status.Files) != 1 || status.Files[0].Offset != 8 {
		t.Errorf("status %+v", status)
	}
}

// TestProgram runs the whole sidecar until the termination message ends it.
func TestProgram(t *testing.T) {
	t.Parallel()
	dir, message := t.TempDir(), filepath.Join(t.TempDir(), "message")
	if err := os.WriteFile(filepath.Join(dir, "x.log"), []byte("hello\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{
		"PORT": "0", "LOG_DIR": dir, "TERMINATION_MESSAGE_PATH": message, "INTERVAL": "1ms",
		"DRAIN_DELAY": "0s",
	}
	lines, out := io.Pipe()
	var logs bytes.Buffer
	world := service.World{
		Stdout: io.Discard, Stderr: &logs,
		Lookup: func(name string) (string, bool) { v, ok := env[name]; return v, ok },
	}
	code := make(chan int, 1)
	go func() { code <- program("", "", out).Run(t.Context(), world) }()
	line, err := bufio.NewReader(lines).ReadString('\n')
	if err != nil || line != `{"file":"x.log","line":"hello"}`+"\n" {
		t.Errorf("got %q, %v", line, err)
	}
	if err := os.WriteFile(message, []byte("done"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := <-code; got != 0 || !strings.Contains(logs.String(), `"message":"done"`) {
		t.Errorf("exit code %d, logs\n%s", got, &logs)
	}
}

func TestProgramRefusesBadSettings(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"--log-dir="}, {"--interval=0s"}, {"--interval=soon"}} {
		world := service.World{
			Args: args, Stdout: io.Discard, Stderr: io.Discard,
			Lookup: func(string) (string, bool) { return "", false },
		}
		if code := program("", "", io.Discard).Run(t.Context(), world); code != 2 {
			t.Errorf("%q: exit code %d, want 2", args, code)
		}
	}
}
