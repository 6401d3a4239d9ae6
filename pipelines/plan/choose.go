package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/berth-sh/berth/pipelines/config"
	"github.com/berth-sh/berth/pipelines/facts"
	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/version"
)

// Choice is the environment of a git ref and the registry it uses.
type Choice struct {
	Environment string `json:"environment"`
	Registry    string `json:"registry"`
	Kind        string `json:"kind"`
	Prefix      string `json:"prefix"`
	Reason      string `json:"reason"`
}

// RefOf returns the git ref that the facts describe. A detached HEAD has none, which is an error with the ways out.
func RefOf(f facts.Facts) (version.Ref, error) {
	switch {
	case f.PullRequest != "":
		return version.Ref{Kind: version.RefPull, Name: "pr-" + f.PullRequest}, nil
	case f.Tag != "":
		return version.Ref{Kind: version.RefTag, Name: f.Tag}, nil
	case f.Branch != "":
		return version.Ref{Kind: version.RefBranch, Name: f.Branch}, nil
	default:
		return version.Ref{}, fault.New(fault.Usage, "HEAD at "+f.Commit[:min(7, len(f.Commit))],
			"check out a branch (git switch BRANCH), or name it: GIT_BRANCH=main berth …",
			"HEAD is detached: there is no branch or release tag to choose environment and tags by")
	}
}

// Choose picks the environment: the one asked for, else the one whose refs match the git ref most specifically. Where
// none matches, the registries' purposes tell where the image would belong; the guards of that environment then say why
// it is not taken, or how it comes there.
// REGISTRY_TYPE leaves only the environments on that registry, by its name or kind.
func Choose(c *config.Config, f facts.Facts, environment string) (Choice, error) {
	ref, err := RefOf(f)
	if err != nil {
		return Choice{}, err
	}
	if environment != "" {
		return chooseByName(c, environment, f.RegistryType)
	}
	candidates := c.EnvironmentNames()
	because := ""
	if f.RegistryType != "" {
		candidates = slices.DeleteFunc(candidates, func(e string) bool { return !usesRegistry(c, e, f.RegistryType) })
		if len(candidates) == 0 {
			return Choice{}, noRegistry(c, f.RegistryType)
		}
		because = fmt.Sprintf(", on the registry that REGISTRY_TYPE=%s names", f.RegistryType)
	}
	best, rule, err := mostSpecific(c, candidates, ref)
	switch {
	case err != nil:
		return Choice{}, err
	case best != "":
		return choice(c, best, fmt.Sprintf("%s matches %s of environment %s%s", ref, rule, best, because)), nil
	case f.RegistryType != "":
		return chooseByRegistry(c, candidates, ref, f.RegistryType)
	}
	if chosen, ok := chooseByPurpose(c, ref); ok {
		return chosen, nil
	}
	return Choice{}, fault.New(fault.Refused, ref.String(), noneNext(c, candidates, ref),
		"no environment's refs accept it")
}

// noneNext says what to do with a ref that no environment takes: one without refs can be named, the others must first
// accept it.
func noneNext(c *config.Config, candidates []string, ref version.Ref) string {
	// Nothing is published to where images come by promotion.
	candidates = slices.DeleteFunc(slices.Clone(candidates), func(e string) bool {
		return c.Environments[e].Promote != nil
	})
	open := slices.DeleteFunc(slices.Clone(candidates), func(e string) bool { return c.Environments[e].Refs != nil })
	if len(open) > 0 {
		return "name an environment that takes any: --env " + strings.Join(open, "|")
	}
	return acceptNext(strings.Join(candidates, " or "), ref)
}

func chooseByName(c *config.Config, environment, registryType string) (Choice, error) {
	if _, ok := c.Environments[environment]; !ok {
		return Choice{}, fault.New(fault.Usage, "--env "+environment,
			"known environments: "+strings.Join(c.EnvironmentNames(), ", "), "there is no environment %q", environment)
	}
	if registryType != "" && !usesRegistry(c, environment, registryType) {
		return Choice{}, fault.New(fault.Usage, "--env "+environment, "drop --env, or unset REGISTRY_TYPE",
			"the environment uses registry %s, but REGISTRY_TYPE=%s asks for another",
			c.Environments[environment].Registry, registryType)
	}
	return choice(c, environment, "--env "+environment), nil
}

// chooseByRegistry settles what refs could not: the one environment without refs, or else the only environment there is
// on the registry, whose guard then explains itself.
func chooseByRegistry(
	c *config.Config, candidates []string, ref version.Ref, registryType string,
) (Choice, error) {
	open := slices.DeleteFunc(slices.Clone(candidates), func(e string) bool { return c.Environments[e].Refs != nil })
	pull := ref.Kind == version.RefPull
	switch {
	case len(open) == 1 && !pull:
		return choice(c, open[0], "REGISTRY_TYPE="+registryType), nil
	case len(open) == 0 && len(candidates) == 1:
		return choice(c, candidates[0], "REGISTRY_TYPE="+registryType), nil
	case pull: // it must be named: a pull request never selects an environment that takes any ref
		return Choice{}, fault.New(fault.Refused, ref.String(), noneNext(c, candidates, ref),
			"no environment on the registry that REGISTRY_TYPE=%s names accepts pull requests", registryType)
	default:
		return Choice{}, fault.New(fault.Usage, "REGISTRY_TYPE="+registryType,
			"name one: --env "+strings.Join(candidates, "|"),
			"several environments use that registry and none fits the git ref best")
	}
}

func choice(c *config.Config, environment, reason string) Choice {
	name := c.Environments[environment].Registry
	r := c.Registries[name]
	return Choice{
		Environment: environment, Registry: name, Kind: string(r.RegistryKind()), Prefix: r.Prefix, Reason: reason,
	}
}

// RequireSet returns an error when the environment or the registry of a choice uses a variable that is not set. The
// registry's name alone can be told without.
func RequireSet(c *config.Config, chosen Choice) error {
	if err := c.RequireSet("registries", chosen.Registry); err != nil {
		return err
	}
	return c.RequireSet("environments", chosen.Environment)
}

func usesRegistry(c *config.Config, environment, registryType string) bool {
	name := c.Environments[environment].Registry
	r := c.Registries[name]
	return name == registryType || string(r.RegistryKind()) == registryType
}

func noRegistry(c *config.Config, registryType string) error {
	var known []string
	for _, e := range c.EnvironmentNames() {
		if name := c.Environments[e].Registry; !slices.Contains(known, name) {
			known = append(known, name)
		}
	}
	slices.Sort(known)
	return fault.New(fault.Usage, "REGISTRY_TYPE="+registryType, "set it to one of: "+strings.Join(known, ", "),
		"no environment uses a registry of that name or kind")
}

// score orders matches: an exact name before a glob, a longer literal before a shorter.
type score struct {
	exact   bool
	literal int
}

func (s score) compare(o score) int {
	switch {
	case s.exact != o.exact && s.exact:
		return 1
	case s.exact != o.exact:
		return -1
	default:
		return s.literal - o.literal
	}
}

func mostSpecific(c *config.Config, candidates []string, ref version.Ref) (environment, rule string, err error) {
	var best score
	tied := ""
	for _, e := range candidates {
		s, why, ok := match(c.Environments[e].Refs, ref)
		switch d := s.compare(best); {
		case !ok:
		case environment == "" || d > 0:
			environment, rule, best, tied = e, why, s, ""
		case d == 0 && tied == "":
			tied = e
		}
	}
	if tied != "" {
		return "", "", c.Fault([]string{"environments", tied, "refs"}, "make one of them more specific, or use --env",
			"environments %s and %s match %s equally well", environment, tied, ref)
	}
	return environment, rule, nil
}

// match finds the most specific of the globs that match the ref.
func match(refs *config.Refs, ref version.Ref) (best score, rule string, ok bool) {
	if refs == nil {
		return score{}, "", false
	}
	globs, kind := refs.Branches, "branches"
	switch ref.Kind {
	case version.RefPull:
		return score{}, "pullRequests", refs.PullRequests
	case version.RefTag:
		globs, kind = refs.Tags, "tags"
	}
	for _, g := range globs {
		if !config.Match(g, ref.Name) {
			continue
		}
		s := score{exact: g == ref.Name, literal: len(strings.Map(dropWildcards, g))}
		if !ok || s.compare(best) > 0 {
			best, rule, ok = s, fmt.Sprintf("%s %q", kind, g), true
		}
	}
	return best, rule, ok
}

func dropWildcards(r rune) rune {
	if strings.ContainsRune(`*?[]{}!\`, r) {
		return -1
	}
	return r
}
