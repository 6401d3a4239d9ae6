package facts

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/berth-sh/berth/pipelines/fault"
)

func (f *fixture) descends(commit string) bool {
	f.t.Helper()
	yes, err := f.open().Descends(f.t.Context(), commit)
	if err != nil {
		f.t.Fatal(err)
	}
	return yes
}

func TestDescends(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	first := f.commit("a", "1", "first")
	base := f.commit("a", "2", "base")
	child := f.commit("a", "3", "child")
	tip := f.commit("a", "4", "tip")
	f.git("checkout", "-q", "-b", "side", first)
	side := f.commit("b", "1", "side")
	f.at = f.at.Add(time.Minute)
	f.git("merge", "-q", "--no-ff", "-m", "merge", "main")
	merge := f.head()
	f.git("checkout", "-q", "--orphan", "lone")
	lone := f.commit("c", "1", "lone")
	f.git("checkout", "-q", "-f", base)
	for what, c := range map[string]struct {
		commit string
		want   bool
	}{
		"a child":                   {child, true},
		"a grandchild":              {tip, true},
		"a merge of it":             {merge, true},
		"itself":                    {base, false},
		"an ancestor":               {first, false},
		"a branch that left before": {side, false},
		"another history":           {lone, false},
		"an unknown commit":         {strings.Repeat("1", 40), false},
		"no hash":                   {"main", false},
		"nothing":                   {"", false},
	} {
		if got := f.descends(c.commit); got != c.want {
			t.Errorf("%s: %v, want %v", what, got, c.want)
		}
	}
}

// Within one second only git knows which commit came first.
func TestDescendsWithinASecond(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	base := f.commit("a", "1", "base")
	f.git("commit", "-q", "--allow-empty", "-m", "child")
	child := f.head()
	f.git("commit", "-q", "--allow-empty", "-m", "grandchild")
	grandchild := f.head()
	f.git("checkout", "-q", "-b", "side", base)
	f.git("commit", "-q", "--allow-empty", "-m", "side")
	side := f.head()
	f.git("checkout", "-q", child)
	if !f.descends(grandchild) || f.descends(side) || f.descends(base) {
		t.Errorf("of the same second: grandchild %v, side %v, base %v",
			f.descends(grandchild), f.descends(side), f.descends(base))
	}
}

func TestDescendsInAShallowClone(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	one := f.commit("a", "1", "one")
	two := f.commit("a", "2", "two")
	f.git("checkout", "-q", "-b", "side", one)
	f.commit("b", "1", "side")
	side := f.commit("b", "2", "more")
	f.git("checkout", "-q", "main")
	three := f.commit("a", "3", "three")
	shallow := f.in(filepath.Join(t.TempDir(), "shallow"))
	f.git("clone", "--quiet", "--depth=2", "--no-single-branch", "file://"+f.dir, shallow.dir)
	shallow.git("checkout", "-q", two)
	if !shallow.descends(three) || shallow.descends(one) || shallow.descends(side) {
		t.Errorf("three %v, one %v, side %v", shallow.descends(three), shallow.descends(one), shallow.descends(side))
	}
}

func TestNearest(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	one := f.commit("a", "1", "one")
	two := f.commit("a", "2", "two")
	f.git("checkout", "-q", "-b", "side", one)
	side := f.commit("b", "1", "side")
	f.git("checkout", "-q", "main")
	f.at = f.at.Add(time.Minute)
	three := f.commit("a", "3", "three")
	four := f.commit("a", "4", "four")
	set := func(commits ...string) map[string]bool {
		among := map[string]bool{}
		for _, c := range commits {
			among[c] = true
		}
		return among
	}
	for what, c := range map[string]struct {
		among map[string]bool
		want  string
	}{
		"of several the newest":        {set(one, two), two},
		"HEAD itself":                  {set(one, four), four},
		"one far away":                 {set(one), one},
		"one that HEAD has not":        {set(side, one), one},
		"only those that HEAD has not": {set(side, strings.Repeat("1", 40)), ""},
		"none":                         {nil, ""},
	} {
		if got, err := f.open().Nearest(t.Context(), c.among); err != nil || got != c.want {
			t.Errorf("%s: %q, %v; want %q", what, got, err, c.want)
		}
	}
	shallow := f.in(filepath.Join(t.TempDir(), "shallow"))
	f.git("clone", "--quiet", "--depth=2", "file://"+f.dir, shallow.dir)
	if got, err := shallow.open().Nearest(t.Context(), set(one, three)); err != nil || got != three {
		t.Errorf("shallow, within reach: %q, %v", got, err)
	}
	for _, among := range []map[string]bool{set(one), nil} {
		got, err := shallow.open().Nearest(t.Context(), among)
		if got != "" || !errors.Is(err, ErrShallow) || fault.CodeOf(err) != fault.Usage ||
			!strings.Contains(fault.NextOf(err), "--unshallow") {
			t.Errorf("shallow, among %v: %q, %v; want a usage fault around ErrShallow", among, got, err)
		}
	}
}

func TestHeadSubject(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.commit("a", "1", "feat: one\nwrapped\n\nBody.")
	if got, err := f.open().HeadSubject(); err != nil || got != "feat: one wrapped" {
		t.Errorf("subject = %q, %v", got, err)
	}
	if _, err := newFixture(t).open().HeadSubject(); !errors.Is(err, ErrNoCommits) {
		t.Errorf("no commits: %v", err)
	}
}
