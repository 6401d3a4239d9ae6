package facts

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A job may check out something else than what its variables name. Then its ref says nothing of what is built.
func TestConflict(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	old := f.commit("a", "1", "one")
	f.git("tag", "-a", "-m", "x", "v1")
	head := f.commit("a", "2", "two")
	f.git("tag", "-a", "-m", "x", "v2")
	expand := strings.NewReplacer("OLD", old, "HEAD", head, "OBJECT", f.git("rev-parse", "v2")).Replace
	taggedElsewhere := func(variable string) *Conflict {
		return &Conflict{
			Subject: "git tag v1", Reason: "it names commit " + old[:12] + ", but " + head[:12] + " is checked out",
			Next: "git checkout v1, or unset " + variable,
		}
	}
	otherCommit := func(variable, origin, ref string) *Conflict {
		return &Conflict{
			Subject: variable,
			Reason: origin + " runs for " + ref + " at commit " + old[:12] + ", but " + head[:12] +
				" is checked out",
			Next: "check out that commit, or say by hand what this one is: GIT_BRANCH=…",
		}
	}
	tests := []struct {
		name, env string
		want      *Conflict
	}{
		{"nothing said", "", nil},
		{"a tag of another commit", "GITHUB_REF=refs/tags/v1", taggedElsewhere("GITHUB_REF")},
		{"the tag's commit is not HEAD's", "GITHUB_REF=refs/tags/v1 GITHUB_SHA=HEAD", taggedElsewhere("GITHUB_REF")},
		{"a tag of another commit by hand", "GIT_TAG=v1", taggedElsewhere("GIT_TAG")},
		{"a tag of another commit, GitLab", "CI_COMMIT_TAG=v1 CI_COMMIT_SHA=OLD", taggedElsewhere("CI_COMMIT_TAG")},
		{"a tag of this commit", "GITHUB_REF=refs/tags/v2 GITHUB_SHA=HEAD", nil},
		{"a tag of this commit, its object named", "GITHUB_REF=refs/tags/v2 GITHUB_SHA=OBJECT", nil},
		{"a tag this clone lacks", "GITHUB_REF=refs/tags/v9", nil},
		{"a tag this clone lacks, of this commit", "GITHUB_REF=refs/tags/v9 GITHUB_SHA=HEAD", nil},
		{
			"a tag this clone lacks, of another commit", "GITHUB_REF=refs/tags/v9 GITHUB_SHA=OLD",
			otherCommit("GITHUB_SHA", "GitHub Actions", "v9"),
		},
		{
			"GitHub", "GITHUB_REF=refs/heads/main GITHUB_SHA=OLD",
			otherCommit("GITHUB_SHA", "GitHub Actions", "main"),
		},
		{"GitLab", "CI_COMMIT_BRANCH=main CI_COMMIT_SHA=OLD", otherCommit("CI_COMMIT_SHA", "GitLab CI", "main")},
		{
			"Jenkins", "JENKINS_HOME=/j BRANCH_NAME=main GIT_COMMIT=OLD",
			otherCommit("GIT_COMMIT", "Jenkins", "main"),
		},
		{"CircleCI", "CIRCLE_BRANCH=main CIRCLE_SHA1=OLD", otherCommit("CIRCLE_SHA1", "CircleCI", "main")},
		{
			"Azure", "BUILD_SOURCEBRANCH=refs/heads/main BUILD_SOURCEVERSION=OLD",
			otherCommit("BUILD_SOURCEVERSION", "Azure Pipelines", "main"),
		},
		{
			"Buildkite", "BUILDKITE_BRANCH=main BUILDKITE_COMMIT=OLD",
			otherCommit("BUILDKITE_COMMIT", "Buildkite", "main"),
		},
		{"the same commit", "GITHUB_REF=refs/heads/main GITHUB_SHA=HEAD", nil},
		{"no hash", "BUILDKITE_BRANCH=main BUILDKITE_COMMIT=latest", nil},
		{"no commit", "GITHUB_REF=refs/heads/main", nil},
		{"a pull request", "GITHUB_REF=refs/pull/7/merge GITHUB_HEAD_REF=main GITHUB_SHA=OLD", nil},
		{"a branch by hand", "GIT_BRANCH=main GITHUB_REF=refs/heads/other GITHUB_SHA=OLD", nil},
		{"a tag by hand", "GIT_TAG=v2 GITHUB_REF=refs/heads/other GITHUB_SHA=OLD", nil},
		{"another CI's commit", "GITHUB_REF=refs/heads/main CI_COMMIT_SHA=OLD", nil},
		{"a commit and no ref", "GITHUB_SHA=OLD", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := f.facts(Options{Lookup: env(expand(tt.env))})
			if diff := cmp.Diff(tt.want, got.Conflict); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if got.Commit != head {
				t.Errorf("commit = %s, want HEAD", got.Commit)
			}
		})
	}
}

// Jenkins knows its own address only once an administrator has set it.
func TestJenkinsWithoutAnAddress(t *testing.T) {
	t.Parallel()
	type want struct{ Branch, Tag, Pull, Origin string }
	for settings, w := range map[string]want{
		"JENKINS_HOME=/j BRANCH_NAME=main GIT_BRANCH=origin/main": {"main", "", "", "Jenkins"},
		"JENKINS_HOME=/j GIT_BRANCH=origin/topic":                 {"topic", "", "", "Jenkins"},
		"JENKINS_HOME=/j TAG_NAME=v1 BRANCH_NAME=v1":              {"", "v1", "", "Jenkins"},
		"CHANGE_ID=4 CHANGE_BRANCH=main BRANCH_NAME=PR-4":         {"main", "", "4", "Jenkins"},
		"CHANGE_ID=4 CHANGE_BRANCH=a GIT_BRANCH=main":             {"a", "", "4", "Jenkins"},
		"BRANCH_NAME=main TAG_NAME=v1":                            {},
		"GIT_BRANCH=origin/main":                                  {"main", "", "", "GIT_BRANCH"},
	} {
		got, err := readEnvironment(env(settings))
		if err != nil {
			t.Errorf("%s: %v", settings, err)
			continue
		}
		if diff := cmp.Diff(w, want{got.branch, got.tag, got.pullRequest, got.origin}); diff != "" {
			t.Errorf("%s (-want +got):\n%s", settings, diff)
		}
	}
}
