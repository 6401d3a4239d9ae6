package live

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/berth-sh/berth/pipelines/config"
)

// A layout has the digests of the command line, which publishes it.
func TestBuild(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	want := digests(decode[[]built](t, native(t, s.project(), "build", "--format", "json")))
	layout := filepath.Join(t.TempDir(), "images")
	call(t, s.project(), "build", "export", "--path", layout).ok(t)
	published := native(t, s.project(), "publish", "--env", "dev", "--sandbox", "--from", layout, "--format", "json")
	if diff := cmp.Diff(want, digests(decode[receipt](t, published).Images)); diff != "" {
		t.Errorf("the command line, then the module:\n%s", diff)
	}
}

// A component runs as a container.
func TestContainer(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	runs := []string{"container", "--component", "web", "with-exec", "--use-entrypoint", "--args=", "stdout"}
	if got := call(t, s.project(), runs...).ok(t); strings.TrimSpace(got) != "open" {
		t.Errorf("it said %q", got)
	}
	other := []string{"container", "--component", "web", "--platform", "linux/arm64", "platform"}
	if got := call(t, s.project(), other...).ok(t); strings.TrimSpace(got) != "linux/arm64" {
		t.Errorf("the platform is %q", got)
	}
}

// The command line builds in the engine too, with the digests of its own toolchain.
func TestCommandLineInTheEngine(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	program, err := berth()
	if err != nil {
		t.Fatal(err)
	}
	inEngine := run(t, s.project(), nil, "dagger", "--silent", "run", program, "build", "--builder", "dagger", "--format", "json")
	want := native(t, s.project(), "build", "--format", "json")
	if diff := cmp.Diff(want, inEngine.ok(t)); diff != "" {
		t.Errorf("its own toolchain, then the engine:\n%s", diff)
	}
}

// A rehearsal publishes to every environment that can be, and needs no account.
func TestRehearse(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	text := call(t, s.project(), "rehearse").ok(t)
	if !strings.Contains(text, "the second publish sent nothing") || !strings.Contains(text, "TEAM is not set") {
		t.Errorf("the rehearsal:\n%s", text)
	}
	sandbox := call(t, s.project(), "--sandbox", "publish", "--env", "dev").ok(t)
	if !strings.Contains(sandbox, "(sandbox)") {
		t.Errorf("in the sandbox:\n%s", sandbox)
	}
}

// The checks pass on a sound repository, and each fails on what it is for.
func TestChecks(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	check := func(args ...string) result {
		return run(t, s.project(), nil, "dagger", append([]string{"--progress=plain", "-m", module(t), "check"}, args...)...)
	}
	check().ok(t)
	s.write("svc/web/main_test.go", "package main\n\nimport \"testing\"\n\nfunc TestShut(t *testing.T) { t.Fatal(\"shut\") }\n")
	if r := check("check-tests"); !r.failed || !strings.Contains(r.stderr, "shut") {
		t.Errorf("a failing test passes:\n%s", r.stderr)
	}
	s.write("svc/web/main.go", "package main\n\nimport \"fmt\"\n\nfunc main() { fmt.Printf(\"%d\\n\", \"open\") }\n")
	if r := check("check-lint"); !r.failed || !strings.Contains(r.stderr, "main.go:5") {
		t.Errorf("go vet has nothing to say:\n%s", r.stderr)
	}
	s.write("svc/VERSION", "nine\n")
	if r := check("check-config"); !r.failed || !strings.Contains(r.stderr, "VERSION") {
		t.Errorf("a version that is none passes:\n%s", r.stderr)
	}
}

// uploadLimit is what a call from a fresh clone of this repository may upload, in bytes.
const uploadLimit = 5 << 20

// A clone of this repository publishes with no argument but the environment, with the digests of the command line.
func TestThisRepository(t *testing.T) {
	t.Parallel()
	live(t)
	clone := filepath.Join(t.TempDir(), "clone")
	run(t, module(t), nil, "git", "clone", "--quiet", "--no-local", ".", clone).ok(t)
	if size := uploaded(t, clone); size > uploadLimit {
		t.Errorf("a call uploads %d bytes, more than %d", size, uploadLimit)
	}
	if _, err := os.Stat(filepath.Join(clone, "dagger.json")); err != nil {
		t.Fatal(err)
	}
	want := digests(decode[[]built](t, native(t, clone, "build", "--format", "json")))
	h := newHub(t, nil)
	got := run(t, clone, nil, "dagger", "--silent", "call", h.service, "publish", "--env", "dev", "--format", "json").ok(t)
	if diff := cmp.Diff(want, digests(decode[receipt](t, got).Images)); diff != "" {
		t.Errorf("the command line, then the module:\n%s", diff)
	}
}

// uploaded is the size of what the engine takes of a repository, in bytes: as the module, it asks for the whole without
// what berth.yaml excludes.
func uploaded(t *testing.T, dir string) (size int64) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "berth.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	excluded := config.Excluded(text)
	if len(excluded) == 0 {
		t.Fatal("berth.yaml excludes nothing")
	}
	args := []string{"--silent", "core", "host", "directory", "--path", dir}
	for _, pattern := range excluded {
		args = append(args, "--exclude", pattern)
	}
	out := filepath.Join(t.TempDir(), "taken")
	run(t, dir, nil, "dagger", append(args, "export", "--path", out)...).ok(t)
	err = filepath.WalkDir(out, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		size += info.Size()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return size
}
