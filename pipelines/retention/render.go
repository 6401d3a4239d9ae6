package retention

import (
	"regexp"
	"slices"
	"strings"

	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/registry"
)

// Rendered is the rules of an environment as a policy of its registry.
type Rendered struct {
	Kind registry.Kind `json:"kind"`
	// Policy is what the registry takes, as JSON.
	Policy any `json:"policy"`
	// Notes say what the policy does differently, and what it cannot say at all.
	Notes []string `json:"notes"`
	// Next is how the policy is put in force.
	Next string `json:"next"`
}

// Render writes a policy in the registry's own terms. What the registry cannot express never makes it delete more than
// the rules would: a rule is left out, with a note, before it takes a tag that never expires.
func Render(p Policy, kind registry.Kind) (Rendered, error) {
	var out Rendered
	switch kind {
	case registry.ECR:
		out = renderECR(p)
	case registry.Quay:
		out = renderQuay(p)
	case registry.GCR:
		out = renderGoogle(p)
	default:
		return Rendered{}, fault.New(fault.Usage, "environment "+p.Environment,
			"run on a schedule: berth retention apply --env "+p.Environment,
			"registries of kind %s have no policy for this", kind)
	}
	out.Kind = kind
	out.Notes = append(out.Notes, "the registry knows nothing of --in-use: images that run may expire")
	return out, nil
}

// releaseStarts are how the tags of releases begin, as far as a rule could take them: v0 to v9, and 0 to 9. They never
// expire in any configuration.
func (p Policy) releaseStarts() []string {
	var out []string
	for _, begin := range []string{"v", ""} {
		for digit := '0'; digit <= '9'; digit++ {
			start := begin + string(digit)
			if slices.ContainsFunc(p.Rules, func(r Rule) bool { return !r.Forever() && mayMeet(prefix(r.Match), start) }) {
				out = append(out, start)
			}
		}
	}
	return out
}

// all are all protections, those of the environment's own globs first.
func (p Policy) all() []protection {
	return slices.Concat(p.immutable, p.releases, p.floating)
}

// globRegexp writes a glob over tags as a regular expression for a whole tag, without anchors.
func globRegexp(glob string) string {
	var b strings.Builder
	for i := 0; i < len(glob); i++ {
		switch c := glob[i]; c {
		case '*':
			for i+1 < len(glob) && glob[i+1] == '*' {
				i++
			}
			b.WriteString(".*")
		case '?':
			b.WriteString(".")
		case '{':
			b.WriteString("(?:")
		case '}':
			b.WriteString(")")
		case ',':
			b.WriteString("|")
		case '[':
			end := strings.IndexByte(glob[i:], ']')
			if end < 0 {
				b.WriteString(`\[`)
				continue
			}
			b.WriteString(strings.Replace(glob[i:i+end+1], "[!", "[^", 1))
			i += end
		case '\\':
			i++
			if i < len(glob) {
				b.WriteString(regexp.QuoteMeta(glob[i : i+1]))
			}
		default:
			b.WriteString(regexp.QuoteMeta(string(c)))
		}
	}
	return b.String()
}

var groupName = regexp.MustCompile(`\(\?P<[^>]*>`)

// expression is a protection as a regular expression for a whole tag, without anchors.
func (x protection) expression() string {
	if x.pattern != nil {
		// Registries' regular expressions have no names for groups.
		return groupName.ReplaceAllString(strings.TrimSuffix(strings.TrimPrefix(x.pattern.String(), "^"), "$"), "(?:")
	}
	return globRegexp(x.glob)
}

// prefix is the text that every tag of a glob begins with.
func prefix(glob string) string {
	if i := strings.IndexAny(glob, `*?[{\`); i >= 0 {
		return glob[:i]
	}
	return glob
}

// prefix is the text that every tag of a protection begins with.
func (x protection) prefix() string {
	if x.pattern == nil {
		return prefix(x.glob)
	}
	literal, _ := x.pattern.LiteralPrefix()
	if literal == "" { // LiteralPrefix stops at the anchor
		unanchored := regexp.MustCompile(strings.TrimPrefix(x.pattern.String(), "^"))
		literal, _ = unanchored.LiteralPrefix()
	}
	return literal
}

// literal reports whether the protection is for one tag alone.
func (x protection) literal() bool {
	if x.pattern == nil {
		return prefix(x.glob) == x.glob
	}
	return x.pattern.String() == "^"+regexp.QuoteMeta(x.prefix())+"$"
}

// glob is a glob with * alone that matches every tag of the protection, and perhaps others.
func (x protection) wide() string {
	if x.literal() {
		return x.prefix()
	}
	if x.pattern == nil && !strings.ContainsAny(x.glob, `?[{\`) {
		return x.glob
	}
	return x.prefix() + "*"
}

// mayMeet reports whether a tag could have both prefixes.
func mayMeet(a, b string) bool { return strings.HasPrefix(a, b) || strings.HasPrefix(b, a) }

// simple reports whether a glob has no wildcard but *.
func simple(glob string) bool { return !strings.ContainsAny(glob, `?[{\`) }

// everything reports whether a glob matches every tag.
func everything(glob string) bool { return strings.Trim(glob, "*") == "" }
