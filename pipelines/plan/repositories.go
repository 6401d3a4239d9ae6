package plan

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"

	"github.com/berth-sh/berth/pipelines/config"
	"github.com/berth-sh/berth/pipelines/registry"
	"github.com/berth-sh/berth/pipelines/version"
)

// What ECR takes as exclusions from the mutability of a repository: 5 wildcards with 2 stars each.
// Source: https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-tag-mutability.html
const (
	maxExclusions = 5
	maxStars      = 2
)

// DirtyTags are those of uncommitted work, which may be overwritten where no tag is promised never to move.
const DirtyTags = "*-dirty*"

// Repositories are the settings with which missing repositories of a registry are created, nil when they are not. They
// fit every environment that uses the same repositories: tags that never move are held by the registry too, as far as
// its wildcards can tell them from floating ones.
func Repositories(c *config.Config, name string) *registry.RepositorySettings {
	r := c.Registries[name]
	if address, ok := registry.ParseECR(r.Host()); !r.CreateRepositories || !ok || address.Public {
		return nil
	}
	settings := Fitting(TagClasses(c, r.Prefix))
	settings.ScanOnPush = true
	if r.RepositoryTags != nil {
		settings.Tags = r.RepositoryTags
	}
	return &settings
}

// Fitting are the strictest settings with which floating tags can move. fixed are examples of the tags that never do.
func Fitting(floating, fixed []string) registry.RepositorySettings {
	settings := registry.RepositorySettings{
		Mutability: registry.ImmutableExcept, Exclusions: []string{}, Tags: map[string]string{},
		Reason: "version tags never move",
	}
	mutable := func(format string, args ...any) registry.RepositorySettings {
		settings.Mutability, settings.Reason = registry.Mutable, fmt.Sprintf(format, args...)
		return settings
	}
	for _, wildcard := range floating {
		if i := slices.IndexFunc(fixed, func(tag string) bool { ok, _ := path.Match(wildcard, tag); return ok }); i >= 0 {
			return mutable("ECR cannot tell floating tags (%s) from version tags (%s); berth can", wildcard, fixed[i])
		}
		if strings.Count(wildcard, "*") > maxStars {
			return mutable("ECR takes %d stars in a wildcard at most, and floating tags need %s", maxStars, wildcard)
		}
	}
	switch {
	case len(floating) == 0:
		settings.Mutability = registry.Immutable
	case len(floating) > maxExclusions:
		return mutable("ECR takes %d wildcards at most, and floating tags need %d", maxExclusions, len(floating))
	default:
		settings.Exclusions = floating
	}
	return settings
}

// TagClasses returns the wildcards of the floating tags, sorted, and an example of each version tag, of all
// environments with the same prefix.
func TagClasses(c *config.Config, prefix string) (floating, fixed []string) {
	for _, name := range c.EnvironmentNames() {
		e := c.Environments[name]
		if c.PrefixOf(name) != prefix {
			continue
		}
		var texts []string
		for _, rule := range c.TagRulesOf(name) {
			texts = append(texts, rule.Set...)
		}
		if e.Promote != nil {
			texts = append(texts, e.Promote.Set...)
		} else if len(e.Immutable) == 0 {
			floating = append(floating, DirtyTags)
		}
		for _, text := range texts {
			t, err := version.ParseTemplate(text)
			if err != nil {
				continue // refused when the project was opened
			}
			examples := examplesOf(t, name)
			if t.Class() == version.ClassVersion || promised(e.Immutable, examples) {
				fixed = append(fixed, examples...)
			} else {
				floating = append(floating, t.Wildcard())
			}
		}
	}
	slices.Sort(floating)
	return slices.Compact(floating), fixed
}

// examplesOf renders a template for a release and a pre-release.
func examplesOf(t version.Template, environment string) []string {
	var out []string
	for _, v := range []string{"1.2.3", "1.2.3-rc.1"} {
		name, err := t.Render(version.Fields{
			Version: semver.MustParse(v), Commit: strings.Repeat("0123456789", 4), Branch: "work", Tag: "v" + v,
			Env: environment, N: 1,
		})
		if err == nil {
			out = append(out, name)
		}
	}
	return out
}

func promised(immutable, examples []string) bool {
	return slices.ContainsFunc(immutable, func(glob string) bool {
		return len(examples) > 0 && config.Match(glob, examples[0])
	})
}
