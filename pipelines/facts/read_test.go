package facts

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/berth-sh/berth/pipelines/fault"
)

func TestFactsOfABranch(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	hash := f.commit("cmd/main.go", "package main\n", "feat: start")
	f.git("remote", "add", "origin", "https://ann:s3cret@github.com/o/r.git")
	f.git("tag", "v1.0.0")
	want := Facts{
		Commit: hash, CommitTime: f.at, Branch: "main", Source: "https://github.com/o/r", Origin: "git",
	}
	if diff := cmp.Diff(want, f.facts(Options{TagPattern: "v*"})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// From a folder inside, with packed references and objects, and overridden from outside.
	f.git("pack-refs", "--all")
	f.git("repack", "-adq")
	want.Branch, want.Tag, want.ShortCommit, want.Version = "", "v2", "abcdef0", "2.0.0"
	want.RegistryType, want.Origin = "ecr", "GIT_TAG"
	inside := f.in(filepath.Join(f.dir, "cmd"))
	given := Options{Lookup: env("GIT_TAG=v2 SHA_SHORT=abcdef0 VERSION=2.0.0 REGISTRY_TYPE=ecr GITHUB_SHA=" +
		strings.Repeat("1", 40))}
	if diff := cmp.Diff(want, inside.facts(given)); diff != "" {
		t.Errorf("overridden (-want +got):\n%s", diff)
	}
	if got := inside.open().Root(); got != f.dir {
		t.Errorf("root = %s, want %s", got, f.dir)
	}
	if _, err := f.open().Facts(t.Context(), Options{Lookup: env("SHA_SHORT=zz")}); fault.CodeOf(err) != fault.Usage {
		t.Errorf("bad variable: %v", err)
	}
}

func TestFactsOfADetachedHead(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.commit("a", "1", "one")
	f.git("tag", "-a", "-m", "x", "app-v1.0.0-rc.10")
	f.git("tag", "app-v1.0.0-rc.9")
	f.git("tag", "app-v1.0.0")
	f.git("tag", "other-v9.0.0")
	f.git("tag", "app-vnext")
	f.commit("a", "2", "two")
	f.git("checkout", "--quiet", "--detach")
	if got := f.facts(Options{TagPattern: "app-v*"}); got.Branch != "" || got.Tag != "" || got.Origin != "git" {
		t.Errorf("no tag here: %+v", got)
	}
	f.git("checkout", "--quiet", "HEAD~1")
	if got := f.facts(Options{}); got.Tag != "" {
		t.Errorf("without a pattern: tag %q", got.Tag)
	}
	if got := f.facts(Options{TagPattern: "app-v*"}); got.Tag != "app-v1.0.0" || got.Branch != "" {
		t.Errorf("tag = %q on %q, want app-v1.0.0", got.Tag, got.Branch)
	}
	f.git("tag", "-d", "app-v1.0.0")
	f.git("pack-refs", "--all")
	if got := f.facts(Options{TagPattern: "app-v*"}); got.Tag != "app-v1.0.0-rc.10" {
		t.Errorf("tag = %q, want app-v1.0.0-rc.10", got.Tag)
	}
	if _, err := f.open().Facts(t.Context(), Options{TagPattern: "v["}); fault.CodeOf(err) != fault.Usage {
		t.Errorf("bad pattern: %v", err)
	}
}

func TestFactsOfOtherLayouts(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	first := f.commit("a", "1", "one")
	f.git("remote", "add", "origin", "git@github.com:o/r.git")
	f.commit("a", "2", "two")

	linked := f.in(filepath.Join(t.TempDir(), "linked"))
	f.git("worktree", "add", "--quiet", "-b", "side", linked.dir, first)
	want := Facts{
		Commit: first, CommitTime: fixedTime.Add(f.at.Sub(fixedTime) / 2), Branch: "side",
		Source: "https://github.com/o/r", Origin: "git",
	}
	if diff := cmp.Diff(want, linked.facts(Options{Inputs: []string{"."}})); diff != "" {
		t.Errorf("linked worktree (-want +got):\n%s", diff)
	}
	linked.write("a", "3")
	if diff := cmp.Diff([]string{"a"}, linked.facts(Options{}).Dirty); diff != "" {
		t.Errorf("dirty linked worktree (-want +got):\n%s", diff)
	}
	if got := f.facts(Options{}).Dirty; len(got) != 0 {
		t.Errorf("the main worktree is dirty: %v", got)
	}

	shallow := f.in(filepath.Join(t.TempDir(), "shallow"))
	f.git("clone", "--quiet", "--depth=1", "file://"+f.dir, shallow.dir)
	got := shallow.facts(Options{})
	if !got.Shallow || got.Commit != f.head() || got.Source != "" {
		t.Errorf("shallow clone: %+v", got)
	}

	parent := newFixture(t)
	parent.git("submodule", "--quiet", "add", "file://"+f.dir, "sub")
	parent.git("commit", "--quiet", "--message", "sub")
	sub := parent.in(filepath.Join(parent.dir, "sub"))
	if got := sub.facts(Options{}); got.Commit != f.head() || got.Branch != "main" {
		t.Errorf("submodule: %+v", got)
	}
	sub.write("a", "changed inside")
	if got := parent.facts(Options{Inputs: []string{"."}}).Dirty; len(got) != 0 {
		t.Errorf("the parent of the submodule is dirty: %v", got)
	}

	borrowing := f.in(filepath.Join(t.TempDir(), "borrowing"))
	f.git("clone", "--quiet", "--shared", f.dir, borrowing.dir)
	if got := borrowing.facts(Options{}); got.Commit != f.head() {
		t.Errorf("clone with alternates: %+v", got)
	}
}

func TestFactsOfPartialAndSparseClones(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.commit("in/a", "1", "one")
	f.commit("out/b", "1", "two")
	f.git("config", "uploadpack.allowFilter", "true")
	partial := f.in(filepath.Join(t.TempDir(), "partial"))
	f.git("clone", "--quiet", "--filter=blob:none", "--sparse", "file://"+f.dir, partial.dir)
	partial.git("sparse-checkout", "set", "in")
	if _, err := os.Stat(filepath.Join(partial.dir, "out")); err == nil {
		t.Fatal("the clone is not sparse")
	}
	if got := partial.facts(Options{Inputs: []string{"."}}); got.Commit != f.head() || len(got.Dirty) != 0 {
		t.Errorf("partial and sparse: %+v", got)
	}
	partial.write("in/a", "2")
	if diff := cmp.Diff([]string{"in/a"}, partial.facts(Options{}).Dirty); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	partial.git("sparse-checkout", "set", "--sparse-index", "in")
	if diff := cmp.Diff([]string{"in/a"}, partial.facts(Options{}).Dirty); diff != "" {
		t.Errorf("sparse index (-want +got):\n%s", diff)
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	empty := t.TempDir()
	refused := func(what string, err, cause error) {
		t.Helper()
		if !errors.Is(err, cause) || fault.CodeOf(err) != fault.Usage || fault.NextOf(err) == "" {
			t.Errorf("%s: %v, want a usage fault around %v with a next step", what, err, cause)
		}
	}
	_, err := Open(empty)
	refused("no repository", err, ErrNoRepository)
	_, err = Open(filepath.Join(empty, "missing"))
	refused("no folder", err, fs.ErrNotExist)
	f := newFixture(t)
	_, err = f.open().Facts(t.Context(), Options{})
	refused("no commits", err, ErrNoCommits)
	_, err = f.open().Log(t.Context(), nil, "")
	refused("log without commits", err, ErrNoCommits)
	f.commit("a", "1", "one")
	f.git("config", "core.repositoryFormatVersion", "7")
	if _, err := Open(f.dir); fault.CodeOf(err) != fault.Usage || fault.NextOf(err) == "" {
		t.Errorf("unknown format: %v", err)
	}
	broken := t.TempDir()
	if err := os.WriteFile(filepath.Join(broken, ".git"), []byte("gitdir: ../gone\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(broken); fault.CodeOf(err) != fault.Usage {
		t.Errorf("broken link: %v", err)
	}
	// An empty .git folder is not a repository, nor does it hide the one above.
	g := newFixture(t)
	g.commit("a", "1", "one")
	if err := os.MkdirAll(filepath.Join(g.dir, "sub", ".git"), 0o755); err != nil {
		t.Fatal(err)
	}
	if r := g.in(filepath.Join(g.dir, "sub")).open(); r.Root() != g.dir {
		t.Errorf("root = %s, want %s", r.Root(), g.dir)
	}
}

func TestTagsAndHeadFile(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	one := f.commit("a b/c", "one\n", "one")
	f.git("tag", "-a", "-m", "x", "v1")
	f.git("tag", "-a", "-m", "x", "again", "v1")
	f.git("tag", "blob", "HEAD:a b/c")
	two := f.commit("a b/c", "two\n", "two")
	f.git("tag", "light")
	for round := range 3 {
		if round == 2 {
			// A packed tag that was moved: the loose one counts.
			f.git("tag", "-f", "-a", "-m", "x", "v1", two)
			f.git("tag", "-f", "-a", "-m", "y", "v1", one)
		}
		got, err := f.open().Tags(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]Tag{{"again", one}, {"light", two}, {"v1", one}}, got); diff != "" {
			t.Errorf("tags (-want +got):\n%s", diff)
		}
		if round == 0 {
			f.git("tag", "-d", "blob")
		}
		f.git("pack-refs", "--all")
	}
	f.write("a b/c", "three\n")
	r := f.open()
	if got, err := r.HeadFile(t.Context(), "a b/c"); err != nil || string(got) != "two\n" {
		t.Errorf("HeadFile = %q, %v", got, err)
	}
	for _, missing := range []string{"x", "a b", "a b/x", "../a"} {
		_, err := r.HeadFile(t.Context(), missing)
		if !errors.Is(err, fs.ErrNotExist) || fault.CodeOf(err) != fault.Usage {
			t.Errorf("HeadFile(%q) = %v, want not exist", missing, err)
		}
	}
	if got, err := r.FileAt(t.Context(), one, "a b/c"); err != nil || string(got) != "one\n" {
		t.Errorf("FileAt = %q, %v", got, err)
	}
	if _, err := r.FileAt(t.Context(), two, "x"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("FileAt of no file: %v", err)
	}
	for _, unknown := range []string{strings.Repeat("1", 40), "", "main"} {
		_, err := r.FileAt(t.Context(), unknown, "a b/c")
		if errors.Is(err, fs.ErrNotExist) || fault.CodeOf(err) != fault.Usage || !strings.Contains(err.Error(), "does not have it") {
			t.Errorf("FileAt(%q) = %v", unknown, err)
		}
	}
}
