package facts

import (
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/berth-sh/berth/pipelines/fault"
)

// unknownPullRequest stands for the number of a pull request whose CI does not say it (GitHub's pull_request_target).
// It is not empty, because what is built on behalf of a pull request must never pass for the branch itself.
const unknownPullRequest = "unknown"

// ref is what the environment says is being built. At most one of branch and tag is set.
type ref struct {
	branch, tag, pullRequest string
	origin                   string
	// branchFrom and tagFrom and pullFrom name the variables, for messages.
	branchFrom, tagFrom, pullFrom string
	// commit is the one that a CI's ref is of, and commitFrom its variable; empty for a ref by hand.
	commit, commitFrom string
}

func (r ref) empty() bool { return r.branch == "" && r.tag == "" && r.pullRequest == "" }

// overrides is everything the environment can say about a commit.
type overrides struct {
	ref
	short, version, registryType string
}

// variables looks a variable up; unset, empty and blank are the same, because a CI exports variables that do not apply
// as empty strings.
type variables func(name string) string

// system is one CI: read returns an empty ref when the CI's variables are absent.
type system struct {
	origin string
	read   func(variables) (ref, error)
	// commit is the variable with the commit that the ref is of.
	commit string
}

// systems lists the CIs in the order in which they are asked. GitHub comes first: scripts export GITHUB_REF by hand,
// also inside other CIs.
func systems() []system {
	return []system{
		{"GitHub Actions", readGitHub, "GITHUB_SHA"},
		{"GitLab CI", readGitLab, "CI_COMMIT_SHA"},
		{"Jenkins", readJenkins, "GIT_COMMIT"},
		{"CircleCI", readCircle, "CIRCLE_SHA1"},
		{"Azure Pipelines", readAzure, "BUILD_SOURCEVERSION"},
		{"Buildkite", readBuildkite, "BUILDKITE_COMMIT"},
	}
}

// readEnvironment returns what the environment says, validated. By hand (GIT_BRANCH, GIT_TAG) beats a CI's variables;
// the number of a pull request is kept even then, so that a variable set for all jobs cannot turn a pull request into
// a build of main.
func readEnvironment(lookup func(string) (string, bool)) (overrides, error) {
	get := variables(func(name string) string {
		if lookup == nil {
			return ""
		}
		value, _ := lookup(name)
		return strings.TrimSpace(value)
	})
	o := overrides{
		short:        strings.ToLower(get("SHA_SHORT")),
		version:      get("VERSION"),
		registryType: get("REGISTRY_TYPE"),
	}
	for _, s := range systems() {
		found, err := s.read(get)
		if err != nil {
			return overrides{}, err
		}
		if !found.empty() {
			found.origin = s.origin
			found.commit, found.commitFrom = get(s.commit), s.commit
			o.ref = found
			break
		}
	}
	o.ref = byHand(get, o.ref)
	return o, o.validate()
}

// byHand applies GIT_TAG and GIT_BRANCH. On Jenkins GIT_BRANCH is the CI's own variable.
func byHand(get variables, r ref) ref {
	if tag := get("GIT_TAG"); tag != "" {
		return ref{
			tag: strings.TrimPrefix(tag, "refs/tags/"), tagFrom: "GIT_TAG", origin: "GIT_TAG",
			pullRequest: r.pullRequest, pullFrom: r.pullFrom,
		}
	}
	branch := get("GIT_BRANCH")
	if branch == "" || onJenkins(get) {
		return r
	}
	given := fullOrBranch(branch, "GIT_BRANCH")
	given.origin, given.pullRequest, given.pullFrom = "GIT_BRANCH", r.pullRequest, r.pullFrom
	return given
}

func readGitHub(get variables) (ref, error) {
	head := get("GITHUB_HEAD_REF")
	full, variable := get("GITHUB_REF"), "GITHUB_REF"
	if full == "" {
		name := get("GITHUB_REF_NAME")
		switch {
		case name == "":
			return ref{}, nil
		case get("GITHUB_REF_TYPE") == "tag":
			return ref{tag: name, tagFrom: "GITHUB_REF_NAME"}, nil
		case strings.HasSuffix(name, "/merge") && head != "":
			full = "refs/pull/" + name
		default:
			full = "refs/heads/" + name
		}
		variable = "GITHUB_REF_NAME"
	}
	r, err := parseFullRef(full, variable)
	if err != nil {
		return ref{}, err
	}
	if head != "" || get("GITHUB_EVENT_NAME") == "pull_request_target" {
		if r.pullRequest == "" {
			// pull_request_target: GITHUB_REF is the base branch, and no variable has the number.
			r = ref{pullRequest: unknownPullRequest, pullFrom: "GITHUB_EVENT_NAME"}
		}
		r.branch, r.branchFrom = head, "GITHUB_HEAD_REF"
	}
	return r, nil
}

func readGitLab(get variables) (ref, error) {
	for _, pull := range []string{"CI_MERGE_REQUEST", "CI_EXTERNAL_PULL_REQUEST"} {
		if number := get(pull + "_IID"); number != "" {
			branch, from := get(pull+"_SOURCE_BRANCH_NAME"), pull+"_SOURCE_BRANCH_NAME"
			if branch == "" {
				branch, from = get("CI_COMMIT_REF_NAME"), "CI_COMMIT_REF_NAME"
			}
			return ref{pullRequest: number, pullFrom: pull + "_IID", branch: branch, branchFrom: from}, nil
		}
	}
	if tag := get("CI_COMMIT_TAG"); tag != "" {
		return ref{tag: tag, tagFrom: "CI_COMMIT_TAG"}, nil
	}
	return ref{branch: get("CI_COMMIT_BRANCH"), branchFrom: "CI_COMMIT_BRANCH"}, nil
}

// onJenkins recognises Jenkins. It sets JENKINS_URL only once an administrator has said what its address is.
func onJenkins(get variables) bool {
	return get("JENKINS_URL") != "" || get("JENKINS_HOME") != "" || get("CHANGE_ID") != ""
}

func readJenkins(get variables) (ref, error) {
	if !onJenkins(get) {
		return ref{}, nil
	}
	if number := get("CHANGE_ID"); number != "" {
		// BRANCH_NAME is "PR-12" here: the name of the job, not of a branch.
		return ref{
			pullRequest: number, pullFrom: "CHANGE_ID",
			branch: get("CHANGE_BRANCH"), branchFrom: "CHANGE_BRANCH",
		}, nil
	}
	if tag := get("TAG_NAME"); tag != "" {
		return ref{tag: tag, tagFrom: "TAG_NAME"}, nil
	}
	if branch := get("BRANCH_NAME"); branch != "" {
		return ref{branch: branch, branchFrom: "BRANCH_NAME"}, nil
	}
	if branch := get("GIT_BRANCH"); branch != "" && branch != "detached" {
		return fullOrBranch(branch, "GIT_BRANCH"), nil
	}
	return ref{}, nil
}

func readCircle(get variables) (ref, error) {
	if tag := get("CIRCLE_TAG"); tag != "" {
		return ref{tag: tag, tagFrom: "CIRCLE_TAG"}, nil
	}
	branch := get("CIRCLE_BRANCH")
	r := ref{branch: branch, branchFrom: "CIRCLE_BRANCH"}
	number, from := get("CIRCLE_PR_NUMBER"), "CIRCLE_PR_NUMBER"
	if number == "" {
		// The address of the pull request, …/pull/12.
		address := strings.TrimRight(get("CIRCLE_PULL_REQUEST"), "/")
		number, from = address[strings.LastIndex(address, "/")+1:], "CIRCLE_PULL_REQUEST"
	}
	if fork, ok := strings.CutPrefix(branch, "pull/"); ok && number == "" && isNumber(fork) {
		number, from = fork, "CIRCLE_BRANCH"
	}
	if number != "" {
		r.pullRequest, r.pullFrom = number, from
	}
	return r, nil
}

func readAzure(get variables) (ref, error) {
	full := get("BUILD_SOURCEBRANCH")
	if full == "" {
		return ref{}, nil
	}
	r, err := parseFullRef(full, "BUILD_SOURCEBRANCH")
	if err != nil {
		return ref{}, err
	}
	if r.pullRequest != "" {
		r.branch = strings.TrimPrefix(get("SYSTEM_PULLREQUEST_SOURCEBRANCH"), "refs/heads/")
		r.branchFrom = "SYSTEM_PULLREQUEST_SOURCEBRANCH"
	}
	return r, nil
}

func readBuildkite(get variables) (ref, error) {
	if tag := get("BUILDKITE_TAG"); tag != "" {
		return ref{tag: tag, tagFrom: "BUILDKITE_TAG"}, nil
	}
	r := ref{branch: get("BUILDKITE_BRANCH"), branchFrom: "BUILDKITE_BRANCH"}
	if number := get("BUILDKITE_PULL_REQUEST"); number != "" && number != "false" {
		r.pullRequest, r.pullFrom = number, "BUILDKITE_PULL_REQUEST"
		// Branches of forks may come as "user:branch"; a colon cannot be part of a branch's name.
		r.branch = r.branch[strings.LastIndex(r.branch, ":")+1:]
	}
	return r, nil
}

// parseFullRef reads a full reference name. Of a pull request it gives the number alone: the branch is in another
// variable of each CI.
func parseFullRef(full, variable string) (ref, error) {
	if branch, ok := strings.CutPrefix(full, "refs/heads/"); ok {
		return ref{branch: branch, branchFrom: variable}, nil
	}
	if tag, ok := strings.CutPrefix(full, "refs/tags/"); ok {
		return ref{tag: tag, tagFrom: variable}, nil
	}
	if pull, ok := strings.CutPrefix(full, "refs/pull/"); ok {
		number, kind, _ := strings.Cut(pull, "/")
		if kind == "merge" || kind == "head" {
			return ref{pullRequest: number, pullFrom: variable}, nil
		}
	}
	return ref{}, fault.New(fault.Usage, variable,
		"write refs/heads/BRANCH, refs/tags/TAG or refs/pull/NUMBER/merge, or unset it",
		"%q is not the full name of a branch, tag or pull request", full)
}

// fullOrBranch reads a branch as people and Jenkins write it: main, origin/main, refs/heads/main, or a tag's full name.
func fullOrBranch(name, variable string) ref {
	if tag, ok := strings.CutPrefix(name, "refs/tags/"); ok {
		return ref{tag: tag, tagFrom: variable}
	}
	for _, prefix := range []string{"refs/heads/", "refs/remotes/origin/", "origin/"} {
		if branch, ok := strings.CutPrefix(name, prefix); ok {
			return ref{branch: branch, branchFrom: variable}
		}
	}
	return ref{branch: name, branchFrom: variable}
}

func (o overrides) validate() error {
	if o.branch != "" {
		if err := validRef("refs/heads/", o.branch); err != nil {
			return fault.New(fault.Usage, o.branchFrom, "give a branch name that git accepts, such as main",
				"branch %q: %w", o.branch, err)
		}
	}
	if o.tag != "" {
		if err := validRef("refs/tags/", o.tag); err != nil {
			return fault.New(fault.Usage, o.tagFrom, "give a tag name that git accepts, such as v1.0.0",
				"tag %q: %w", o.tag, err)
		}
	}
	if o.pullRequest != "" && o.pullRequest != unknownPullRequest && !isNumber(o.pullRequest) {
		return fault.New(fault.Usage, o.pullFrom, "give the number of the pull request, or unset it",
			"%q is not a pull request's number", o.pullRequest)
	}
	if o.short != "" && (len(o.short) < 4 || len(o.short) > 40 || strings.Trim(o.short, "0123456789abcdef") != "") {
		return fault.New(fault.Usage, "SHA_SHORT", "give 4 to 40 hexadecimal digits of the commit, or unset it",
			"%q is not a short commit hash", o.short)
	}
	return nil
}

var (
	errRefRules = errors.New("not a name git allows (git help check-ref-format)")
	errRefUTF8  = errors.New("not valid UTF-8")
)

// validRef applies the rules of git check-ref-format to a name under the prefix.
func validRef(prefix, name string) error {
	if !utf8.ValidString(name) {
		return errRefUTF8
	}
	full := prefix + name
	if err := plumbing.ReferenceName(full).Validate(); err != nil {
		return errRefRules
	}
	for _, r := range name {
		if r < 0x20 || r == 0x7f {
			return errRefRules
		}
	}
	return nil
}

func isNumber(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }
