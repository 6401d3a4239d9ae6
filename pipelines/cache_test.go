package pipelines_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/berth-sh/berth/pipelines"
)

// watchedGo puts a go command first in PATH that notes what it is asked for, and leaves out -a, for the standard library
// is not what these tests are about. calls returns what was noted and forgets it.
func watchedGo(t *testing.T) (environ []string, calls func() []string) {
	t.Helper()
	command, err := exec.LookPath("go")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	journal := filepath.Join(dir, "journal")
	text := fmt.Sprintf(`#!/bin/sh
echo "$@" >> %s
for word; do
  shift
  [ "$word" = -a ] || set -- "$@" "$word"
done
exec %s "$@"
`, journal, command)
	if err := os.WriteFile(filepath.Join(dir, "go"), []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	return append(os.Environ(), "PATH="+dir+string(os.PathListSeparator)+os.Getenv("PATH")), func() []string {
		data, err := os.ReadFile(journal)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		_ = os.Remove(journal)
		var out []string
		for line := range strings.Lines(string(data)) {
			if strings.HasPrefix(line, "build ") || strings.HasPrefix(line, "list ") {
				out = append(out, strings.TrimSpace(line))
			}
		}
		return out
	}
}

// A second run compiles, links and compresses nothing, and gives the same image as a run without the cache.
func TestASecondRunTakesFromTheCache(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	environ, calls := watchedGo(t)
	folder := filepath.Join(t.TempDir(), "cache")
	built := func(cached bool) string {
		opened := p.open(func(o *pipelines.Options) {
			if o.Environ = environ; cached {
				o.Cache = folder
			}
		})
		images, release, err := opened.Build(t.Context(), pipelines.BuildRequest{})
		if err != nil {
			t.Fatal(err)
		}
		defer release()
		return images[0].Descriptor.Digest.String()
	}
	want := built(false)
	if n := len(calls()); n != 2 {
		t.Fatalf("%d calls of go", n)
	}
	for i, count := range []int{2, 0, 0} {
		if got := built(true); got != want {
			t.Errorf("run %d: %s, want %s", i, got, want)
		}
		if asked := calls(); len(asked) != count {
			t.Errorf("run %d: %q", i, asked)
		}
	}
	p.write("src/main.go", "package main\n\nfunc main() { println(\"other\") }\n")
	p.commit("feat: say something else")
	if got := built(true); got == want || len(calls()) != 2 {
		t.Error("a change was not built")
	}
}

// The build that proves another one uses no cache.
func TestReproducingUsesNoCache(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	environ, calls := watchedGo(t)
	opened := p.open(func(o *pipelines.Options) { o.Environ, o.Cache = environ, filepath.Join(t.TempDir(), "cache") })
	images, release, err := opened.Build(t.Context(), pipelines.BuildRequest{})
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	calls()
	again, err := opened.Reproduce(t.Context(), pipelines.BuildRequest{}, images)
	if err != nil {
		t.Fatal(err)
	}
	if again[0].First != again[0].Second {
		t.Errorf("%+v", again)
	}
	asked := calls()
	if len(asked) != 2 || !strings.Contains(asked[1], " -a ") {
		t.Errorf("go was asked for %q", asked)
	}
}

// A folder that cannot be had is no cache, and no reason to fail.
func TestWithoutAFolderThereIsNoCache(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	opened := p.open(func(o *pipelines.Options) { o.Cache = filepath.Join(file, "cache") })
	_, release, err := opened.Build(t.Context(), pipelines.BuildRequest{})
	if err != nil {
		t.Fatal(err)
	}
	release()
}
