package version

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/Masterminds/semver/v3"

	"github.com/berth-sh/berth/pipelines/config"
	"github.com/berth-sh/berth/pipelines/fault"
)

// Class tells how a tag may change.
type Class string

const (
	// ClassVersion tags carry a whole version or a commit: they never move to another digest.
	ClassVersion Class = "version"
	// ClassFloating tags, such as latest or v1, move forward only.
	ClassFloating Class = "floating"
)

// RefKind is the kind of git ref that is built.
type RefKind string

// The kinds of git refs.
const (
	RefBranch RefKind = "branch"
	RefTag    RefKind = "tag"
	RefPull   RefKind = "pull request"
)

// Ref is the git ref that is built.
type Ref struct {
	Kind RefKind
	// Name is the branch, the git tag, or "pr-" and the number of the pull request.
	Name string
}

// String writes the ref for messages.
func (r Ref) String() string {
	if r.Kind == RefPull {
		return string(r.Kind) + " " + strings.TrimPrefix(r.Name, "pr-")
	}
	return string(r.Kind) + " " + r.Name
}

// Tag is an image tag with the rule that gave it.
type Tag struct {
	Name  string `json:"name"`
	Class Class  `json:"class"`
	Rule  string `json:"rule"`
	// Release is true for the tag of a release itself.
	Release bool `json:"-"`
	// Dirty is true for a tag that names uncommitted work. It may be overwritten.
	Dirty bool `json:"-"`
	// Template is the one that gave the tag.
	Template string `json:"-"`
}

// Of renders the tag that another version has by the same template, "" when it has none.
func (t Tag) Of(v *semver.Version) string {
	template, err := ParseTemplate(t.Template)
	if err != nil {
		return ""
	}
	name, err := template.Render(Fields{Version: v})
	if err != nil {
		return ""
	}
	return name
}

// FindRule returns the place of the first rule that matches the ref, or -1. A pull request's branch may be named like
// anything, main included, by somebody who cannot push to main: so only ** matches it.
func FindRule(rules []config.TagRule, ref Ref) int {
	return slices.IndexFunc(rules, func(r config.TagRule) bool {
		switch ref.Kind {
		case RefTag:
			return r.Tag != "" && config.Match(r.Tag, ref.Name)
		case RefPull:
			return r.Branch == "**"
		default:
			return r.Branch != "" && config.Match(r.Branch, ref.Name)
		}
	})
}

// Tags renders the tags of a rule, those of the version first. immutable are globs over tags that count as version tags
// here whatever their template.
func Tags(c *config.Config, at []string, rule config.TagRule, immutable []string, f Fields) ([]Tag, error) {
	var first, rest []Tag
	for i, text := range rule.Set {
		here := append(slices.Clone(at), "set", strconv.Itoa(i))
		t, err := ParseTemplate(text)
		if err != nil {
			return nil, c.Fault(here, "see docs/configuration.md for the fields", "%w", err)
		}
		fields := f
		if t.surroundsBranch() {
			fields.Branch = belowGlob(rule.Branch, f.Branch)
		}
		name, err := t.Render(fields)
		if err != nil {
			return nil, c.Fault(here, "change the template, or the ref it applies to", "%w", err)
		}
		tag := Tag{Name: name, Class: t.Class(), Rule: ruleName(rule, text), Release: t.NamesRelease(), Template: text}
		if wholeVersion.MatchString(name) {
			tag.Class = ClassVersion // a branch may be named like a release, and must not move its tag
		}
		if f.Dirty && tag.Class == ClassVersion {
			tag.Class, tag.Dirty, tag.Release = ClassFloating, true, false
		}
		if slices.ContainsFunc(immutable, func(g string) bool { return config.Match(g, name) }) {
			tag.Class = ClassVersion
		}
		if t.has("version") || t.hasAll("major", "minor", "patch") {
			first = append(first, tag)
		} else {
			rest = append(rest, tag)
		}
	}
	return once(append(first, rest...)), nil
}

// once drops tags that two templates render alike. The stricter class holds.
func once(tags []Tag) []Tag {
	var out []Tag
	for _, tag := range tags {
		i := slices.IndexFunc(out, func(t Tag) bool { return t.Name == tag.Name })
		switch {
		case i < 0:
			out = append(out, tag)
		case tag.Class == ClassVersion && !out[i].Dirty:
			out[i].Class = ClassVersion
			out[i].Release = out[i].Release || tag.Release
		}
	}
	return out
}

// wholeVersion matches a tag that reads as a whole version.
var wholeVersion = regexp.MustCompile(`^v?(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)([-_].*)?$`)

func ruleName(rule config.TagRule, template string) string {
	if rule.Tag != "" {
		return fmt.Sprintf("tag %s: %s", rule.Tag, template)
	}
	return fmt.Sprintf("branch %s: %s", rule.Branch, template)
}

// surroundsBranch reports whether the template has text beside {branch}, which then says what the folders of the rule's
// glob said. Without it the branch's whole name is needed to tell feature/auth from bugfix/auth.
func (t Template) surroundsBranch() bool { return t.has("branch") && len(t.parts) > 1 }

// belowGlob drops the folders that a glob names literally: under feature/** the branch feature/auth is "auth".
func belowGlob(glob, branch string) string {
	wild := strings.IndexAny(glob, `*?[{\`)
	if wild < 0 {
		return branch
	}
	folder := glob[:strings.LastIndex(glob[:wild], "/")+1]
	if rest, ok := strings.CutPrefix(branch, folder); ok && rest != "" {
		return rest
	}
	return branch
}

// CheckRules finds errors in all tag templates of a configuration, used or not.
func CheckRules(c *config.Config) error {
	if err := checkRules(c, []string{"tags"}, c.Tags); err != nil {
		return err
	}
	for _, name := range c.EnvironmentNames() {
		at := []string{"environments", name}
		if err := checkRules(c, append(at, "tags"), c.Environments[name].Tags); err != nil {
			return err
		}
		if p := c.Environments[name].Promote; p != nil {
			for i, text := range p.Set {
				if _, err := ParseTemplate(text); err != nil {
					return c.Fault(append(slices.Clone(at), "promote", "set", strconv.Itoa(i)), "", "%w", err)
				}
			}
		}
	}
	return nil
}

func checkRules(c *config.Config, at []string, rules []config.TagRule) error {
	for i, r := range rules {
		for j, text := range r.Set {
			here := append(slices.Clone(at), strconv.Itoa(i), "set", strconv.Itoa(j))
			t, err := ParseTemplate(text)
			if err == nil && t.Counts() {
				err = fault.New(fault.Usage, "", "", "%q: {n} counts release candidates, which only promote can do", text)
			}
			if err != nil {
				return c.Fault(here, "see docs/configuration.md for the fields", "%w", err)
			}
		}
	}
	return nil
}
