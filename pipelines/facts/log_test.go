package facts

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/berth-sh/berth/pipelines/fault"
)

func (f *fixture) log(stop map[string]bool, path string) []Commit {
	f.t.Helper()
	commits, err := f.open().Log(f.t.Context(), stop, path)
	if err != nil {
		f.t.Fatal(err)
	}
	return commits
}

func TestLog(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	one := f.commit("app/a", "1", "feat: one")
	f.git("tag", "-a", "-m", "x", "v1")
	two := f.commit("app/a", "2", "fix: two\nwrapped\n\nBody.\n\nBREAKING CHANGE: yes")
	other := f.commit("other/b", "1", "feat: other")

	want := []Commit{
		{other, "feat: other", ""}, {two, "fix: two wrapped", "Body.\n\nBREAKING CHANGE: yes"},
	}
	if diff := cmp.Diff(want, f.log(map[string]bool{one: true}, "")); diff != "" {
		t.Errorf("since v1 (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want[1:], f.log(map[string]bool{one: true}, "app")); diff != "" {
		t.Errorf("inside app (-want +got):\n%s", diff)
	}
	if got := f.log(nil, "app/"); len(got) != 2 || got[1].Hash != one {
		t.Errorf("the whole history inside app: %v", got)
	}
	if got := f.log(map[string]bool{other: true}, "."); len(got) != 0 {
		t.Errorf("since HEAD: %v", got)
	}
	if got := f.log(map[string]bool{strings.Repeat("1", 40): true, one: false}, ""); len(got) != 3 {
		t.Errorf("a stop commit that is not there: %v", got)
	}
}

// A branch that left before the release and came back after it: its commits are new, those below the fork are not.
func TestLogOfMergedBranches(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.commit("a", "1", "base")
	f.git("checkout", "-q", "-b", "side")
	side := f.commit("b", "1", "side")
	f.git("checkout", "-q", "main")
	release := f.commit("a", "2", "release")
	f.at = f.at.Add(time.Minute)
	f.git("merge", "-q", "--no-ff", "-m", "merge", "side")
	want := []string{f.head(), side}
	if diff := cmp.Diff(want, hashes(f.log(map[string]bool{release: true}, ""))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{side}, hashes(f.log(map[string]bool{release: true}, "b"))); diff != "" {
		t.Errorf("inside b, the merge has nothing of its own (-want +got):\n%s", diff)
	}
}

func hashes(commits []Commit) []string {
	var list []string
	for _, c := range commits {
		list = append(list, c.Hash)
	}
	return list
}

func TestLogInAShallowClone(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	one := f.commit("a", "1", "one")
	two := f.commit("a", "2", "two")
	three := f.commit("a", "3", "three")
	shallow := f.in(filepath.Join(t.TempDir(), "shallow"))
	f.git("clone", "--quiet", "--depth=2", "file://"+f.dir, shallow.dir)
	if diff := cmp.Diff([]string{three}, hashes(shallow.log(map[string]bool{two: true}, ""))); diff != "" {
		t.Errorf("enough history (-want +got):\n%s", diff)
	}
	for _, stop := range []map[string]bool{{one: true}, nil} {
		_, err := shallow.open().Log(t.Context(), stop, "")
		if !errors.Is(err, ErrShallow) || fault.CodeOf(err) != fault.Usage ||
			!strings.Contains(fault.NextOf(err), "--unshallow") {
			t.Errorf("stop %v: %v, want a usage fault around ErrShallow", stop, err)
		}
	}
	shallow.git("fetch", "--quiet", "--unshallow")
	if got := shallow.log(map[string]bool{one: true}, ""); len(got) != 2 {
		t.Errorf("after unshallow: %v", got)
	}
}

// TestLogAgreesWithGit compares with `git rev-list` on random histories with merges, equal dates and clocks that run
// backwards.
func TestLogAgreesWithGit(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(seed, 2))
			f := newFixture(t)
			var all []string
			tree := f.git("write-tree")
			for i := range 30 {
				args := []string{"commit-tree", tree, "-m", fmt.Sprint(i)}
				for _, back := range random.Perm(4)[:1+random.IntN(2)] {
					if back < len(all) {
						args = append(args, "-p", all[len(all)-1-back])
					}
				}
				f.at = f.at.Add(time.Duration(random.IntN(4)-1) * time.Second)
				all = append(all, f.git(args...))
			}
			f.git("update-ref", "refs/heads/main", all[len(all)-1])
			for range 8 {
				stop := make(map[string]bool)
				args := []string{"rev-list", "HEAD"}
				for range random.IntN(3) {
					hash := all[random.IntN(len(all))]
					stop[hash] = true
					args = append(args, "^"+hash)
				}
				want := strings.Fields(f.git(args...))
				got := hashes(f.log(stop, ""))
				sorted := cmpopts.SortSlices(strings.Compare)
				if diff := cmp.Diff(want, got, sorted, cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("git %s (-git +got):\n%s", strings.Join(args, " "), diff)
				}
				if len(got) != len(slices.Compact(slices.Sorted(slices.Values(got)))) {
					t.Errorf("a commit is there twice: %v", got)
				}
			}
		})
	}
}
