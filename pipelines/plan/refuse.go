package plan

import (
	"fmt"
	"strings"

	"github.com/berth-sh/berth/pipelines/config"
	"github.com/berth-sh/berth/pipelines/facts"
	"github.com/berth-sh/berth/pipelines/version"
)

// shownFiles bounds how many changed files a refusal names.
const shownFiles = 5

// refusals lists the reasons against publishing the ref to the environment.
func refusals(c *config.Config, f facts.Facts, environment string, ref version.Ref) []Refusal {
	out := []Refusal{}
	e := c.Environments[environment]
	subject := "environment " + environment
	if e.Promote != nil {
		out = append(out, promotionOnly(c, environment))
	}
	if _, _, ok := match(e.Refs, ref); e.Refs != nil && !ok {
		out = append(out, Refusal{
			Subject: subject,
			Reason:  fmt.Sprintf("it does not accept %s; it accepts %s", ref, accepted(*e.Refs)),
			Next:    refNext(c, environment, ref),
		})
	}
	if f.Conflict != nil {
		out = append(out, Refusal{Subject: f.Conflict.Subject, Reason: f.Conflict.Reason, Next: f.Conflict.Next})
	}
	if len(f.Dirty) > 0 && len(e.Immutable) > 0 {
		out = append(out, Refusal{
			Subject: subject,
			Reason:  "there are uncommitted changes, and its release tags must name a commit: " + files(f.Dirty),
			Next:    "commit or stash them, or publish to an environment without immutable tags",
		})
	}
	return out
}

// unruly lists the reasons why a ref without a tag rule has none in an environment: images are promoted to it, which
// needs no rule, or the ref is a release's tag in a registry that is not for releases.
func unruly(c *config.Config, environment string, ref version.Ref) []Refusal {
	var out []Refusal
	if c.Environments[environment].Promote != nil {
		out = append(out, promotionOnly(c, environment))
	}
	_, release := version.FromGitTag(c.Version.GitTag, ref.Name)
	if release = release && ref.Kind == version.RefTag; release || len(out) > 0 {
		out = append(out, misplaced(c, environment, ref, release)...)
	}
	return out
}

func promotionOnly(c *config.Config, environment string) Refusal {
	from := c.Environments[environment].Promote.From
	r := Refusal{
		Subject: "environment " + environment,
		Reason:  "images come here by promotion from " + from + " only",
		Next:    "publish to " + from + ", then promote from there",
	}
	// The way begins where images can be published to.
	road := []string{environment}
	for e := c.Environments[environment]; e.Promote != nil; e = c.Environments[e.Promote.From] {
		road = append([]string{e.Promote.From}, road...)
	}
	if len(road) > 2 {
		r.Next = "publish to " + road[0] + ", then promote to " + strings.Join(road[1:], ", then to ")
	}
	return r
}

// partial refuses an image without all its platforms where tags are immutable: a release's tag would name it for good.
func partial(p Plan, c *config.Config, component string, platforms []string) []Refusal {
	if len(c.Environments[p.Environment].Immutable) == 0 {
		return nil
	}
	return []Refusal{{
		Subject: "component " + component,
		Reason: fmt.Sprintf("only %s of %s would be released, and its version tag never moves",
			strings.Join(platforms, ", "), strings.Join(c.PlatformsOf(component), ", ")),
		Next: "leave out --platform",
	}}
}

// accepted writes the refs that an environment accepts.
func accepted(r config.Refs) string {
	var parts []string
	if len(r.Branches) > 0 {
		parts = append(parts, "branches "+strings.Join(r.Branches, ", "))
	}
	if len(r.Tags) > 0 {
		parts = append(parts, "git tags "+strings.Join(r.Tags, ", "))
	}
	if r.PullRequests {
		parts = append(parts, "pull requests")
	}
	if len(parts) == 0 {
		return "nothing"
	}
	return strings.Join(parts, " and ")
}

// acceptNext says how an environment comes to accept a ref that no environment takes.
func acceptNext(environment string, ref version.Ref) string {
	switch ref.Kind {
	case version.RefPull:
		return "publish from a branch, or set refs: {pullRequests: true} in environment " + environment
	case version.RefTag:
		return "publish from a ref that it accepts, or add the tag to refs.tags of environment " + environment
	default:
		return "publish from a ref that it accepts, or add the branch to refs.branches of environment " + environment
	}
}

// refNext names the environment that would take the ref.
func refNext(c *config.Config, environment string, ref version.Ref) string {
	best, _, err := mostSpecific(c, c.EnvironmentNames(), ref)
	if err != nil || best == "" || best == environment {
		return acceptNext(environment, ref)
	}
	return fmt.Sprintf("publish to %s (--env %s), or from a ref that %s accepts", best, best, environment)
}

func files(names []string) string {
	if more := len(names) - shownFiles; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:shownFiles], ", "), more)
	}
	return strings.Join(names, ", ")
}
