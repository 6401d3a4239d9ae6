package facts_test

import (
	"testing"

	"github.com/berth-sh/berth/pipelines/facts"
)

func TestRunOfEachCI(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		env  map[string]string
		want facts.Run
		none bool
	}{
		"GitHub": {env: map[string]string{
			"GITHUB_ACTIONS": "true", "GITHUB_ACTOR": "octocat", "GITHUB_SERVER_URL": "https://github.com",
			"GITHUB_REPOSITORY": "acme/shop", "GITHUB_RUN_ID": "42",
		}, want: facts.Run{System: "GitHub Actions", Actor: "octocat", URL: "https://github.com/acme/shop/actions/runs/42"}},
		"GitHub, without a run": {
			env: map[string]string{"GITHUB_ACTIONS": "true"}, want: facts.Run{System: "GitHub Actions"},
		},
		"GitLab": {env: map[string]string{
			"GITLAB_CI": "true", "GITLAB_USER_LOGIN": "ada", "CI_JOB_URL": "https://gitlab.com/acme/shop/-/jobs/7",
		}, want: facts.Run{System: "GitLab CI", Actor: "ada", URL: "https://gitlab.com/acme/shop/-/jobs/7"}},
		"CircleCI": {env: map[string]string{
			"CIRCLECI": "true", "CIRCLE_USERNAME": "ada", "CIRCLE_BUILD_URL": "https://circleci.com/gh/acme/shop/7",
		}, want: facts.Run{System: "CircleCI", Actor: "ada", URL: "https://circleci.com/gh/acme/shop/7"}},
		"Azure": {env: map[string]string{
			"TF_BUILD": "True", "BUILD_REQUESTEDFOR": "Ada", "SYSTEM_TEAMFOUNDATIONCOLLECTIONURI": "https://dev.azure.com/acme/",
			"SYSTEM_TEAMPROJECT": "shop", "BUILD_BUILDID": "7",
		}, want: facts.Run{
			System: "Azure Pipelines", Actor: "Ada", URL: "https://dev.azure.com/acme/shop/_build/results?buildId=7",
		}},
		"Buildkite": {env: map[string]string{
			"BUILDKITE": "true", "BUILDKITE_BUILD_CREATOR": "Ada", "BUILDKITE_BUILD_URL": "https://buildkite.com/acme/shop/7",
		}, want: facts.Run{System: "Buildkite", Actor: "Ada", URL: "https://buildkite.com/acme/shop/7"}},
		"Jenkins": {env: map[string]string{
			"JENKINS_URL": "https://ci.acme.dev/", "BUILD_URL": "https://ci.acme.dev/job/shop/7/",
		}, want: facts.Run{System: "Jenkins", URL: "https://ci.acme.dev/job/shop/7/"}},
		"a laptop":         {none: true},
		"said, but not so": {env: map[string]string{"GITHUB_ACTIONS": "false", "GITHUB_ACTOR": "ada"}, none: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, ok := facts.CurrentRun(func(name string) (string, bool) {
				v, ok := c.env[name]
				return v, ok
			})
			if got != c.want || ok == c.none {
				t.Errorf("%+v, %t; want %+v", got, ok, c.want)
			}
		})
	}
	if _, ok := facts.CurrentRun(nil); ok {
		t.Error("a run without variables")
	}
}
