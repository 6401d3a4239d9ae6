package facts

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/berth-sh/berth/pipelines/fault"
)

// env makes a lookup of "A=x B=y".
func env(settings string) func(string) (string, bool) {
	values := make(map[string]string)
	for _, setting := range strings.Fields(settings) {
		name, value, _ := strings.Cut(setting, "=")
		values[name] = value
	}
	return func(name string) (string, bool) {
		value, ok := values[name]
		return value, ok
	}
}

func TestReadEnvironment(t *testing.T) {
	t.Parallel()
	const queue = "gh-readonly-queue/main/pr-7-0123456789abcdef0123456789abcdef01234567"
	type want struct{ Branch, Tag, Pull, Origin string }
	tests := []struct {
		name, env string
		want      want
	}{
		{"nothing", "", want{}},
		{"empty variables are unset", "GITHUB_REF= GIT_BRANCH= CI_COMMIT_TAG= BUILDKITE_TAG=", want{}},

		{"GitHub branch", "GITHUB_ACTIONS=true GITHUB_REF=refs/heads/feature/a GITHUB_REF_NAME=feature/a " +
			"GITHUB_HEAD_REF=", want{"feature/a", "", "", "GitHub Actions"}},
		{"GitHub reference alone", "GITHUB_REF=refs/heads/main", want{"main", "", "", "GitHub Actions"}},
		{"GitHub tag", "GITHUB_REF=refs/tags/v1.0.0", want{"", "v1.0.0", "", "GitHub Actions"}},
		{
			"GitHub pull request", "GITHUB_REF=refs/pull/12/merge GITHUB_HEAD_REF=feature/a GITHUB_BASE_REF=main",
			want{"feature/a", "", "12", "GitHub Actions"},
		},
		{
			"GitHub pull request from main of a fork", "GITHUB_REF=refs/pull/12/merge GITHUB_HEAD_REF=main",
			want{"main", "", "12", "GitHub Actions"},
		},
		{
			"GitHub pull request by its name", "GITHUB_REF_NAME=12/merge GITHUB_HEAD_REF=a",
			want{"a", "", "12", "GitHub Actions"},
		},
		{"GitHub pull_request_target runs on main", "GITHUB_REF=refs/heads/main GITHUB_HEAD_REF=main " +
			"GITHUB_EVENT_NAME=pull_request_target", want{"main", "", unknownPullRequest, "GitHub Actions"}},
		{"GitHub merge queue", "GITHUB_REF=refs/heads/" + queue, want{queue, "", "", "GitHub Actions"}},
		{"GitHub names alone, branch", "GITHUB_REF_NAME=main GITHUB_REF_TYPE=branch", want{"main", "", "", "GitHub Actions"}},
		{"GitHub names alone, tag", "GITHUB_REF_NAME=v1 GITHUB_REF_TYPE=tag", want{"", "v1", "", "GitHub Actions"}},

		{"GitLab branch", "GITLAB_CI=true CI_COMMIT_BRANCH=main CI_COMMIT_REF_NAME=main", want{"main", "", "", "GitLab CI"}},
		{"GitLab tag", "CI_COMMIT_TAG=v1 CI_COMMIT_REF_NAME=v1", want{"", "v1", "", "GitLab CI"}},
		{
			"GitLab merge request", "CI_MERGE_REQUEST_IID=3 CI_MERGE_REQUEST_SOURCE_BRANCH_NAME=a CI_COMMIT_REF_NAME=a",
			want{"a", "", "3", "GitLab CI"},
		},
		{
			"GitLab merge request, branch by the reference", "CI_MERGE_REQUEST_IID=3 CI_COMMIT_REF_NAME=a",
			want{"a", "", "3", "GitLab CI"},
		},
		{"GitLab merge train", "CI_MERGE_REQUEST_IID=3 CI_MERGE_REQUEST_EVENT_TYPE=merge_train " +
			"CI_MERGE_REQUEST_SOURCE_BRANCH_NAME=a", want{"a", "", "3", "GitLab CI"}},
		{"GitLab pull request from outside", "CI_EXTERNAL_PULL_REQUEST_IID=9 CI_COMMIT_BRANCH=main " +
			"CI_EXTERNAL_PULL_REQUEST_SOURCE_BRANCH_NAME=b", want{"b", "", "9", "GitLab CI"}},

		{"Jenkins branch", "JENKINS_URL=x BRANCH_NAME=main GIT_BRANCH=origin/other", want{"main", "", "", "Jenkins"}},
		{"Jenkins tag", "JENKINS_URL=x BRANCH_NAME=v1 TAG_NAME=v1", want{"", "v1", "", "Jenkins"}},
		{
			"Jenkins pull request", "JENKINS_URL=x BRANCH_NAME=PR-4 CHANGE_ID=4 CHANGE_BRANCH=main CHANGE_TARGET=main",
			want{"main", "", "4", "Jenkins"},
		},
		{"Jenkins freestyle", "JENKINS_URL=x GIT_BRANCH=origin/main", want{"main", "", "", "Jenkins"}},
		{"Jenkins freestyle, tag", "JENKINS_URL=x GIT_BRANCH=refs/tags/v1", want{"", "v1", "", "Jenkins"}},
		{"Jenkins detached", "JENKINS_URL=x GIT_BRANCH=detached", want{}},
		{"Jenkins merge queue", "JENKINS_URL=x BRANCH_NAME=" + queue, want{queue, "", "", "Jenkins"}},
		{"Jenkins's names without Jenkins", "BRANCH_NAME=main TAG_NAME=v1", want{}},

		{"CircleCI branch", "CIRCLE_BRANCH=main", want{"main", "", "", "CircleCI"}},
		{"CircleCI tag", "CIRCLE_TAG=v1", want{"", "v1", "", "CircleCI"}},
		{
			"CircleCI pull request", "CIRCLE_BRANCH=a CIRCLE_PULL_REQUEST=https://github.com/o/r/pull/5",
			want{"a", "", "5", "CircleCI"},
		},
		{"CircleCI pull request of a fork", "CIRCLE_BRANCH=pull/5", want{"pull/5", "", "5", "CircleCI"}},
		{"CircleCI merge queue", "CIRCLE_BRANCH=" + queue, want{queue, "", "", "CircleCI"}},

		{"Azure branch", "BUILD_SOURCEBRANCH=refs/heads/a/b", want{"a/b", "", "", "Azure Pipelines"}},
		{"Azure tag", "BUILD_SOURCEBRANCH=refs/tags/v1", want{"", "v1", "", "Azure Pipelines"}},
		{
			"Azure pull request", "BUILD_SOURCEBRANCH=refs/pull/8/merge SYSTEM_PULLREQUEST_SOURCEBRANCH=refs/heads/main",
			want{"main", "", "8", "Azure Pipelines"},
		},
		{"Azure merge queue", "BUILD_SOURCEBRANCH=refs/heads/" + queue, want{queue, "", "", "Azure Pipelines"}},

		{"Buildkite branch", "BUILDKITE_BRANCH=main BUILDKITE_PULL_REQUEST=false", want{"main", "", "", "Buildkite"}},
		{"Buildkite tag", "BUILDKITE_BRANCH=v1 BUILDKITE_TAG=v1", want{"", "v1", "", "Buildkite"}},
		{"Buildkite pull request", "BUILDKITE_BRANCH=a BUILDKITE_PULL_REQUEST=6", want{"a", "", "6", "Buildkite"}},
		{
			"Buildkite pull request of a fork", "BUILDKITE_BRANCH=ann:main BUILDKITE_PULL_REQUEST=6",
			want{"main", "", "6", "Buildkite"},
		},
		{
			"Buildkite merge queue", "BUILDKITE_BRANCH=" + queue + " BUILDKITE_PULL_REQUEST=false",
			want{queue, "", "", "Buildkite"},
		},

		{"by hand", "GIT_BRANCH=feature/test-feature", want{"feature/test-feature", "", "", "GIT_BRANCH"}},
		{"by hand, remote's name", "GIT_BRANCH=origin/main", want{"main", "", "", "GIT_BRANCH"}},
		{"by hand, full name", "GIT_BRANCH=refs/heads/main", want{"main", "", "", "GIT_BRANCH"}},
		{"by hand, branch named origin", "GIT_BRANCH=origin", want{"origin", "", "", "GIT_BRANCH"}},
		{"by hand, tag", "GIT_TAG=v1 GIT_BRANCH=main", want{"", "v1", "", "GIT_TAG"}},
		{"by hand beats a CI", "GIT_BRANCH=a GITHUB_REF=refs/tags/v1", want{"a", "", "", "GIT_BRANCH"}},
		{
			"by hand does not hide a pull request", "GIT_BRANCH=main GITHUB_REF=refs/pull/2/merge GITHUB_HEAD_REF=x",
			want{"main", "", "2", "GIT_BRANCH"},
		},
		{
			"GITHUB_REF by hand in another CI", "GITHUB_REF=refs/heads/a CI_COMMIT_BRANCH=main",
			want{"a", "", "", "GitHub Actions"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := readEnvironment(env(tt.env))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, want{got.branch, got.tag, got.pullRequest, got.origin}); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	if got, err := readEnvironment(nil); err != nil || !got.empty() {
		t.Errorf("without a lookup: %+v, %v", got, err)
	}
	got, err := readEnvironment(env("SHA_SHORT=ABC1234 VERSION=1.2.3 REGISTRY_TYPE=ecr"))
	if err != nil || got.short != "abc1234" || got.version != "1.2.3" || got.registryType != "ecr" {
		t.Errorf("by hand: %+v, %v", got, err)
	}
}

func TestReadEnvironmentRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct{ env, variable string }{
		{"GIT_BRANCH=a..b", "GIT_BRANCH"},
		{"GIT_BRANCH=-x", "GIT_BRANCH"},
		{"GIT_BRANCH=a/", "GIT_BRANCH"},
		{"GIT_BRANCH=a.lock", "GIT_BRANCH"},
		{"GIT_BRANCH=a\x7fb", "GIT_BRANCH"},
		{"GIT_BRANCH=a\xffb", "GIT_BRANCH"},
		{"GIT_TAG=v1^", "GIT_TAG"},
		{"GIT_TAG=a@{b", "GIT_TAG"},
		{"GITHUB_REF=main", "GITHUB_REF"},
		{"GITHUB_REF=refs/pull/x/merge", "GITHUB_REF"},
		{"GITHUB_REF=refs/notes/x", "GITHUB_REF"},
		{"GITHUB_REF=refs/pull/1/merge GITHUB_HEAD_REF=a~b", "GITHUB_HEAD_REF"},
		{"CI_COMMIT_TAG=a:b", "CI_COMMIT_TAG"},
		{"CI_MERGE_REQUEST_IID=one", "CI_MERGE_REQUEST_IID"},
		{"JENKINS_URL=x CHANGE_ID=4; CHANGE_BRANCH=a", "CHANGE_ID"},
		{"CIRCLE_PULL_REQUEST=https://github.com/o/r CIRCLE_BRANCH=a", "CIRCLE_PULL_REQUEST"},
		{"BUILD_SOURCEBRANCH=main", "BUILD_SOURCEBRANCH"},
		{"BUILDKITE_BRANCH=a?b", "BUILDKITE_BRANCH"},
		{"SHA_SHORT=abc", "SHA_SHORT"},
		{"SHA_SHORT=abcg123", "SHA_SHORT"},
		{"SHA_SHORT=" + strings.Repeat("a", 41), "SHA_SHORT"},
	}
	for _, tt := range tests {
		_, err := readEnvironment(env(tt.env))
		if fault.CodeOf(err) != fault.Usage || !strings.HasPrefix(err.Error(), tt.variable+":") || fault.NextOf(err) == "" {
			t.Errorf("%s: %v, want a usage fault about %s with a next step", tt.env, err, tt.variable)
		}
	}
}

func FuzzReadEnvironment(f *testing.F) {
	f.Add("refs/heads/main", "main", "")
	f.Add("refs/pull/1/merge", "a b", "v1")
	f.Fuzz(func(t *testing.T, full, head, tag string) {
		values := map[string]string{"GITHUB_REF": full, "GITHUB_HEAD_REF": head, "GIT_TAG": tag}
		got, err := readEnvironment(func(name string) (string, bool) { v, ok := values[name]; return v, ok })
		if err != nil {
			if fault.CodeOf(err) != fault.Usage {
				t.Fatalf("%v is no usage fault", err)
			}
			return
		}
		if got.branch != "" && got.tag != "" {
			t.Fatalf("both a branch %q and a tag %q", got.branch, got.tag)
		}
		if strings.HasPrefix(full, "refs/pull/") && got.pullRequest == "" {
			t.Fatalf("the pull request %q is lost", full)
		}
		if strings.ContainsAny(got.branch+got.tag, " ~^:?*[\\") {
			t.Fatalf("bad name: %q %q", got.branch, got.tag)
		}
	})
}

func TestWebAddress(t *testing.T) {
	t.Parallel()
	tests := []struct{ in, want string }{
		{"git@github.com:o/r.git", "https://github.com/o/r"},
		{"github.com:o/r", "https://github.com/o/r"},
		{"git@GitHub.com:/o/r.git/", "https://github.com/o/r"},
		{"ssh://git@github.com:22/o/r", "https://github.com/o/r"},
		{"ssh://git@gitlab.example.org:2222/group/sub/r.git", "https://gitlab.example.org/group/sub/r"},
		{"https://github.com/o/r", "https://github.com/o/r"},
		{"https://user:s3cret@github.com/o/r.git", "https://github.com/o/r"},
		{"https://s3cret@github.com/o/r.git/", "https://github.com/o/r"},
		{"https://github.com/o/r?token=s3cret#s3cret", "https://github.com/o/r"},
		{"https://git.example.org:8443/o/r.git", "https://git.example.org:8443/o/r"},
		{"http://x:s3cret@git.example.org/o/r", "https://git.example.org/o/r"},
		{"git://github.com/o/r.git", "https://github.com/o/r"},
		{"  https://github.com/o/r\n", "https://github.com/o/r"},
		{"work:o/r", ""},
		{"ssh://work/o/r", ""},
		{"/srv/git/r.git", ""},
		{"./r:x", ""},
		{"../r", ""},
		{`C:\git\r`, ""},
		{"C:/git/r", ""},
		{"file:///srv/git/r.git", ""},
		{"https://github.com", ""},
		{"https://github.com/%zz", ""},
		{"", ""},
	}
	for _, tt := range tests {
		if got := webAddress(tt.in); got != tt.want {
			t.Errorf("webAddress(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}
