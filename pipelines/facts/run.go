package facts

import "strings"

// Run is the run of a CI.
type Run struct {
	// System is the CI's name.
	System string
	// Actor is who started the run, "" where the CI does not tell.
	Actor string
	// URL is the run's page, "" where the CI does not tell.
	URL string
}

// CurrentRun reads the run of a CI from its variables; false outside of one. Variables can be set by anybody, so that a
// run is a claim of whoever may start the process.
func CurrentRun(lookup func(string) (string, bool)) (Run, bool) {
	get := variables(func(name string) string {
		if lookup == nil {
			return ""
		}
		value, _ := lookup(name)
		return strings.TrimSpace(value)
	})
	switch {
	case get("GITHUB_ACTIONS") == "true":
		return Run{System: "GitHub Actions", Actor: get("GITHUB_ACTOR"), URL: join(get, "GITHUB_RUN_ID",
			get("GITHUB_SERVER_URL"), get("GITHUB_REPOSITORY"), "actions/runs", get("GITHUB_RUN_ID"))}, true
	case get("GITLAB_CI") == "true":
		return Run{System: "GitLab CI", Actor: get("GITLAB_USER_LOGIN"), URL: get("CI_JOB_URL")}, true
	case get("CIRCLECI") == "true":
		return Run{System: "CircleCI", Actor: get("CIRCLE_USERNAME"), URL: get("CIRCLE_BUILD_URL")}, true
	case strings.EqualFold(get("TF_BUILD"), "true"):
		return Run{System: "Azure Pipelines", Actor: get("BUILD_REQUESTEDFOR"), URL: join(get, "BUILD_BUILDID",
			get("SYSTEM_TEAMFOUNDATIONCOLLECTIONURI"), get("SYSTEM_TEAMPROJECT"),
			"_build/results?buildId="+get("BUILD_BUILDID"))}, true
	case get("BUILDKITE") == "true":
		return Run{System: "Buildkite", Actor: get("BUILDKITE_BUILD_CREATOR"), URL: get("BUILDKITE_BUILD_URL")}, true
	case onJenkins(get):
		return Run{System: "Jenkins", Actor: get("BUILD_USER_ID"), URL: get("BUILD_URL")}, true
	default:
		return Run{}, false
	}
}

// join writes an address of parts, "" when the variable that makes it that of a run is empty.
func join(get variables, needed string, parts ...string) string {
	if get(needed) == "" {
		return ""
	}
	for i := range parts {
		parts[i] = strings.Trim(parts[i], "/")
	}
	return strings.Join(parts, "/")
}
