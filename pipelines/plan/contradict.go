package plan

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/Masterminds/semver/v3"

	"github.com/berth-sh/berth/pipelines/config"
	"github.com/berth-sh/berth/pipelines/registry"
	"github.com/berth-sh/berth/pipelines/version"
)

// Contradictions finds what each part of a configuration allows and another part would always refuse: environments
// whose refs, tags or promotions do not fit the purposes of their registry, writers that nobody asks for or that can
// never write, and approvals that nobody can give. It returns the first, with its place in the file.
func Contradictions(c *config.Config) error {
	for _, name := range c.EnvironmentNames() {
		for _, check := range []func(*config.Config, string) error{
			pullsFit, branchesFit, tagsFit, promotionFits, approvalsCanBeGiven, robotsCanWrite,
		} {
			if err := check(c, name); err != nil {
				return err
			}
		}
	}
	return writersHaveEffect(c)
}

// contradiction is one ref that an environment accepts and its registry's purpose refuses.
func contradiction(c *config.Config, environment string, at []string, what string, r []Refusal) error {
	if len(r) == 0 {
		return nil
	}
	return c.Fault(append([]string{"environments", environment}, at...),
		"change the refs, the registry of environment "+environment+", or its purpose",
		"environment %s accepts %s, but %s: %s", environment, what, r[0].Subject, r[0].Reason)
}

func pullsFit(c *config.Config, environment string) error {
	refs := c.Environments[environment].Refs
	if refs == nil || !refs.PullRequests {
		return nil
	}
	return contradiction(c, environment, []string{"refs", "pullRequests"}, "pull requests",
		misplaced(c, environment, version.Ref{Kind: version.RefPull, Name: "pr-1"}, false))
}

func branchesFit(c *config.Config, environment string) error {
	refs := c.Environments[environment].Refs
	if refs == nil {
		return nil
	}
	for i, glob := range refs.Branches {
		ref := version.Ref{Kind: version.RefBranch, Name: example(glob)}
		err := contradiction(c, environment, []string{"refs", "branches", strconv.Itoa(i)}, fmt.Sprintf("branches %q", glob),
			misplaced(c, environment, ref, releases(c, environment, ref)))
		if err != nil {
			return err
		}
	}
	return nil
}

// tagsFit tries the git tag of a release: a glob that takes it lets releases in.
func tagsFit(c *config.Config, environment string) error {
	refs := c.Environments[environment].Refs
	if refs == nil {
		return nil
	}
	ref := version.Ref{Kind: version.RefTag, Name: version.GitTag(c.Version.GitTag, semver.New(1, 2, 3, "", ""))}
	for i, glob := range refs.Tags {
		if !config.Match(glob, ref.Name) {
			continue
		}
		err := contradiction(c, environment, []string{"refs", "tags", strconv.Itoa(i)},
			fmt.Sprintf("git tags %q, and so releases", glob), misplaced(c, environment, ref, true))
		if err != nil {
			return err
		}
	}
	return nil
}

// releases tells whether a build of the ref gets the tags of a release.
func releases(c *config.Config, environment string, ref version.Ref) bool {
	rules := c.TagRulesOf(environment)
	i := version.FindRule(rules, ref)
	return i >= 0 && slices.ContainsFunc(rules[i].Set, namesRelease)
}

func namesRelease(template string) bool {
	t, err := version.ParseTemplate(template)
	return err == nil && t.NamesRelease()
}

// example is a name that a glob matches, if anything simple does.
func example(glob string) string {
	return strings.NewReplacer("**", "x", "*", "x", "?", "x").Replace(glob)
}

// promotionFits holds the direction of the road: never from a later purpose to an earlier one, and releases never into
// a registry that is for neither staging nor production.
func promotionFits(c *config.Config, environment string) error {
	e := c.Environments[environment]
	if e.Promote == nil {
		return nil
	}
	to, from := c.Registries[e.Registry], c.Registries[c.Environments[e.Promote.From].Registry]
	at := []string{"environments", environment, "promote"}
	if len(to.Purpose) > 0 && len(from.Purpose) > 0 && latest(to) < latest(from) {
		return c.Fault(append(at, "from"), "promote the other way round, or change the registries' purposes",
			"images would go from a registry for %s to one for %s",
			strings.Join(from.Purpose, " and "), strings.Join(to.Purpose, " and "))
	}
	for i, template := range e.Promote.Set {
		if namesRelease(template) && !to.For(config.PurposeStaging, config.PurposeProduction) {
			return c.Fault(append(at, "set", strconv.Itoa(i)), "use another registry, or change its purpose",
				"%q is the tag of a release, but registry %s is for %s", template, e.Registry, strings.Join(to.Purpose, " and "))
		}
	}
	return nil
}

// latest is the place of the registry's last purpose on the road.
func latest(r config.Registry) int {
	place := 0
	for _, p := range r.Purpose {
		place = max(place, slices.Index(config.Purposes(), p))
	}
	return place
}

// approvalsCanBeGiven wants another person for each approval that no CI may give: nobody counts twice.
func approvalsCanBeGiven(c *config.Config, environment string) error {
	e := c.Environments[environment]
	if e.Promote == nil {
		return nil
	}
	taken := map[string]string{}
	for i, role := range e.Promote.Approvals {
		if slices.Contains(e.Promote.CI, role) || assign(c, role, strconv.Itoa(i), taken, map[string]bool{}) {
			continue
		}
		at := []string{"environments", environment, "promote", "approvals", strconv.Itoa(i)}
		if !slices.ContainsFunc(c.Approvers, func(a config.Approver) bool { return a.Role == role }) {
			return c.Fault(at, "add a person with this role to approvers",
				"nobody has the role %q, so that nothing could be promoted", role)
		}
		return c.Fault(at, "add another person to approvers",
			"there are too few people for all approvals: nobody is left for %q, as no person counts twice", role)
	}
	return nil
}

// assign finds a person for an approval, and moves others who have several roles to make room (bipartite matching by
// augmenting paths). taken maps people to approvals, written as role and place.
func assign(c *config.Config, role, place string, taken map[string]string, asked map[string]bool) bool {
	for _, a := range c.Approvers {
		if a.Role != role || asked[a.Name] {
			continue
		}
		asked[a.Name] = true
		other, busy := taken[a.Name]
		otherPlace, otherRole, _ := strings.Cut(other, " ")
		if !busy || assign(c, otherRole, otherPlace, taken, asked) {
			taken[a.Name] = place + " " + role
			return true
		}
	}
	return false
}

// robotsCanWrite finds Quay's robots of another namespace: they can write in their own only.
// Source: https://docs.quay.io/glossary/robot-accounts.html
func robotsCanWrite(c *config.Config, environment string) error {
	e := c.Environments[environment]
	at, writers := []string{"environments", environment, "writers"}, e.Writers
	if len(writers) == 0 {
		at, writers = []string{"registries", e.Registry, "writers"}, c.Registries[e.Registry].Writers
	}
	r := c.Registries[e.Registry]
	_, path, _ := strings.Cut(r.Prefix, "/")
	namespace, _, _ := strings.Cut(path, "/")
	for i, w := range writers {
		owner, _, robot := strings.Cut(w, "+")
		if r.RegistryKind() == registry.Quay && robot && namespace != "" && owner != namespace {
			return c.Fault(append(at, strconv.Itoa(i)), "name a robot of "+namespace,
				"robot %s belongs to %s, and cannot write to %s", w, owner, r.Prefix)
		}
	}
	return nil
}

// writersHaveEffect finds a registry's writers that every environment on it replaces by its own.
func writersHaveEffect(c *config.Config) error {
	names := make([]string, 0, len(c.Registries))
	for name := range c.Registries {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if len(c.Registries[name].Writers) == 0 {
			continue
		}
		var replaced, asked []string
		for _, e := range c.EnvironmentNames() {
			switch env := c.Environments[e]; {
			case env.Registry != name:
			case len(env.Writers) > 0:
				replaced = append(replaced, e)
			default:
				asked = append(asked, e)
			}
		}
		if len(asked) == 0 && len(replaced) > 0 {
			return c.Fault([]string{"registries", name, "writers"}, "remove them, or those of the environments",
				"they have no effect: %s has writers of its own", "each environment on it ("+strings.Join(replaced, ", ")+")")
		}
	}
	return nil
}
