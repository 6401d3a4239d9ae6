package version

import (
	"testing"

	"github.com/Masterminds/semver/v3"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/berth-sh/berth/pipelines/config"
)

func tagsOf(t *testing.T, rule config.TagRule, immutable []string, change func(*Fields)) []Tag {
	t.Helper()
	f := fields()
	change(&f)
	tags, err := Tags(&config.Config{}, nil, rule, immutable, f)
	if err != nil {
		t.Fatal(err)
	}
	return tags
}

// A tag that somebody reads as a release never moves, however it came about.
func TestWhatReadsAsAVersionNeverMoves(t *testing.T) {
	t.Parallel()
	rule := config.TagRule{Branch: "**", Set: []string{"{branch}"}}
	for branch, want := range map[string]Class{
		"v1.0.0": ClassVersion, "1.0.0": ClassVersion, "v10.20.30": ClassVersion, "v1.0.0-rc.1": ClassVersion,
		"1.0.0_build.7": ClassVersion,
		"main":          ClassFloating, "v1": ClassFloating, "v1.0": ClassFloating, "v01.0.0": ClassFloating,
		"v1.0.0.0": ClassFloating, "release-v1.0.0": ClassFloating, "v1.0.x": ClassFloating,
	} {
		got := tagsOf(t, rule, nil, func(f *Fields) { f.Branch = branch })
		want := []Tag{{Name: branch, Class: want, Rule: "branch **: {branch}"}}
		if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(Tag{}, "Template")); diff != "" {
			t.Errorf("branch %s (-want +got):\n%s", branch, diff)
		}
	}
	// The same from literal text and from floating fields.
	for template, want := range map[string]Class{
		"1.2.3": ClassVersion, "v{major}.{minor}.0": ClassVersion, "v{major}.{minor}": ClassFloating,
	} {
		if got := tagsOf(t, config.TagRule{Branch: "**", Set: []string{template}}, nil, func(*Fields) {}); got[0].Class != want {
			t.Errorf("%s: %+v, want %s", template, got, want)
		}
	}
	// Uncommitted work is marked where the version stands, and else may be overwritten.
	dirty := tagsOf(t, rule, nil, func(f *Fields) { f.Branch, f.Dirty = "v1.0.0", true })
	if len(dirty) != 1 || dirty[0].Class != ClassFloating || !dirty[0].Dirty {
		t.Errorf("uncommitted work: %+v", dirty)
	}
}

func TestOfTwoTagsAlikeTheStricterClassHolds(t *testing.T) {
	t.Parallel()
	const release = "1.2.0"
	at := func(f *Fields) { f.Version, f.Branch = semver.MustParse(release), "edge" }
	for what, c := range map[string]struct {
		set       []string
		immutable []string
		want      []Tag
	}{
		"a version without its field": {
			[]string{"v{major}.{minor}.{prerelease}0", "v{version}"},
			nil,
			[]Tag{{Name: "v1.2.0", Class: ClassVersion, Release: true, Rule: "branch **: v{version}"}},
		},
		"the strict one first": {
			[]string{"{tag}", "edge"},
			nil,
			[]Tag{{Name: "edge", Class: ClassVersion, Rule: "branch **: {tag}"}},
		},
		"the floating one first": {
			[]string{"edge", "{tag}"},
			nil,
			[]Tag{{Name: "edge", Class: ClassVersion, Rule: "branch **: edge"}},
		},
		"both floating": {
			[]string{"edge", "{branch}"},
			nil,
			[]Tag{{Name: "edge", Class: ClassFloating, Rule: "branch **: edge"}},
		},
		"both immutable": {
			[]string{"edge", "{branch}"},
			[]string{"e*"},
			[]Tag{{Name: "edge", Class: ClassVersion, Rule: "branch **: edge"}},
		},
	} {
		got := tagsOf(t, config.TagRule{Branch: "**", Set: c.set}, c.immutable, func(f *Fields) {
			at(f)
			f.Tag = "edge"
		})
		if diff := cmp.Diff(c.want, got, cmpopts.IgnoreFields(Tag{}, "Template")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
}

// Alone {branch} is the only thing that tells two branches apart, so that it keeps the folders of the glob.
func TestBranchTagsKeepBranchesApart(t *testing.T) {
	t.Parallel()
	name := func(glob, template, branch string) string {
		t.Helper()
		return tagsOf(t, config.TagRule{Branch: glob, Set: []string{template}}, nil, func(f *Fields) { f.Branch = branch })[0].Name
	}
	feature, bugfix := name("feature/**", "{branch}", "feature/auth"), name("bugfix/**", "{branch}", "bugfix/auth")
	if feature != "feature-auth-fc659bd" || bugfix == feature || bugfix[:len("bugfix-auth-")] != "bugfix-auth-" {
		t.Errorf("feature/auth is %s, bugfix/auth is %s", feature, bugfix)
	}
	if got := name("feature/**", "feature-{branch}", "feature/auth"); got != "feature-auth" {
		t.Errorf("feature-{branch} of feature/auth is %s", got)
	}
	if got := name("**", "feature-{branch}", "feature/auth"); got != "feature-feature-auth-fc659bd" {
		t.Errorf("feature-{branch} under ** is %s", got)
	}
}

// Anybody may call a branch pr-12. It is not pull request 12.
func TestABranchIsNoPullRequest(t *testing.T) {
	t.Parallel()
	for _, template := range []string{"{branch}", "dev-{branch}", "{branch}-{sha}"} {
		rule := config.TagRule{Branch: "**", Set: []string{template}}
		pull := tagsOf(t, rule, nil, func(f *Fields) { f.Branch, f.Pull = "", "12" })[0].Name
		branch := tagsOf(t, rule, nil, func(f *Fields) { f.Branch = "pr-12" })[0].Name
		if pull == branch {
			t.Errorf("%s: the branch pr-12 and pull request 12 are both %s", template, pull)
		}
		if template == "{branch}" && pull != "pr-12" {
			t.Errorf("pull request 12 is %s", pull)
		}
		// The number decides, whatever the branch of the pull request is called.
		if got := tagsOf(t, rule, nil, func(f *Fields) { f.Branch, f.Pull = "main", "12" })[0].Name; got != pull {
			t.Errorf("%s: pull request 12 of a branch main is %s, want %s", template, got, pull)
		}
	}
}

func TestTheTagOfAnotherVersion(t *testing.T) {
	t.Parallel()
	v := semver.MustParse("2.3.4-rc.1+b")
	for template, want := range map[string]string{
		"v{version}": "v2.3.4-rc.1_b", "app-{major}.{minor}.{patch}": "app-2.3.4", "latest": "latest",
		"{tag}": "", "{branch}": "", "rc{n}": "", "": "", "{oops}": "",
	} {
		if got := (Tag{Name: "v1.0.0", Template: template}).Of(v); got != want {
			t.Errorf("%q of %s = %q, want %q", template, v, got, want)
		}
	}
	tags := tagsOf(t, config.TagRule{Branch: "**", Set: []string{"v{version}", "v{major}"}}, nil, func(*Fields) {})
	if got := []string{tags[0].Of(v), tags[1].Of(v)}; got[0] != "v2.3.4-rc.1_b" || got[1] != "v2" {
		t.Errorf("of computed tags: %v", got)
	}
}
