package retention

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/berth-sh/berth/pipelines/config"
	"github.com/berth-sh/berth/pipelines/version"
)

const day = 24 * time.Hour

// Rule keeps the tags that match a glob for a time.
type Rule struct {
	// Match is the glob.
	Match string
	// Keep is how long a tag is kept after it was pushed; 0 means for ever.
	Keep time.Duration
}

// Forever reports whether tags of the rule never expire.
func (r Rule) Forever() bool { return r.Keep == 0 }

// String writes the rule for messages: "test-*: 14d".
func (r Rule) String() string {
	if r.Forever() {
		return r.Match + ": forever"
	}
	return fmt.Sprintf("%s: %dd", r.Match, int(r.Keep/day))
}

// protection is a kind of tags that never expire, whatever the rules say.
type protection struct {
	glob    string         // or
	pattern *regexp.Regexp // matches whole tags
	reason  string
}

// Policy says what may expire in the repositories of an environment.
type Policy struct {
	// Environment whose rules these are.
	Environment string
	// Rules in order; the first that matches a tag holds.
	Rules []Rule

	// immutable, releases and floating never expire. ordinary are tags of branch builds that carry a version, and so look
	// like pre-releases.
	immutable, releases, floating, ordinary []protection
}

// release matches the tag of a release, in any configuration.
var release = regexp.MustCompile(`^v?(?:0|[1-9][0-9]*)\.(?:0|[1-9][0-9]*)\.(?:0|[1-9][0-9]*)$`)

// PolicyOf reads the rules of an environment. Environments with one prefix share their repositories, so that what never
// expires in one of them never expires in the others.
func PolicyOf(c *config.Config, environment string) Policy {
	p := Policy{Environment: environment}
	for _, r := range c.Environments[environment].Retention {
		rule := Rule{Match: r.Match}
		if days, err := strconv.Atoi(strings.TrimSuffix(r.Keep, "d")); err == nil { // else it is "forever"
			rule.Keep = time.Duration(days) * day
		}
		p.Rules = append(p.Rules, rule)
	}
	prefix := c.PrefixOf(environment)
	for _, name := range c.EnvironmentNames() {
		e := c.Environments[name]
		if c.PrefixOf(name) != prefix {
			continue
		}
		for _, glob := range e.Immutable {
			p.immutable = append(p.immutable, protection{
				glob: glob, reason: fmt.Sprintf("%q is immutable in environment %s", glob, name),
			})
		}
		for _, r := range c.TagRulesOf(name) {
			p.learn(name, r.Set)
		}
		if e.Promote != nil {
			p.learn(name, e.Promote.Set)
		}
	}
	p.floating = append(p.floating, protection{glob: "latest", reason: "latest is a floating tag"})
	return p
}

// learn sorts tag templates by what their tags are.
func (p *Policy) learn(environment string, templates []string) {
	for _, text := range templates {
		t, err := version.ParseTemplate(text)
		if err != nil {
			continue // checked when the project was opened
		}
		x := protection{pattern: t.Pattern(environment)}
		switch {
		case t.NamesRelease():
			x.reason = fmt.Sprintf("it is a release: %q of environment %s", text, environment)
			p.releases = append(p.releases, x)
		case t.Class() == version.ClassFloating && !t.Names("branch", "timestamp", "date"):
			// A tag of one branch, or of one day, is not the floating tag that people follow.
			x.reason = fmt.Sprintf("it is a floating tag: %q of environment %s", text, environment)
			p.floating = append(p.floating, x)
		case t.Names("version", "patch"):
			p.ordinary = append(p.ordinary, x)
		}
	}
}

// rule finds the rule of a tag.
func (p Policy) rule(tag string) (Rule, bool) {
	for _, r := range p.Rules {
		if config.Match(r.Match, tag) {
			return r, true
		}
	}
	return Rule{}, false
}

// protects tells why a tag never expires, "" when it may.
func (p Policy) protects(tag string) string {
	if why := match(p.immutable, tag); why != "" {
		return why
	}
	if release.MatchString(tag) {
		return "it is a release"
	}
	// v{version} also matches v1.0.0-dev.abc1234, which is a branch build by the template that gave it.
	if why := match(p.releases, tag); why != "" && !p.isOrdinary(tag) {
		return why
	}
	return match(p.floating, tag)
}

func (p Policy) isOrdinary(tag string) bool {
	for _, x := range p.ordinary {
		if x.matches(tag) {
			return true
		}
	}
	return false
}

func match(list []protection, tag string) string {
	for _, x := range list {
		if x.matches(tag) {
			return x.reason
		}
	}
	return ""
}

func (x protection) matches(tag string) bool {
	if x.pattern != nil {
		return x.pattern.MatchString(tag)
	}
	return config.Match(x.glob, tag)
}

// mayExpire reports whether the age of a tag can matter.
func (p Policy) mayExpire(tag string) bool {
	r, ok := p.rule(tag)
	return ok && !r.Forever() && p.protects(tag) == ""
}
