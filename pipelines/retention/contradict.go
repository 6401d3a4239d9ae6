package retention

import (
	"strconv"

	"github.com/Masterminds/semver/v3"

	"github.com/berth-sh/berth/pipelines/config"
	"github.com/berth-sh/berth/pipelines/version"
)

// Contradictions finds retention rules that promise what never happens: rules for releases, which are kept whatever a
// rule says, and rules that an earlier one leaves nothing. It returns the first, with its place in the file.
func Contradictions(c *config.Config) error {
	for _, name := range c.EnvironmentNames() {
		at := []string{"environments", name, "retention"}
		for i, r := range PolicyOf(c, name).Rules {
			here := append(append([]string{}, at...), strconv.Itoa(i))
			if tag, who := releaseOf(c, name, r); tag != "" {
				return c.Fault(append(here, "match"), "narrow the glob, or keep: forever",
					"%s would expire %s of environment %s, but releases and floating tags never expire", r, tag, who)
			}
			for _, earlier := range c.Environments[name].Retention[:i] {
				if everything(earlier.Match) || earlier.Match == r.Match {
					return c.Fault(append(here, "match"), "put it before "+strconv.Quote(earlier.Match)+", or remove it",
						"%s is never asked: %q before it matches all of its tags", r, earlier.Match)
				}
			}
		}
	}
	return nil
}

// releaseOf finds the tag of a release, or of what follows releases, that the environment itself sets and that the rule
// is the first to match. A glob that happens to match those of another environment in the same repositories is common
// ("*") and harmless.
func releaseOf(c *config.Config, environment string, r Rule) (tag, who string) {
	if r.Forever() {
		return "", ""
	}
	p := PolicyOf(c, environment)
	var templates []string
	for _, rule := range c.TagRulesOf(environment) {
		templates = append(templates, rule.Set...)
	}
	if promote := c.Environments[environment].Promote; promote != nil {
		templates = append(templates, promote.Set...)
	}
	for _, text := range templates {
		t, err := version.ParseTemplate(text)
		if err != nil || !t.NamesRelease() {
			continue
		}
		tag, err := t.Render(version.Fields{Version: semver.New(1, 2, 3, "", ""), Env: environment})
		if err != nil {
			continue
		}
		if first, ok := p.rule(tag); ok && first == r {
			return tag, environment
		}
	}
	return "", ""
}
