package guard

import (
	"strings"
	"testing"
	"time"

	"github.com/Masterminds/semver/v3"

	"github.com/berth-sh/berth/pipelines/version"
)

const (
	ours   = "sha256:1111111111111111111111111111111111111111111111111111111111111111"
	theirs = "sha256:2222222222222222222222222222222222222222222222222222222222222222"

	ourCommit   = "1111111111111111111111111111111111111111"
	theirCommit = "2222222222222222222222222222222222222222"
)

func day(n int) time.Time { return time.Date(2026, 3, n, 12, 0, 0, 0, time.UTC) }

// names is a tag at the registry that names their image of a version and a day.
func names(v string, created time.Time) held {
	h := held{digest: theirs, revision: theirCommit, created: created}
	if v != "" {
		h.version = semver.MustParse(v)
	}
	return h
}

// newer is the same of a commit that descends from ours.
func newer(h held) held {
	h.newer = true
	return h
}

// release is a release of our commit, of day 10.
func release() Candidate { return Candidate{Commit: ourCommit, CommitTime: day(10), Release: true} }

// branch is a branch build of our commit, of day 10.
func branch() Candidate { return Candidate{Commit: ourCommit, CommitTime: day(10)} }

func dirty() Candidate { return Candidate{Commit: ourCommit, CommitTime: day(10), Dirty: true} }

// of completes a candidate.
func of(x Candidate, base string) *Candidate {
	x.Repository, x.Version, x.Fresh = "example.com/web", semver.MustParse(base), "berth version bump patch"
	x.Descriptor.Digest = ours
	return &x
}

func TestFloatingTagsMoveForwardOnly(t *testing.T) {
	t.Parallel()
	bare := held{digest: theirs}
	cases := map[string]struct {
		from   Candidate
		base   string
		dirty  bool // the tag names uncommitted work
		now    held
		action Action
		reason string
	}{
		"new":                             {release(), "1.1.0", false, held{}, ActionCreated, "new"},
		"the digest already":              {release(), "1.1.0", false, held{digest: ours}, ActionUnchanged, "it names this digest already"},
		"the digest, and the past":        {branch(), "1.1.0", false, held{digest: ours, created: day(20)}, ActionUnchanged, "it names this digest already"},
		"a newer version":                 {release(), "1.1.0", false, names("1.0.0", day(1)), ActionMoved, "from 1.0.0 to 1.1.0"},
		"numbers, not letters":            {release(), "1.10.0", false, names("1.9.0", day(1)), ActionMoved, "from 1.9.0 to 1.10.0"},
		"an older version":                {release(), "1.0.1", false, names("1.1.0", day(1)), ActionKept, "it names 1.1.0, which is newer than 1.0.1"},
		"a newer version of an old day":   {release(), "1.1.0", false, names("1.0.0", day(20)), ActionMoved, "from 1.0.0 to 1.1.0"},
		"from a pre-release":              {release(), "1.1.0", false, names("1.1.0-rc.1", day(20)), ActionMoved, "from 1.1.0-rc.1 to 1.1.0"},
		"the same version, later":         {release(), "1.1.0", false, names("1.1.0", day(9)), ActionMoved, "from commit " + theirCommit[:12]},
		"the same version, the same time": {release(), "1.1.0", false, names("1.1.0", day(10)), ActionMoved, "from commit " + theirCommit[:12]},
		"the same version, earlier":       {release(), "1.1.0", false, names("1.1.0", day(11)), ActionKept, "it names a newer commit, " + theirCommit[:12]},
		"a pre-release":                   {release(), "1.2.0-rc.1", false, names("1.1.0", day(1)), ActionKept, "a pre-release moves no floating tag"},
		"a pre-release, no tag yet":       {release(), "1.2.0-rc.1", false, held{}, ActionKept, "a pre-release moves no floating tag"},
		"a release over an unknown one":   {release(), "1.1.0", false, bare, ActionMoved, "the image it named does not say how old it is"},
		"the same time, a descendant":     {branch(), "1.0.0", false, newer(names("1.0.0", day(10))), ActionKept, "it names a newer commit, " + theirCommit[:12]},
		"the same time, no descendant":    {branch(), "1.0.0", false, names("1.0.0", day(10)), ActionMoved, "from commit " + theirCommit[:12]},
		"a release, only the time known":  {release(), "1.1.0", false, names("", day(11)), ActionKept, "it names a newer commit, " + theirCommit[:12]},
		"a branch build, later":           {branch(), "1.0.0", false, names("1.0.0", day(9)), ActionMoved, "from commit " + theirCommit[:12]},
		"a branch build, a late re-run":   {branch(), "1.0.0", false, names("1.0.0", day(11)), ActionKept, "it names a newer commit, " + theirCommit[:12]},
		"versions do not order branches":  {branch(), "1.0.0", false, names("9.0.0", day(9)), ActionMoved, "from commit " + theirCommit[:12]},
		"a branch build, unknown image":   {branch(), "1.0.0", false, bare, ActionMoved, "the image it named does not say how old it is"},
		"a branch build, no commit":       {branch(), "1.0.0", false, held{digest: theirs, created: day(9)}, ActionMoved, "from commit unknown"},
		"a branch's pre-release moves":    {branch(), "1.0.0-rc.1", false, names("1.0.0", day(9)), ActionMoved, "from commit " + theirCommit[:12]},
		"dirty moves nothing":             {dirty(), "1.0.0", false, names("1.0.0", day(1)), ActionKept, "uncommitted work moves no floating tag"},
		"dirty creates nothing":           {dirty(), "1.0.0", false, held{}, ActionKept, "uncommitted work moves no floating tag"},
		"dirty tag, new":                  {dirty(), "1.0.0", true, held{}, ActionCreated, "new"},
		"dirty tag, over a newer one":     {dirty(), "1.0.0", true, names("2.0.0", day(20)), ActionMoved, "names uncommitted work"},
		"dirty tag, the same again":       {dirty(), "1.0.0", true, held{digest: ours}, ActionUnchanged, "it names this digest already"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, refusal := decide(of(c.from, c.base), version.Tag{Name: "latest", Class: version.ClassFloating, Dirty: c.dirty}, c.now)
			if refusal != nil {
				t.Fatalf("refused: %+v", refusal)
			}
			if got.Name != "latest" || got.Class != version.ClassFloating || got.Action != c.action || got.Reason != c.reason {
				t.Errorf("%+v\nwant %s: %s", got, c.action, c.reason)
			}
		})
	}
}

// A fix of the line 1.0 is published after 1.1.0: each floating tag follows its own line.
func TestAHotfixMovesItsOwnLineOnly(t *testing.T) {
	t.Parallel()
	x := of(release(), "1.0.1")
	for tag, c := range map[string]struct {
		now  held
		want Action
	}{
		"v1.0":   {names("1.0.0", day(1)), ActionMoved},
		"v1":     {names("1.1.0", day(2)), ActionKept},
		"latest": {names("1.1.0", day(2)), ActionKept},
	} {
		got, refusal := decide(x, version.Tag{Name: tag, Class: version.ClassFloating}, c.now)
		if refusal != nil || got.Action != c.want {
			t.Errorf("%s: %+v, %+v; want %s", tag, got, refusal, c.want)
		}
	}
}

func TestVersionTagsNeverMove(t *testing.T) {
	t.Parallel()
	x := of(release(), "1.0.0")
	tag := version.Tag{Name: "v1.0.0", Class: version.ClassVersion}
	for now, want := range map[string]Action{"": ActionCreated, ours: ActionUnchanged} {
		if got, refusal := decide(x, tag, held{digest: now}); refusal != nil || got.Action != want {
			t.Errorf("held %q: %+v, %+v; want %s", now, got, refusal, want)
		}
	}
	cases := map[string]struct {
		now    held
		reason []string
		next   string
	}{
		"of another commit": {names("1.0.0", day(1)), []string{theirs, theirCommit, ours, ourCommit}, "berth version bump patch"},
		"of no commit":      {held{digest: theirs}, []string{theirs, "unknown", ours, ourCommit}, "berth version bump patch"},
		"of the same commit": {
			held{digest: theirs, revision: ourCommit, version: semver.MustParse("1.0.0")},
			[]string{theirs, ours, ourCommit},
			"the same commit gave other bytes",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, r := decide(x, tag, c.now)
			if r == nil {
				t.Fatal("not refused")
			}
			if r.Subject != "example.com/web:v1.0.0" || !strings.Contains(r.Next, c.next) {
				t.Errorf("%+v", r)
			}
			for _, part := range c.reason {
				if !strings.Contains(r.Reason, part) {
					t.Errorf("%q does not name %s", r.Reason, part)
				}
			}
		})
	}
	// A version tag of uncommitted work is a refusal too, when the environment calls the tag immutable.
	if _, r := decide(of(dirty(), "1.0.0"), version.Tag{Name: "v1.0.0-dirty", Class: version.ClassVersion, Dirty: true},
		names("1.0.0", day(1))); r == nil {
		t.Error("an immutable tag moved for uncommitted work")
	}
}

func BenchmarkDecide(b *testing.B) {
	x, now := of(release(), "1.1.0"), names("1.0.0", day(1))
	tags := []version.Tag{
		{Name: "v1.1.0", Class: version.ClassVersion},
		{Name: "v1.1", Class: version.ClassFloating},
		{Name: "latest", Class: version.ClassFloating},
	}
	b.ReportAllocs()
	for b.Loop() {
		for _, tag := range tags {
			decide(x, tag, now)
		}
	}
}
