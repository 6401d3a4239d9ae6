package config

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/image"
	"github.com/berth-sh/berth/pipelines/registry"
)

// check finds what the types cannot say. It stops at the first error, so that a reader fixes one thing at a time.
func (c *Config) check() error {
	if c.APIVersion != APIVersion {
		return c.Fault([]string{"apiVersion"}, "write apiVersion: "+APIVersion, "apiVersion %q is not known", c.APIVersion)
	}
	if c.Project == "" {
		return c.Fault([]string{"project"}, "write project: NAME", "the project has no name")
	}
	for _, check := range []func() error{
		c.requireShared, c.checkVersion, c.checkComponents, c.checkRegistries, c.checkEnvironments, c.checkPromotions,
		c.checkKeys, c.checkPolicy, c.checkBuildCache, c.checkChart, c.checkDagger,
	} {
		if err := check(); err != nil {
			return err
		}
	}
	return c.checkTagRules([]string{"tags"}, c.Tags)
}

// requireShared wants the variables of what every use of the file reads.
func (c *Config) requireShared() error {
	for _, key := range []string{"project", "source", "version", "platforms", "tags", "policy"} {
		if err := c.RequireSet(key); err != nil {
			return err
		}
	}
	return nil
}

func (c *Config) checkVersion() error {
	if strings.Count(c.Version.GitTag, "{version}") != 1 {
		return c.Fault([]string{"version", "gitTag"}, `write for example gitTag: "v{version}"`,
			"%q must hold {version} once", c.Version.GitTag)
	}
	if f := c.Version.File; f != VersionFromGit && !inside(f) {
		return c.Fault([]string{"version", "file"}, "name a file of the project", "%q is outside the project", f)
	}
	for i, f := range c.Version.Bump {
		if !inside(f) {
			return c.Fault([]string{"version", "bump", fmt.Sprint(i)},
				"name files of the project", "%q is outside the project", f)
		}
	}
	return c.checkPlatforms([]string{"platforms"}, c.Platforms)
}

func (c *Config) checkPlatforms(at, platforms []string) error {
	seen := map[string]string{}
	for i, s := range platforms {
		here := append(slices.Clone(at), fmt.Sprint(i))
		p, err := image.ParsePlatform(s)
		if err != nil {
			return c.Fault(here, "write for example linux/amd64 or linux/arm/v7", "%w", err)
		}
		key := image.PlatformString(p)
		if other, twice := seen[key]; twice {
			return c.Fault(here, "remove one of them", "platform %s is listed twice (%s)", s, other)
		}
		seen[key] = s
	}
	return nil
}

func (c *Config) checkComponents() error {
	if len(c.Components) == 0 {
		return c.Fault([]string{"components"}, "name at least one; `berth init` finds them", "there are no components")
	}
	repositories := map[string]string{}
	for _, name := range c.ComponentNames() {
		at := []string{"components", name}
		if !registry.ValidPath(name) || strings.Contains(name, "/") {
			return c.Fault(at, "use lower-case letters, digits, and - _ . between them", "%q is not a component's name", name)
		}
		if err := c.checkComponent(at, c.Components[name]); err != nil {
			return err
		}
		repository := c.RepositoryOf(name)
		if !registry.ValidPath(repository) {
			return c.Fault(append(at, "repository"), "use lower-case letters, digits, and - _ . / between them",
				"%q is not a repository's name", repository)
		}
		if other, taken := repositories[repository]; taken {
			return c.Fault(append(at, "repository"), "give one of them another repository",
				"components %s and %s have the same repository %q", other, name, repository)
		}
		repositories[repository] = name
	}
	return nil
}

func (c *Config) checkComponent(at []string, k Component) error {
	switch {
	case k.Go == nil && k.Dockerfile == nil:
		return c.Fault(at, "add go: {dir: …} or dockerfile: {context: …}", "the component says neither go nor dockerfile")
	case k.Go != nil && k.Dockerfile != nil:
		return c.Fault(at, "keep one of them", "the component says both go and dockerfile")
	case k.Go != nil && !inside(k.Go.Dir):
		return c.Fault(append(at, "go", "dir"), "name a folder of the project", "%q is outside the project", k.Go.Dir)
	case k.Dockerfile != nil && k.Base != "":
		return c.Fault(append(at, "base"), "set the base in the Dockerfile", "base is for go components")
	}
	if k.Dockerfile != nil {
		if err := c.checkDockerfile(append(at, "dockerfile"), *k.Dockerfile); err != nil {
			return err
		}
	}
	if err := c.checkBase(append(at, "base"), k.Base); err != nil {
		return err
	}
	return c.checkPlatforms(append(at, "platforms"), k.Platforms)
}

func (c *Config) checkBase(at []string, base string) error {
	if base == "" || base == "static" || base == "scratch" || pinned.MatchString(base) || strings.Contains(base, "${") {
		return nil
	}
	return c.Fault(at, "write static, scratch, or NAME@sha256:…; `crane digest NAME` prints the digest",
		"%q is not pinned by a digest", base)
}

func (c *Config) checkPolicy() error {
	at := []string{"policy", "baseImages"}
	if images := c.Policy.BaseImages; images != nil && len(images) == 0 {
		return c.Fault(at, "name the images that are allowed, or leave it out to allow any", "it allows no image at all")
	}
	return c.checkGlobs(at, c.Policy.BaseImages)
}

// inside reports whether a path of berth.yaml stays in the project.
func inside(p string) bool {
	return !path.IsAbs(p) && (p == "" || !strings.HasPrefix(path.Clean(p)+"/", "../"))
}

func (c *Config) checkGlobs(at, globs []string) error {
	for i, g := range globs {
		if g == "" || !doublestar.ValidatePattern(g) {
			return c.Fault(append(slices.Clone(at), fmt.Sprint(i)),
				"write for example main, release/* or **", "%q is not a glob", g)
		}
	}
	return nil
}

func (c *Config) checkTagRules(at []string, rules []TagRule) error {
	for i, r := range rules {
		here := append(slices.Clone(at), fmt.Sprint(i))
		if (r.Tag == "") == (r.Branch == "") {
			return c.Fault(here, "keep tag for git tags or branch for branches",
				"a tag rule needs exactly one of tag and branch")
		}
		if err := c.checkGlobs(here, []string{r.Tag + r.Branch}); err != nil {
			return err
		}
		if len(r.Set) == 0 {
			return c.Fault(here, `add set: ["v{version}"]`, "the tag rule sets no tag")
		}
	}
	return nil
}

func (c *Config) unknown(at []string, what, name string, known []string) *fault.Error {
	return c.Fault(at, "known: "+strings.Join(known, ", "), "there is no %s %q", what, name)
}
