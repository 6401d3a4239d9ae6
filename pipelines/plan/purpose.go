package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/berth-sh/berth/pipelines/config"
	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/version"
)

// use is one question of the decision tree "Is this image for …?", with the purposes that answer it, the best first.
// The tree is that of DD-REGISTRY-001.
type use struct {
	name     string
	purposes []string
}

func uses() []use {
	return []use{
		{"local-development", []string{config.PurposeDevelopment}},
		{"integration-testing", []string{config.PurposeTesting, config.PurposeDevelopment}},
		{"ci", []string{config.PurposeTesting, config.PurposeDevelopment}},
		{"feature-branch", []string{config.PurposeDevelopment}},
		{"staging", []string{config.PurposeStaging}},
		{"production", []string{config.PurposeProduction}},
		{"release", []string{config.PurposeProduction}},
		{"documentation", []string{config.PurposeProduction}},
		{"development", []string{config.PurposeDevelopment}},
		{"testing", []string{config.PurposeTesting}},
	}
}

// Uses lists the names that [ForUse] knows: the questions of the decision tree, and the purposes themselves.
func Uses() []string {
	var names []string
	for _, u := range uses() {
		names = append(names, u.name)
	}
	return names
}

// ForUse answers the decision tree: the registry for images of a use such as "integration-testing" or "release". The
// environment is empty where several on that registry come into question.
func ForUse(c *config.Config, name string) (Choice, error) {
	i := slices.IndexFunc(uses(), func(u use) bool { return u.name == name })
	if i < 0 {
		return Choice{}, fault.New(fault.Usage, "--purpose "+name, "known: "+strings.Join(Uses(), ", "),
			"there is no purpose %q", name)
	}
	for _, purpose := range uses()[i].purposes {
		found := dedicated(c, purpose)
		if len(found) > 1 {
			return Choice{}, fault.New(fault.Usage, "--purpose "+name, "name the environment instead: --env "+
				strings.Join(c.EnvironmentNames(), "|"), "registries %s are all for %s", strings.Join(found, " and "), purpose)
		}
		if len(found) == 1 {
			return choiceOn(c, found[0], purpose), nil
		}
	}
	return Choice{}, fault.New(fault.Usage, "--purpose "+name,
		"give one of them purpose: ["+uses()[i].purposes[0]+"]", "no registry is for %s",
		strings.Join(uses()[i].purposes, " or "))
}

// dedicated lists the registries that name the purpose.
func dedicated(c *config.Config, purpose string) []string {
	var names []string
	for name, r := range c.Registries {
		if slices.Contains(r.Purpose, purpose) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func choiceOn(c *config.Config, name, purpose string) Choice {
	r := c.Registries[name]
	return Choice{
		Environment: environmentFor(c, name, purpose), Registry: name, Kind: string(r.RegistryKind()), Prefix: r.Prefix,
		Reason: fmt.Sprintf("registry %s is for %s", name, strings.Join(r.Purpose, ", ")),
	}
}

// environmentFor finds the environment of a registry that a purpose means: the only one, the one of that name, or for
// production the end of the road; "" when that leaves a choice.
func environmentFor(c *config.Config, registry, purpose string) string {
	all := slices.DeleteFunc(c.EnvironmentNames(), func(e string) bool { return c.Environments[e].Registry != registry })
	switch {
	case len(all) == 1:
		return all[0]
	case slices.Contains(all, purpose):
		return purpose
	case purpose != config.PurposeProduction:
		return ""
	}
	ends := slices.DeleteFunc(all, func(e string) bool {
		return c.Environments[e].Promote == nil || isSource(c, e)
	})
	if len(ends) == 1 {
		return ends[0]
	}
	return ""
}

// isSource reports whether images are promoted from the environment.
func isSource(c *config.Config, environment string) bool {
	return slices.ContainsFunc(c.EnvironmentNames(), func(e string) bool {
		p := c.Environments[e].Promote
		return p != nil && p.From == environment
	})
}

// chooseByPurpose is the decision tree for a git ref that no environment's refs name: an official release belongs to
// production, its candidates to staging, everything else to development. It needs registries that say what they are
// for.
func chooseByPurpose(c *config.Config, ref version.Ref) (Choice, bool) {
	name, what := "feature-branch", ref.String()
	if v, ok := version.FromGitTag(c.Version.GitTag, ref.Name); ok && ref.Kind == version.RefTag {
		name, what = "release", ref.String()+" is an official release"
		if v.Prerelease() != "" {
			name, what = "staging", ref.String()+" is a release candidate"
		}
	} else if ref.Kind == version.RefTag {
		return Choice{}, false
	}
	chosen, err := ForUse(c, name)
	if err != nil || chosen.Environment == "" {
		return Choice{}, false
	}
	// An environment that takes any ref is never chosen by itself.
	if e := c.Environments[chosen.Environment]; e.Refs == nil && e.Promote == nil {
		return Choice{}, false
	}
	chosen.Reason = what + ", and " + chosen.Reason
	return chosen, true
}

// misplaced refuses a push whose purpose does not fit the registry: a feature branch has no business in production, nor
// a release in development.
func misplaced(c *config.Config, environment string, ref version.Ref, release bool) []Refusal {
	e := c.Environments[environment]
	r := c.Registries[e.Registry]
	may := []string{config.PurposeDevelopment, config.PurposeTesting}
	what := ref.String()
	switch {
	case release:
		may = []string{config.PurposeProduction, config.PurposeStaging}
		what += " is a release"
	case named(e, ref):
		// A branch that the environment names by its whole name is not any feature's.
		may = append(may, config.PurposeStaging)
		what += " is no release"
	case ref.Kind == version.RefBranch:
		what += " is a feature branch"
	default:
		what += " is no release"
	}
	if r.For(may...) {
		return nil
	}
	refusal := Refusal{
		Subject: "registry " + e.Registry,
		Reason: fmt.Sprintf("it is for %s, but %s, which belongs in one for %s",
			strings.Join(r.Purpose, " and "), what, strings.Join(may, " or ")),
	}
	if e.Promote == nil { // else the way there has been told
		refusal.Next = misplacedNext(c, may)
	}
	return []Refusal{refusal}
}

func named(e config.Environment, ref version.Ref) bool {
	return e.Refs != nil && ref.Kind == version.RefBranch && slices.Contains(e.Refs.Branches, ref.Name)
}

// misplacedNext names the environments where such a push belongs.
func misplacedNext(c *config.Config, may []string) string {
	var fit, road []string
	for _, name := range c.EnvironmentNames() {
		e := c.Environments[name]
		switch r := c.Registries[e.Registry]; {
		case !r.For(may...):
		case e.Promote == nil:
			fit = append(fit, name)
		default:
			road = append(road, name)
		}
	}
	switch {
	case len(fit) > 0:
		return "publish to another environment: --env " + strings.Join(fit, "|")
	case len(road) > 0:
		return "publish from a branch, and bring the image to " + strings.Join(road, " and ") + " by promotion"
	default:
		return "give a registry the purpose " + strings.Join(may, " or ")
	}
}
