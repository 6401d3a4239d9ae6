package plan

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/Masterminds/semver/v3"

	"github.com/berth-sh/berth/pipelines/config"
	"github.com/berth-sh/berth/pipelines/facts"
	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/image"
	"github.com/berth-sh/berth/pipelines/registry"
	"github.com/berth-sh/berth/pipelines/version"
)

// Request is what the caller asks for.
type Request struct {
	// Environment by name; empty chooses by the git ref.
	Environment string
	// Components by name; empty means all.
	Components []string
	// Platforms to build, a part of those that the configuration lists; empty means all.
	Platforms []string
}

// Plan is what a publish would do. Its JSON form is a contract.
type Plan struct {
	Environment string    `json:"environment"`
	Registry    string    `json:"registry"`
	Reason      string    `json:"reason"`
	Commit      string    `json:"commit"`
	Version     string    `json:"version"`
	Images      []Image   `json:"images"`
	Refusals    []Refusal `json:"refusals"`
	// Repositories are the settings with which missing repositories are created, where that is asked for.
	Repositories *registry.RepositorySettings `json:"repositories,omitempty"`

	// Kind of the registry.
	Kind string `json:"-"`
	// CommitTime orders branch builds.
	CommitTime time.Time `json:"-"`
	// Dirty is true when the images hold uncommitted work.
	Dirty bool `json:"-"`
	// Changed are the files of that work, relative to the repository.
	Changed []string `json:"-"`
	// Release is true when the tags are those of a release rather than of a branch build.
	Release bool `json:"-"`
	// Writers are the accounts that may write; empty means any.
	Writers []string `json:"-"`
}

// Image is one component in its repository.
type Image struct {
	Component string `json:"component"`
	// Repository with its host, for example ghcr.io/acme/web.
	Repository string        `json:"repository"`
	Platforms  []string      `json:"platforms"`
	Tags       []version.Tag `json:"tags"`
}

// Refusal is one reason why the plan must not be carried out.
type Refusal struct {
	Subject string `json:"subject"`
	Reason  string `json:"reason"`
	Next    string `json:"next"`
}

// Make decides what a publish of the base version would do. An error means that there is no plan; a plan with refusals
// can be shown but not carried out.
func Make(c *config.Config, f facts.Facts, base *semver.Version, r Request) (Plan, error) {
	chosen, err := Choose(c, f, r.Environment)
	if err != nil {
		return Plan{}, err
	}
	if err := RequireSet(c, chosen); err != nil {
		return Plan{}, err
	}
	ref, err := RefOf(f)
	if err != nil {
		return Plan{}, err
	}
	tags, err := tagsFor(c, f, chosen.Environment, ref, base)
	if err != nil {
		return Plan{}, err
	}
	p := Plan{
		Environment:  chosen.Environment,
		Registry:     chosen.Registry,
		Reason:       chosen.Reason,
		Commit:       f.Commit,
		Version:      base.String(),
		Images:       []Image{},
		Refusals:     refusals(c, f, chosen.Environment, ref),
		Kind:         chosen.Kind,
		CommitTime:   f.CommitTime,
		Dirty:        len(f.Dirty) > 0,
		Changed:      f.Dirty,
		Release:      isRelease(c, ref, tags),
		Writers:      c.WritersOf(chosen.Environment),
		Repositories: Repositories(c, chosen.Registry),
	}
	p.Refusals = append(p.Refusals, misplaced(c, chosen.Environment, ref, p.Release)...)
	names, err := Components(c, r.Components)
	if err != nil {
		return Plan{}, err
	}
	for _, name := range names {
		platforms, err := Platforms(c, name, r.Platforms)
		if err != nil {
			return Plan{}, err
		}
		if all := c.PlatformsOf(name); len(platforms) < len(all) {
			p.Refusals = append(p.Refusals, partial(p, c, name, platforms)...)
		}
		if err := c.RequireSet("components", name); err != nil {
			return Plan{}, err
		}
		p.Images = append(p.Images, Image{
			Component:  name,
			Repository: chosen.Prefix + "/" + c.RepositoryOf(name),
			Platforms:  platforms,
			Tags:       tags,
		})
	}
	return p, nil
}

// isRelease tells whether the tags are those of a release: they name the version itself, or a release's git tag is
// built.
func isRelease(c *config.Config, ref version.Ref, tags []version.Tag) bool {
	_, ofRelease := version.FromGitTag(c.Version.GitTag, ref.Name)
	return ref.Kind == version.RefTag && ofRelease ||
		slices.ContainsFunc(tags, func(t version.Tag) bool { return t.Release })
}

// Tags computes the tags alone, the version tag first.
func Tags(c *config.Config, f facts.Facts, base *semver.Version, environment string) ([]version.Tag, error) {
	chosen, err := Choose(c, f, environment)
	if err != nil {
		return nil, err
	}
	ref, err := RefOf(f)
	if err != nil {
		return nil, err
	}
	return tagsFor(c, f, chosen.Environment, ref, base)
}

func tagsFor(
	c *config.Config, f facts.Facts, environment string, ref version.Ref, base *semver.Version,
) ([]version.Tag, error) {
	rules := c.TagRulesOf(environment)
	i := version.FindRule(rules, ref)
	if i < 0 {
		// Where the ref does not belong at all, to ask for a tag rule would send the reader the wrong way.
		if err := refused(unruly(c, environment, ref)); err != nil {
			return nil, err
		}
		return nil, c.Fault([]string{"environments", environment}, fmt.Sprintf("add a tag rule that matches %s", ref),
			"no tag rule of environment %s matches %s", environment, ref)
	}
	at := []string{"tags", fmt.Sprint(i - len(c.Environments[environment].Tags))}
	if i < len(c.Environments[environment].Tags) {
		at = []string{"environments", environment, "tags", fmt.Sprint(i)}
	}
	fields := version.Fields{
		Version: base,
		Commit:  f.Commit,
		Short:   f.ShortCommit,
		Dirty:   len(f.Dirty) > 0,
		Time:    f.CommitTime,
		Env:     environment,
	}
	switch ref.Kind {
	case version.RefTag:
		fields.Tag = ref.Name
	case version.RefPull:
		fields.Pull = f.PullRequest
	default:
		fields.Branch = ref.Name
	}
	return version.Tags(c, at, rules[i], Immutable(c, environment), fields)
}

// Immutable lists the globs over tags that never move in an environment: its own, and those of the environments that
// share its registry, and so its repositories.
func Immutable(c *config.Config, environment string) []string {
	var globs []string
	prefix := c.PrefixOf(environment)
	for _, name := range c.EnvironmentNames() {
		if c.PrefixOf(name) == prefix {
			globs = append(globs, c.Environments[name].Immutable...)
		}
	}
	return globs
}

// Components checks the names asked for and returns them in the order of the configuration; none means all.
func Components(c *config.Config, asked []string) ([]string, error) {
	all := c.ComponentNames()
	if len(asked) == 0 {
		return all, nil
	}
	for _, name := range asked {
		if !slices.Contains(all, name) {
			return nil, fault.New(fault.Usage, "--component "+name, "known components: "+strings.Join(all, ", "),
				"there is no component %q", name)
		}
	}
	return slices.DeleteFunc(all, func(n string) bool { return !slices.Contains(asked, n) }), nil
}

// Platforms returns the platforms of a component that were asked for; none means all. A platform that only other
// components are built for is left out, but one must remain.
func Platforms(c *config.Config, component string, asked []string) ([]string, error) {
	all := slices.Clone(c.PlatformsOf(component))
	var anywhere []string
	for _, name := range c.ComponentNames() {
		anywhere = append(anywhere, c.PlatformsOf(name)...)
	}
	if len(asked) == 0 {
		return all, nil
	}
	for _, s := range asked {
		if _, err := image.ParsePlatform(s); err != nil {
			return nil, fault.New(fault.Usage, "--platform "+s, "write for example linux/amd64", "%w", err)
		}
		if !slices.Contains(anywhere, s) {
			return nil, fault.New(fault.Usage, "--platform "+s,
				"platforms of "+component+": "+strings.Join(all, ", "), "%s is not built for it", component)
		}
	}
	chosen := slices.DeleteFunc(slices.Clone(all), func(p string) bool { return !slices.Contains(asked, p) })
	if len(chosen) == 0 {
		return nil, fault.New(fault.Usage, "--platform "+strings.Join(asked, ","),
			"platforms of "+component+": "+strings.Join(all, ", "), "%s is not built for it", component)
	}
	return chosen, nil
}

// Err returns the refusals as one fault with [fault.Refused], or nil when there are none.
func (p Plan) Err() error { return refused(p.Refusals) }

func refused(refusals []Refusal) error {
	var errs []error
	for _, r := range refusals {
		errs = append(errs, fault.New(fault.Refused, r.Subject, r.Next, "%s", r.Reason))
	}
	return fault.Join(errs...)
}
