package live

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// engineTimeout is how long an engine may take to answer for the first time, so that a machine without one is not held up.
const engineTimeout = 20 * time.Second

// engineAnswers tells why the tests cannot run, or nothing.
var engineAnswers = sync.OnceValue(func() string {
	if _, err := exec.LookPath("dagger"); err != nil {
		return "no dagger program in PATH"
	}
	ctx, cancel := context.WithTimeout(context.Background(), engineTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "dagger", "--silent", "core", "version")
	cmd.WaitDelay = time.Second
	if err := cmd.Run(); err != nil {
		return fmt.Sprintf("no Dagger engine answers: dagger core version: %v", err)
	}
	return ""
})

// live skips a test where no engine answers.
func live(t *testing.T) {
	t.Helper()
	if why := engineAnswers(); why != "" {
		t.Skip("live: " + why)
	}
}

// berth builds the command line of this tree, once for all tests.
var berth = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "berth-live-")
	if err != nil {
		return "", err
	}
	program := filepath.Join(dir, "berth")
	out, err := exec.CommandContext(context.Background(), "go", "build", "-o", program, "../..").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return program, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if engineAnswers() == "" {
		if program, err := berth(); err == nil {
			_ = os.RemoveAll(filepath.Dir(program))
		}
	}
	os.Exit(code)
}

// module is the folder of this repository, whose module is called.
func module(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// result is what a program said.
type result struct {
	stdout, stderr string
	failed         bool
}

// run runs a program without the variables of a CI.
func run(t *testing.T, dir string, env []string, program string, args ...string) result {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir = dir
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "GITHUB_") && !strings.HasPrefix(v, "CI") && !strings.HasPrefix(v, "GIT_") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(append(cmd.Env, "NO_COLOR=1", "DAGGER_NO_NAG=1"), env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		t.Fatal(err)
	}
	return result{stdout.String(), stderr.String(), err != nil}
}

// call is dagger call with the module of this tree, from a folder of a repository.
func call(t *testing.T, dir string, args ...string) result {
	t.Helper()
	return callWith(t, dir, nil, args...)
}

func callWith(t *testing.T, dir string, env []string, args ...string) result {
	t.Helper()
	return run(t, dir, env, "dagger", append([]string{"--progress=plain", "-m", module(t), "call"}, args...)...)
}

// ok returns what a program printed, which must have succeeded.
func (r result) ok(t *testing.T) string {
	t.Helper()
	if r.failed {
		t.Fatalf("failed:\n%s", r.stderr)
	}
	return r.stdout
}

// trace is what dagger adds to the last line of an error.
var trace = regexp.MustCompile(` \[traceparent:[0-9a-f-]+\]`)

// refused checks that a call failed with this line of cause, and this start of what to do next, and nothing a person
// cannot use.
func (r result) refused(t *testing.T, cause, next string) {
	t.Helper()
	if !r.failed {
		t.Fatalf("no failure, want %q:\n%s", cause, r.stdout)
	}
	_, said, found := strings.Cut(trace.ReplaceAllString(r.stderr, ""), "\nError: ")
	if !found {
		t.Fatalf("no error line:\n%s", r.stderr)
	}
	first, rest, _ := strings.Cut(said, "\n")
	if !strings.Contains(first, cause) {
		t.Errorf("cause: %s\nwant:  %s", first, cause)
	}
	if !strings.HasPrefix(strings.TrimSpace(rest), next) {
		t.Errorf("then: %s\nwant: %s", rest, next)
	}
	for _, noise := range []string{"goroutine", "panic", "rpc error", "berth-source-"} {
		if strings.Contains(said, noise) {
			t.Errorf("%q in:\n%s", noise, said)
		}
	}
}

// native is the command line in a folder of a repository.
func native(t *testing.T, dir string, args ...string) string {
	t.Helper()
	program, err := berth()
	if err != nil {
		t.Fatal(err)
	}
	return run(t, dir, nil, program, args...).ok(t)
}
