//go:build unix

package build_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/berth-sh/berth/pipelines/build"
)

// A run that is called off leaves no process and no file behind. The compiler is a real one that never comes to an end:
// the go command starts it through -toolexec.
func TestCancel(t *testing.T) {
	t.Parallel()
	dir, temp := t.TempDir(), t.TempDir()
	slow, pidFile := filepath.Join(dir, "slow"), filepath.Join(dir, "pid")
	script := "#!/bin/sh\necho $$ > " + pidFile + ".new && mv " + pidFile + ".new " + pidFile + "\nexec sleep 600\n"
	if err := os.WriteFile(slow, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	c := build.GoComponent{Name: "api", Dir: app(t), Env: map[string]string{"GOFLAGS": "-toolexec=" + slow}}
	o, list := options(t), platforms(t, native())
	go func() {
		_, err := build.NewGo(environ("TMPDIR="+temp)).Build(ctx, c, list, o)
		done <- err
	}()
	pid := waitForPid(t, pidFile, done)
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	for end := time.Now().Add(time.Minute); alive(pid); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("process %d runs on", pid)
		}
	}
	for _, folder := range []string{temp, filepath.Join(o.Out, "api", "linux_"+runtime.GOARCH), o.Out} {
		left, err := os.ReadDir(folder)
		if err != nil || (len(left) != 0 && left[0].Name() != "api") {
			t.Errorf("left behind in %s: %v, %v", folder, left, err)
		}
	}
}

func waitForPid(t *testing.T, file string, done chan error) int {
	t.Helper()
	for {
		select {
		case err := <-done:
			t.Fatalf("the build ended: %v", err)
		case <-t.Context().Done():
			t.Fatal("the compiler was not started")
		case <-time.After(10 * time.Millisecond):
		}
		if data, err := os.ReadFile(file); err == nil {
			pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
			if err != nil {
				t.Fatal(err)
			}
			return pid
		}
	}
}

// alive tells whether a process runs; one that has ended and was not collected yet does not.
func alive(pid int) bool {
	if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return false
	}
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err != nil || !strings.Contains(string(stat), ") Z ")
}
