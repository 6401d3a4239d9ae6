package facts

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The tests make their repositories with the git program itself, so that what is read is what git writes.

var fixedTime = time.Date(2026, 3, 1, 12, 30, 0, 0, time.UTC)

func clock() time.Time { return fixedTime }

// hermetic is an environment in which git sees no configuration of the machine.
func hermetic(home string) []string {
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + home, "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=" + os.DevNull,
		"GIT_TERMINAL_PROMPT=0", "LC_ALL=C",
	}
}

// author are the variables that name the author and fix the dates.
func author(at time.Time) []string {
	date := fmt.Sprintf("@%d +0100", at.Unix())
	return []string{
		"GIT_AUTHOR_NAME=Ann", "GIT_AUTHOR_EMAIL=ann@example.com", "GIT_AUTHOR_DATE=" + date,
		"GIT_COMMITTER_NAME=Ann", "GIT_COMMITTER_EMAIL=ann@example.com", "GIT_COMMITTER_DATE=" + date,
	}
}

type fixture struct {
	t    testing.TB
	dir  string
	home string
	at   time.Time
}

// newFixture makes an empty repository on branch main.
func newFixture(t testing.TB) *fixture {
	t.Helper()
	f := &fixture{t: t, dir: filepath.Join(t.TempDir(), "repository"), home: t.TempDir(), at: fixedTime}
	if err := os.MkdirAll(f.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	f.git("init", "--quiet", "--initial-branch=main")
	f.git("config", "gc.auto", "0")
	f.git("config", "maintenance.auto", "false")
	return f
}

// in is the same fixture in another folder.
func (f *fixture) in(dir string) *fixture {
	return &fixture{t: f.t, dir: dir, home: f.home, at: f.at}
}

func (f *fixture) try(args ...string) (string, error) {
	cmd := exec.Command("git", append([]string{"-c", "protocol.file.allow=always"}, args...)...)
	cmd.Dir = f.dir
	cmd.Env = append(hermetic(f.home), author(f.at)...)
	out, err := cmd.CombinedOutput()
	return strings.TrimRight(string(out), "\n"), err
}

func (f *fixture) git(args ...string) string {
	f.t.Helper()
	out, err := f.try(args...)
	if err != nil {
		f.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func (f *fixture) write(name, content string) {
	f.t.Helper()
	full := filepath.Join(f.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(full, []byte(content), 0o644); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) read(name string) string {
	f.t.Helper()
	content, err := os.ReadFile(filepath.Join(f.dir, filepath.FromSlash(name)))
	if err != nil {
		f.t.Fatal(err)
	}
	return string(content)
}

// commit writes a file and commits it, a minute after the last commit; it returns the hash.
func (f *fixture) commit(name, content, message string) string {
	f.t.Helper()
	f.write(name, content)
	f.at = f.at.Add(time.Minute)
	f.git("add", "--", name)
	f.git("commit", "--quiet", "--message", message)
	return f.head()
}

func (f *fixture) head() string {
	f.t.Helper()
	return f.git("rev-parse", "HEAD")
}

// open opens the repository with the fixture's environment and more variables.
func (f *fixture) open(more ...string) *Repository {
	f.t.Helper()
	r, err := Open(f.dir, WithClock(clock), WithEnviron(append(hermetic(f.home), more...)))
	if err != nil {
		f.t.Fatal(err)
	}
	return r
}

func (f *fixture) facts(options Options) Facts {
	f.t.Helper()
	found, err := f.open().Facts(f.t.Context(), options)
	if err != nil {
		f.t.Fatal(err)
	}
	return found
}
