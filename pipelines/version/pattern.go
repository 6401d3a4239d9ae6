package version

import (
	"regexp"
	"strings"
)

// Pattern matches the tags that the template can give in an environment, and as few others as the fields' values allow.
func (t Template) Pattern(environment string) *regexp.Regexp {
	var b strings.Builder
	b.WriteString("^")
	for _, p := range t.parts {
		if p.field == "" {
			b.WriteString(regexp.QuoteMeta(strings.ReplaceAll(p.literal, "+", "_")))
			continue
		}
		b.WriteString(fieldPattern(p.field, environment))
	}
	if t.Class() == ClassVersion && !t.has("sha", "commit") {
		b.WriteString("(?:" + dirtySuffix + ")?") // where Render puts it
	}
	b.WriteString("$")
	return regexp.MustCompile(b.String())
}

// fieldPattern matches the values of a field.
func fieldPattern(field, environment string) string {
	switch field {
	case "version":
		return `[0-9]+\.[0-9]+\.[0-9]+(?:-[0-9A-Za-z.-]+)?(?:_[0-9A-Za-z.-]+)?`
	case "major", "minor", "patch", "n":
		return `[0-9]+`
	case "prerelease":
		return `[0-9A-Za-z.-]*`
	case "sha":
		return `[0-9A-Za-z]{4,40}(?:` + dirtySuffix + `)?`
	case "commit":
		return `[0-9a-f]{40,64}(?:` + dirtySuffix + `)?`
	case "timestamp":
		return `[0-9]{14}`
	case "date":
		return `[0-9]{8}`
	case "env":
		return regexp.QuoteMeta(Slug(environment))
	default: // branch, tag
		return `[0-9A-Za-z._-]+`
	}
}

// Names reports whether the template uses one of the fields.
func (t Template) Names(fields ...string) bool { return t.has(fields...) }
