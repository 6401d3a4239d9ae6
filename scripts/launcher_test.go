// Package scripts tests the shell scripts of this folder on small repositories of their own.
package scripts

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// fixture is a repository with the real launcher and a CLI that prints one word and its arguments.
func fixture(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("bash is not installed")
	}
	root := t.TempDir()
	launcher, err := os.ReadFile("berth")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(root, "scripts"), 0o755); err != nil {
		t.Fatal(err)
	}
	executable(t, filepath.Join(root, "scripts"), "berth", string(launcher))
	write(t, root, "go.mod", "module fixture\n\ngo 1.26.0\n")
	write(t, root, "main.go", `package main

import (
	"fmt"
	"os"

	"fixture/internal/word"
)

func main() { fmt.Println(word.Word, os.Args[1:]) }
`)
	write(t, root, "internal/word/word.go", word("one"))
	return root
}

func word(w string) string {
	return "package word\n\n// Word is printed.\nconst Word = \"" + w + "\"\n"
}

func write(t *testing.T, root, name, content string) {
	t.Helper()
	path := filepath.Join(root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// newer sets a file's time past the built CLI's, as an editor would a moment later.
func newer(t *testing.T, root, name string) {
	t.Helper()
	info, err := os.Stat(filepath.Join(root, ".berth/bin/berth"))
	if err != nil {
		t.Fatal(err)
	}
	later := info.ModTime().Add(time.Second)
	if err := os.Chtimes(filepath.Join(root, name), later, later); err != nil {
		t.Fatal(err)
	}
}

func run(t *testing.T, root string, env []string, arguments ...string) (stdout, stderr string, code int) {
	t.Helper()
	command := exec.CommandContext(t.Context(), filepath.Join(root, "scripts/berth"), arguments...)
	command.Dir = t.TempDir()
	command.Env = append(os.Environ(), append([]string{"BERTH_BIN=", "GOFLAGS="}, env...)...)
	var out, errs bytes.Buffer
	command.Stdout, command.Stderr = &out, &errs
	err := command.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), errs.String(), command.ProcessState.ExitCode()
}

func expect(t *testing.T, root, want string, arguments ...string) {
	t.Helper()
	stdout, stderr, code := run(t, root, nil, arguments...)
	if stdout != want || code != 0 {
		t.Fatalf("printed %q, exit %d, want %q; stderr:\n%s", stdout, code, want, stderr)
	}
}

func TestLauncherBuildsWhenTheSourceIsNewer(t *testing.T) {
	t.Parallel()
	root := fixture(t)
	expect(t, root, "one [version tags --env a b]\n", "version", "tags", "--env", "a b")
	if ignored, err := os.ReadFile(filepath.Join(root, ".berth/.gitignore")); err != nil || string(ignored) != "*\n" {
		t.Errorf(".berth/.gitignore holds %q, %v", ignored, err)
	}

	write(t, root, "internal/word/word.go", word("two"))
	newer(t, root, "internal/word/word.go")
	expect(t, root, "two []\n")
}

func TestLauncherKeepsTheBinaryWhenNothingChanged(t *testing.T) {
	t.Parallel()
	root := fixture(t)
	// Tests, fixtures and documents are not in the binary.
	unused := []string{"README.md", "internal/word/word_test.go", "internal/word/testdata/a.go"}
	for _, name := range unused {
		write(t, root, name, "package word\n")
	}
	expect(t, root, "one []\n")
	binary := filepath.Join(root, ".berth/bin/berth")
	before, err := os.Stat(binary)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range unused {
		newer(t, root, name)
	}
	expect(t, root, "one []\n")
	after, err := os.Stat(binary)
	if err != nil {
		t.Fatal(err)
	}
	if !os.SameFile(before, after) {
		t.Error("the CLI was built again though its source did not change")
	}
}

func TestLauncherNoticesADeletedFile(t *testing.T) {
	t.Parallel()
	root := fixture(t)
	write(t, root, "internal/word/more.go", "package word\n\nfunc init() { println(`more`) }\n")
	if _, stderr, _ := run(t, root, nil); !strings.Contains(stderr, "more") {
		t.Fatalf("stderr is %q", stderr)
	}
	if err := os.Remove(filepath.Join(root, "internal/word/more.go")); err != nil {
		t.Fatal(err)
	}
	newer(t, root, "internal/word")
	if _, stderr, _ := run(t, root, nil); stderr != "" {
		t.Errorf("the deleted file still speaks: %q", stderr)
	}
}

func TestLauncherShowsBuildErrorsAndKeepsTheOldBinary(t *testing.T) {
	t.Parallel()
	root := fixture(t)
	expect(t, root, "one []\n")
	write(t, root, "internal/word/word.go", "package word\n\nconst Word = missing\n")
	newer(t, root, "internal/word/word.go")
	stdout, stderr, code := run(t, root, nil)
	if code != 1 || stdout != "" || !strings.Contains(stderr, "undefined: missing") {
		t.Errorf("exit %d, stdout %q, stderr %q", code, stdout, stderr)
	}
	if left, err := filepath.Glob(filepath.Join(root, ".berth/bin/build.*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestLauncherIgnoresCrossCompileSettings(t *testing.T) {
	t.Parallel()
	root := fixture(t)
	stdout, stderr, code := run(t, root, []string{"GOOS=plan9", "GOARCH=arm"})
	if stdout != "one []\n" || code != 0 {
		t.Errorf("printed %q, exit %d; stderr:\n%s", stdout, code, stderr)
	}
}

func TestLauncherHonoursBerthBin(t *testing.T) {
	t.Parallel()
	root := fixture(t)
	other := executable(t, t.TempDir(), "other", "#!/bin/sh\necho other \"$@\"\n")
	stdout, _, code := run(t, root, []string{"BERTH_BIN=" + other}, "plan")
	if stdout != "other plan\n" || code != 0 {
		t.Errorf("printed %q, exit %d", stdout, code)
	}
	if _, err := os.Stat(filepath.Join(root, ".berth")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("something was built: %v", err)
	}
	_, stderr, code := run(t, root, []string{"BERTH_BIN=" + other + ".missing"})
	if code != 1 || !strings.Contains(stderr, "BERTH_BIN") {
		t.Errorf("a missing BERTH_BIN: exit %d, stderr %q", code, stderr)
	}
}

func TestLauncherThroughASymbolicLink(t *testing.T) {
	t.Parallel()
	root := fixture(t)
	link := filepath.Join(t.TempDir(), "berth")
	if err := os.Symlink(filepath.Join(root, "scripts/berth"), link); err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), link)
	command.Env = append(os.Environ(), "BERTH_BIN=", "GOFLAGS=")
	if out, err := command.CombinedOutput(); err != nil || string(out) != "one []\n" {
		t.Errorf("printed %q, %v", out, err)
	}
}

func TestLauncherConcurrentFirstCalls(t *testing.T) {
	t.Parallel()
	root := fixture(t)
	var calls sync.WaitGroup
	for range 4 {
		calls.Go(func() {
			command := exec.CommandContext(t.Context(), filepath.Join(root, "scripts/berth"))
			command.Env = append(os.Environ(), "BERTH_BIN=", "GOFLAGS=")
			if out, err := command.CombinedOutput(); err != nil || string(out) != "one []\n" {
				t.Errorf("printed %q, %v", out, err)
			}
		})
	}
	calls.Wait()
}
