package facts

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// status is what git itself calls dirty, in the form of [Facts.Dirty].
func (f *fixture) status() []string {
	f.t.Helper()
	// Refreshing would write the index and so change what is tested.
	out := f.git("--no-optional-locks", "status", "--porcelain=v1", "-z", "--no-renames", "--untracked-files=all")
	var paths []string
	for line := range strings.SplitSeq(out, "\x00") {
		if len(line) > 3 {
			paths = append(paths, strings.TrimSuffix(line[3:], "/"))
		}
	}
	slices.Sort(paths)
	return slices.Compact(paths)
}

func (f *fixture) dirty() []string {
	f.t.Helper()
	return f.facts(Options{Inputs: []string{"."}}).Dirty
}

// age sets a file's times back, so that the index can vouch for it.
func (f *fixture) age(name string) {
	f.t.Helper()
	old := fixedTime
	if err := os.Chtimes(filepath.Join(f.dir, name), old, old); err != nil {
		f.t.Fatal(err)
	}
}

const sameSizeAndTime = "edited to the same size and time"

func TestDirty(t *testing.T) {
	t.Parallel()
	start := func(t *testing.T) *fixture {
		f := newFixture(t)
		for _, name := range []string{"a", "dir/b", "dir/sub/c", "run.sh"} {
			f.write(name, "one\n")
		}
		if err := os.Chmod(filepath.Join(f.dir, "run.sh"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("a", filepath.Join(f.dir, "link")); err != nil {
			t.Fatal(err)
		}
		f.write(".gitignore", "*.log\n/out/\n!keep.log\n")
		f.git("add", ".")
		f.git("commit", "--quiet", "--message", "all")
		return f
	}
	tests := []struct {
		name string
		do   func(t *testing.T, f *fixture)
		want []string
	}{
		{"clean", func(*testing.T, *fixture) {}, nil},
		{"edited", func(_ *testing.T, f *fixture) { f.write("a", "two\n") }, []string{"a"}},
		{sameSizeAndTime, func(_ *testing.T, f *fixture) {
			f.age("a")
			f.git("update-index", "--refresh")
			f.write("a", "two\n")
			f.age("a")
		}, []string{"a"}},
		{"touched", func(_ *testing.T, f *fixture) { f.age("a") }, nil},
		{"written again", func(_ *testing.T, f *fixture) { f.write("dir/b", "one\n") }, nil},
		{"staged", func(_ *testing.T, f *fixture) { f.write("dir/b", "2"); f.git("add", ".") }, []string{"dir/b"}},
		{"staged and put back in the work tree", func(_ *testing.T, f *fixture) {
			f.write("a", "2")
			f.git("add", ".")
			f.write("a", "one\n")
		}, []string{"a"}},
		{"new and staged", func(_ *testing.T, f *fixture) { f.write("new", "2"); f.git("add", ".") }, []string{"new"}},
		{"new with intent to add", func(_ *testing.T, f *fixture) {
			f.write("new", "2")
			f.git("add", "-N", ".")
		}, []string{"new"}},
		{"removed", func(_ *testing.T, f *fixture) { f.git("rm", "-q", "dir/sub/c") }, []string{"dir/sub/c"}},
		{"removed from the index alone", func(_ *testing.T, f *fixture) {
			f.git("rm", "-q", "--cached", "a")
		}, []string{"a"}},
		{"deleted", func(t *testing.T, f *fixture) { remove(t, f, "dir") }, []string{"dir/b", "dir/sub/c"}},
		{"file for a folder", func(t *testing.T, f *fixture) {
			remove(t, f, "dir")
			f.write("dir", "")
		}, []string{"dir", "dir/b", "dir/sub/c"}},
		{"executable", func(t *testing.T, f *fixture) { chmod(t, f, "a", 0o755) }, []string{"a"}},
		{"not executable", func(t *testing.T, f *fixture) { chmod(t, f, "run.sh", 0o644) }, []string{"run.sh"}},
		{"mode that does not count", func(_ *testing.T, f *fixture) {
			f.git("config", "core.fileMode", "false")
			chmod(t, f, "a", 0o755)
		}, nil},
		{"other permissions", func(t *testing.T, f *fixture) { chmod(t, f, "a", 0o600) }, nil},
		{"link elsewhere", func(t *testing.T, f *fixture) {
			remove(t, f, "link")
			if err := os.Symlink("b", filepath.Join(f.dir, "link")); err != nil {
				t.Fatal(err)
			}
		}, []string{"link"}},
		{"file for a link", func(t *testing.T, f *fixture) { remove(t, f, "link"); f.write("link", "a") }, []string{"link"}},
		{"untracked", func(_ *testing.T, f *fixture) { f.write("dir/new", "") }, []string{"dir/new"}},
		{"ignored", func(_ *testing.T, f *fixture) {
			f.write("x.log", "")
			f.write("out/x", "")
			f.write("dir/y.log", "")
		}, nil},
		{"ignored but for one", func(_ *testing.T, f *fixture) { f.write("dir/keep.log", "") }, []string{"dir/keep.log"}},
		{"ignored further down", func(_ *testing.T, f *fixture) {
			f.write("dir/.gitignore", "/gen\r\n.gitignore\r\n")
			f.write("dir/gen", "")
			f.write("dir/sub/gen", "")
		}, []string{"dir/sub/gen"}},
		{"all of a folder ignored but for one", func(_ *testing.T, f *fixture) {
			f.write(".gitignore", "gen/**\n!gen/keep\n")
			f.git("add", ".")
			f.git("commit", "-q", "-m", "x")
			f.write("gen/keep", "")
			f.write("gen/x", "")
		}, []string{"gen/keep"}},
		{"ignored here alone", func(_ *testing.T, f *fixture) {
			f.write(".git/info/exclude", "*.tmp\n")
			f.write("x.tmp", "")
		}, nil},
		{"ignored by the user", func(_ *testing.T, f *fixture) {
			f.git("config", "core.excludesFile", f.home+"/mine")
			if err := os.WriteFile(f.home+"/mine", []byte("*.swp\n"), 0o600); err != nil {
				f.t.Fatal(err)
			}
			f.write("a.swp", "")
		}, nil},
		{"tracked although ignored", func(_ *testing.T, f *fixture) {
			f.write("x.log", "1")
			f.git("add", "-f", "x.log")
			f.git("commit", "-q", "-m", "x")
			f.write("x.log", "2")
		}, []string{"x.log"}},
		{"repository inside", func(_ *testing.T, f *fixture) {
			f.write("inner/x", "")
			f.in(filepath.Join(f.dir, "inner")).git("init", "-q")
		}, []string{"inner"}},
		{"skipped in the work tree", func(t *testing.T, f *fixture) {
			f.git("update-index", "--skip-worktree", "a")
			remove(t, f, "a")
		}, nil},
		{"index of version 4", func(_ *testing.T, f *fixture) {
			f.git("update-index", "--index-version", "4")
			f.write("a", "2")
		}, []string{"a"}},
		{"split index", func(_ *testing.T, f *fixture) {
			f.git("update-index", "--split-index")
			f.write("dir/b", "2")
			f.write("dir/new", "")
		}, []string{"dir/b", "dir/new"}},
		{"no index", func(t *testing.T, f *fixture) {
			remove(t, f, ".git/index")
		}, []string{".gitignore", "a", "dir/b", "dir/sub/c", "link", "run.sh"}},
		{"conflict", func(_ *testing.T, f *fixture) {
			f.git("checkout", "-q", "-b", "other")
			f.commit("a", "other\n", "other")
			f.git("checkout", "-q", "main")
			f.commit("a", "main\n", "main")
			if out, err := f.try("merge", "other"); err == nil {
				f.t.Fatalf("no conflict: %s", out)
			}
		}, []string{"a"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := start(t)
			tt.do(t, f)
			got := f.dirty()
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if tt.name == sameSizeAndTime {
				// git compares whole seconds here and may miss it.
				return
			}
			if diff := cmp.Diff(f.status(), got); diff != "" {
				t.Errorf("(-git status +got):\n%s", diff)
			}
		})
	}
}

func remove(t *testing.T, f *fixture, name string) {
	t.Helper()
	if err := os.RemoveAll(filepath.Join(f.dir, name)); err != nil {
		t.Fatal(err)
	}
}

func chmod(t *testing.T, f *fixture, name string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(filepath.Join(f.dir, name), mode); err != nil {
		t.Fatal(err)
	}
}

// A file written in the instant in which the index was written may have changed after it was added.
func TestRacyEntriesAreNotTrusted(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.commit("a", "1", "one")
	info, err := os.Lstat(filepath.Join(f.dir, "a"))
	if err != nil {
		t.Fatal(err)
	}
	idx, err := f.open().git.Storer.Index()
	if err != nil {
		t.Fatal(err)
	}
	written := info.ModTime().UnixNano()
	if !(comparer{indexTime: written + 1}).untouched(idx.Entries[0], info) {
		t.Error("an entry older than the index is not trusted")
	}
	if (comparer{indexTime: written}).untouched(idx.Entries[0], info) {
		t.Error("an entry as old as the index is trusted")
	}
}

func TestDirtyInputs(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.write(".gitignore", "/in/gen/\n")
	f.git("add", ".")
	f.commit("in/a", "1", "one")
	for _, name := range []string{
		"in/new", "in/deep/new", "in/gen/new", "inside/new", "out/new", "new",
		".berth/state", "in/.berth/state",
	} {
		f.write(name, "")
	}
	tests := []struct{ inputs, want []string }{
		{nil, nil},
		{[]string{"in"}, []string{"in/deep/new", "in/new"}},
		{[]string{"./in/", "in/deep", "in"}, []string{"in/deep/new", "in/new"}},
		{[]string{"in/gen", "missing", "../x", ".berth"}, nil},
		{[]string{"out", "in/deep"}, []string{"in/deep/new", "out/new"}},
		{[]string{"."}, []string{"in/deep/new", "in/new", "inside/new", "new", "out/new"}},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, f.facts(Options{Inputs: tt.inputs}).Dirty); diff != "" {
			t.Errorf("inputs %v (-want +got):\n%s", tt.inputs, diff)
		}
	}
	f.git("update-index", "--split-index")
	for _, tt := range tests {
		if slices.Contains(tt.inputs, "in/gen") {
			continue
		}
		if diff := cmp.Diff(tt.want, f.facts(Options{Inputs: tt.inputs}).Dirty); diff != "" {
			t.Errorf("split index, inputs %v (-want +got):\n%s", tt.inputs, diff)
		}
	}
}

// A copy that was made without some files is clean, as long as no image is built from them.
func TestDirtyCopies(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, name := range []string{"docs/a", "docs/keep/b", "in/docs/c", "lib/go.mod", "lib/l.go", "lib/l.txt", "x"} {
		f.write(name, "1")
	}
	f.git("add", ".")
	f.git("commit", "--quiet", "--message", "all")
	for _, name := range []string{"docs", "in", "lib"} {
		if err := os.RemoveAll(filepath.Join(f.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	f.write("docs/keep/b", "2")
	tests := []struct{ absent, want []string }{
		{nil, []string{"docs/a", "docs/keep/b", "in/docs/c", "lib/go.mod", "lib/l.go", "lib/l.txt"}},
		{[]string{"docs"}, []string{"docs/keep/b", "in/docs/c", "lib/go.mod", "lib/l.go", "lib/l.txt"}},
		{[]string{"**/*"}, []string{"docs/keep/b", "in/docs/c", "lib/go.mod", "lib/l.go"}},
		{[]string{"**/*", "!docs/a"}, []string{"docs/a", "docs/keep/b", "in/docs/c", "lib/go.mod", "lib/l.go"}},
	}
	for _, index := range []string{"plain", "split"} {
		if index == "split" { // which only git itself can read
			f.git("update-index", "--split-index")
		}
		for _, tt := range tests {
			options := Options{Inputs: []string{"in"}, Modules: []string{"lib"}, Absent: tt.absent}
			if diff := cmp.Diff(tt.want, f.facts(options).Dirty); diff != "" {
				t.Errorf("%s index, without %v (-want +got):\n%s", index, tt.absent, diff)
			}
		}
	}
}

func TestDirtyConversions(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.write("text", "one\r\ntwo\r\n")
	content := strings.Repeat("big", 1000)
	pointer := fmt.Sprintf("version https://git-lfs.github.com/spec/v1\noid sha256:%x\nsize %d\n",
		sha256.Sum256([]byte(content)), len(content))
	f.write("large", pointer)
	f.git("config", "core.autocrlf", "true")
	f.git("add", ".")
	f.git("commit", "-q", "-m", "x")
	f.write("text", "one\r\ntwo\r\n")
	f.write("large", content)
	if got := f.dirty(); len(got) != 0 {
		t.Errorf("dirty after conversions: %v", got)
	}
	f.write("text", "one\r\ntwo!\r\n")
	f.write("large", content[1:]+"x")
	if diff := cmp.Diff([]string{"large", "text"}, f.dirty()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestDirtyAgreesWithGit makes random edits and compares with `git status` after each.
func TestDirtyAgreesWithGit(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(seed, 1))
			f := newFixture(t)
			f.write("seed", "")
			f.git("add", ".")
			f.git("commit", "-q", "-m", "seed")
			for step := range 40 {
				did := f.edit(random)
				want, got := f.status(), f.dirty()
				if diff := cmp.Diff(want, got); diff != "" {
					t.Fatalf("step %d, %s (-git status +got):\n%s", step, did, diff)
				}
			}
		})
	}
}

// edit does one random thing a person could do.
func (f *fixture) edit(random *rand.Rand) string {
	f.t.Helper()
	names := []string{"a", "b.log", "d/a", "d/b.log", "d/e/a", "d/e/x.tmp", "g/a", "g/h/b.log"}
	name := names[random.IntN(len(names))]
	full := filepath.Join(f.dir, name)
	switch random.IntN(10) {
	case 0, 1, 2:
		content := fmt.Sprint(random.IntN(3))
		f.write(name, content)
		return "write " + name + " " + content
	case 3:
		_ = os.Remove(full)
		return "remove " + name
	case 4:
		_, _ = f.try("add", "--force", "--", name)
		return "add " + name
	case 5:
		_, _ = f.try("rm", "--cached", "-q", "--", name)
		return "forget " + name
	case 6:
		f.git("commit", "-q", "--allow-empty", "-m", "x")
		return "commit"
	case 7:
		_ = os.Chmod(full, []os.FileMode{0o644, 0o755}[random.IntN(2)])
		return "chmod " + name
	case 8:
		patterns := []string{
			"*.log", "/d/e/", "a", "!a", "e/", "d/*", "!/d/e", "**/h", "x.*", "[ab]*.log", "#a",
			"g/**/b.log",
			"d/**", "!d/e/a", "**/a", "g/**", "!b.log", "/*", "!/g/",
		}
		content := patterns[random.IntN(len(patterns))] + "\n" + patterns[random.IntN(len(patterns))] + "\n"
		where := []string{".gitignore", "d/.gitignore"}[random.IntN(2)]
		f.write(where, content)
		return fmt.Sprintf("ignore %s %q", where, content)
	default:
		if _, err := os.Stat(full); err == nil {
			old := fixedTime.Add(time.Duration(random.IntN(3)) * time.Second)
			_ = os.Chtimes(full, old, old)
		}
		return "touch " + name
	}
}

// BenchmarkFacts measures a clean repository of 2,000 files.
func BenchmarkFacts(b *testing.B) {
	f := newFixture(b)
	for i := range 2000 {
		f.write(fmt.Sprintf("d%d/e%d/f%d.go", i%20, i%7, i), fmt.Sprintf("package p%d\n", i))
	}
	f.git("add", ".")
	f.git("commit", "-q", "-m", "x")
	f.git("repack", "-adq")
	options := Options{Inputs: []string{"d1", "d2"}, TagPattern: "v*"}
	b.ReportAllocs()
	for b.Loop() {
		r := f.open()
		found, err := r.Facts(b.Context(), options)
		if err != nil || len(found.Dirty) != 0 {
			b.Fatal(err, found.Dirty)
		}
	}
}
