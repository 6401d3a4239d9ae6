package version

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/berth-sh/berth/pipelines/config"
	"github.com/berth-sh/berth/pipelines/fault"
)

func TestFindRule(t *testing.T) {
	t.Parallel()
	rules := []config.TagRule{
		{Tag: "app-v*"}, {Branch: "main"}, {Branch: "release/*"}, {Branch: "feature/**"}, {Branch: "**"},
	}
	for ref, want := range map[Ref]int{
		{RefTag, "app-v1.0.0"}:                              0,
		{RefTag, "v1.0.0"}:                                  -1,
		{RefBranch, "main"}:                                 1,
		{RefBranch, "release/1.0"}:                          2,
		{RefBranch, "release/1.0/x"}:                        4,
		{RefBranch, "feature/a/b"}:                          3,
		{RefBranch, "gh-readonly-queue/main/pr-104-abcdef"}: 4,
		{RefPull, "pr-7"}:                                   4,
	} {
		if got := FindRule(rules, ref); got != want {
			t.Errorf("FindRule(%s) = %d, want %d", ref, got, want)
		}
	}
	if got := FindRule([]config.TagRule{{Branch: "pr-*"}, {Branch: "main"}}, Ref{RefPull, "pr-7"}); got != -1 {
		t.Errorf("a pull request matches rule %d, though only ** may", got)
	}
}

func TestTagsPutTheVersionFirst(t *testing.T) {
	t.Parallel()
	rule := config.TagRule{Branch: "feature/**", Set: []string{"latest", "{sha}", "v{version}-dev.{sha}", "feature-{branch}", "latest"}}
	got, err := Tags(&config.Config{}, nil, rule, []string{"feature-*"}, fields())
	if err != nil {
		t.Fatal(err)
	}
	want := []Tag{
		{Name: "v1.4.2-rc.1_build.7-dev.0123456", Class: ClassVersion, Rule: "branch feature/**: v{version}-dev.{sha}"},
		{Name: "latest", Class: ClassFloating, Rule: "branch feature/**: latest"},
		{Name: "0123456", Class: ClassVersion, Rule: "branch feature/**: {sha}"},
		// Under feature/** the branch feature/auth is "auth", and immutable makes its tag one that never moves.
		{Name: "feature-auth", Class: ClassVersion, Rule: "branch feature/**: feature-{branch}"},
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(Tag{}, "Template")); diff != "" {
		t.Error(diff)
	}
}

func TestTagsOfUncommittedWorkMayBeOverwritten(t *testing.T) {
	t.Parallel()
	f := fields()
	f.Dirty = true
	rule := config.TagRule{Branch: "**", Set: []string{"{sha}", "latest"}}
	got, err := Tags(&config.Config{}, nil, rule, nil, f)
	if err != nil {
		t.Fatal(err)
	}
	want := []Tag{
		{Name: "0123456-dirty", Class: ClassFloating, Rule: "branch **: {sha}", Dirty: true},
		{Name: "latest", Class: ClassFloating, Rule: "branch **: latest"},
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(Tag{}, "Template")); diff != "" {
		t.Error(diff)
	}
}

func TestBelowGlob(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ glob, branch, want string }{
		{"**", "feature/auth", "feature/auth"},
		{"feature/**", "feature/auth", "auth"},
		{"feature/**", "feature/a/b", "a/b"},
		{"team/*/fix-*", "team/a/fix-1", "a/fix-1"},
		{"release-*", "release-1", "release-1"},
		{"main", "main", "main"},
	} {
		if got := belowGlob(tc.glob, tc.branch); got != tc.want {
			t.Errorf("belowGlob(%q, %q) = %q, want %q", tc.glob, tc.branch, got, tc.want)
		}
	}
}

func TestCheckRulesPointsAtTheTemplate(t *testing.T) {
	t.Parallel()
	const text = `apiVersion: berth/v1
project: p
components: {a: {go: {}}}
registries: {r: {prefix: ghcr.io/o}}
tags:
  - {branch: main, set: [latest, "%s"]}
environments: {dev: {registry: r}}
`
	for template, want := range map[string]string{
		"{oops}": "berth.yaml:6:34: there is no field {oops}",
		"rc{n}":  "berth.yaml:6:34: \"rc{n}\": {n} counts release candidates",
	} {
		c, err := config.Parse("berth.yaml", []byte(strings.Replace(text, "%s", template, 1)), noEnvironment)
		if err != nil {
			t.Fatal(err)
		}
		err = CheckRules(c)
		if fault.CodeOf(err) != fault.Usage || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("CheckRules with %q = %v; want %q", template, err, want)
		}
	}
}

func noEnvironment(string) (string, bool) { return "", false }
