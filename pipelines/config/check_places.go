package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/berth-sh/berth/pipelines/registry"
)

var pinned = regexp.MustCompile(`@sha256:[a-f0-9]{64}$`)

var keep = regexp.MustCompile(`^([0-9]+d|forever)$`)

// kinds of registries that a configuration may name.
func kinds() []string {
	var names []string
	for _, k := range registry.Kinds() {
		names = append(names, string(k))
	}
	return names
}

func (c *Config) checkRegistries() error {
	if len(c.Registries) == 0 {
		return c.Fault([]string{"registries"}, "name at least one", "there are no registries")
	}
	for _, name := range sortedKeys(c.Registries) {
		at := []string{"registries", name}
		r := c.Registries[name]
		if r.Kind != "" && !slices.Contains(kinds(), r.Kind) {
			return c.unknown(append(at, "kind"), "kind of registry", r.Kind, kinds())
		}
		if err := c.checkPrefix(append(at, "prefix"), r.Prefix); err != nil {
			return err
		}
		if err := c.checkPurpose(append(at, "purpose"), r.Purpose); err != nil {
			return err
		}
		if r.Insecure && r.CA != "" {
			return c.Fault(append(at, "ca"), "leave out one of the two", "plain HTTP (insecure: true) has no certificate")
		}
	}
	return nil
}

func (c *Config) checkPrefix(at []string, prefix string) error {
	if strings.Contains(prefix, "${") {
		return nil // checked by RequireSet where it is used
	}
	if strings.Contains(prefix, "://") {
		return c.Fault(at, "write "+prefix[strings.Index(prefix, "://")+3:], "%q must not name a scheme", prefix)
	}
	host, path, _ := strings.Cut(prefix, "/")
	if host == "" || (!strings.ContainsAny(host, ".:") && host != "localhost") {
		return c.Fault(at, "write HOST/OWNER, for example ghcr.io/acme", "%q does not start with a registry's host", prefix)
	}
	if path != "" && !registry.ValidPath(path) {
		if lower := strings.ToLower(path); lower != path && registry.ValidPath(lower) {
			return c.Fault(at, "write "+host+"/"+lower, "repository names are lower-case: %q", prefix)
		}
		return c.Fault(at, "write HOST/OWNER, for example ghcr.io/acme", "%q is not a registry's prefix", prefix)
	}
	if _, _, err := registry.ParsePrefix(prefix); err != nil { // what publishing would refuse later
		return c.Fault(at, "write HOST/OWNER, for example ghcr.io/acme", "%w", err)
	}
	return nil
}

func (c *Config) checkEnvironments() error {
	if len(c.Environments) == 0 {
		return c.Fault([]string{"environments"}, "name at least one", "there are no environments")
	}
	for _, name := range c.EnvironmentNames() {
		if err := c.checkEnvironment([]string{"environments", name}, name, c.Environments[name]); err != nil {
			return err
		}
	}
	return nil
}

func (c *Config) checkEnvironment(at []string, name string, e Environment) error {
	if _, ok := c.Registries[e.Registry]; !ok {
		return c.unknown(append(at, "registry"), "registry", e.Registry, sortedKeys(c.Registries))
	}
	if e.Refs != nil {
		if err := c.checkGlobs(append(at, "refs", "branches"), e.Refs.Branches); err != nil {
			return err
		}
		if err := c.checkGlobs(append(at, "refs", "tags"), e.Refs.Tags); err != nil {
			return err
		}
	}
	if err := c.checkGlobs(append(at, "immutable"), e.Immutable); err != nil {
		return err
	}
	if err := c.checkTagRules(append(at, "tags"), e.Tags); err != nil {
		return err
	}
	for i, r := range e.Retention {
		here := append(slices.Clone(at), "retention", fmt.Sprint(i))
		if err := c.checkGlobs(here, []string{r.Match}); err != nil {
			return err
		}
		if !keep.MatchString(r.Keep) {
			return c.Fault(append(here, "keep"), "write days, for example 30d, or forever", "%q is not a time to keep", r.Keep)
		}
	}
	if e.Promote == nil && len(c.TagRulesOf(name)) == 0 {
		return c.Fault(at, `add tags: [{branch: "**", set: ["{sha}"]}]`, "no tag rule holds in environment %s", name)
	}
	return nil
}

// checkPromotions finds promotions from nowhere and cycles of promotions.
func (c *Config) checkPromotions() error {
	for _, name := range c.EnvironmentNames() {
		road := []string{name}
		for e := c.Environments[name]; e.Promote != nil; e = c.Environments[e.Promote.From] {
			from := e.Promote.From
			at := []string{"environments", road[len(road)-1], "promote", "from"}
			if _, ok := c.Environments[from]; !ok {
				return c.unknown(at, "environment", from, c.EnvironmentNames())
			}
			if i := slices.Index(road, from); i >= 0 {
				circle := append(road[i:], from)
				slices.Reverse(circle)
				return c.Fault(at, "let one of them be published to, without promote",
					"promotions go in a circle: %s", strings.Join(circle, " → "))
			}
			road = append(road, from)
		}
	}
	return nil
}
