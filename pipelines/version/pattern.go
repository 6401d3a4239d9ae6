package version

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/Masterminds/semver/v3"
)

// Pattern matches the tags that the template can give in an environment, and as few others as the fields' values allow.
// The values are groups with the fields' names.
func (t Template) Pattern(environment string) *regexp.Regexp {
	var b strings.Builder
	named := map[string]bool{}
	b.WriteString("^")
	for _, p := range t.parts {
		if p.field == "" {
			b.WriteString(regexp.QuoteMeta(strings.ReplaceAll(p.literal, "+", "_")))
			continue
		}
		text := fieldPattern(p.field, environment)
		if !named[p.field] {
			named[p.field] = true
			text = "(?P<" + p.field + ">" + text + ")"
		}
		b.WriteString(text)
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

// Parse reads version and number out of a tag of the template: nil and 0 where the template has no such field. It
// reports false for a tag that is not of the template.
func (t Template) Parse(tag, environment string) (v *semver.Version, n int, ok bool) {
	pattern := t.Pattern(environment)
	found := pattern.FindStringSubmatch(tag)
	if found == nil {
		return nil, 0, false
	}
	if i := pattern.SubexpIndex("version"); i >= 0 {
		var err error
		if v, err = semver.StrictNewVersion(strings.Replace(found[i], "_", "+", 1)); err != nil {
			return nil, 0, false
		}
	}
	if i := pattern.SubexpIndex("n"); i >= 0 {
		n, _ = strconv.Atoi(found[i]) // digits; too many of them are no number that anybody counts to
	}
	return v, n, true
}

// Fixed tells whether the template has no field, so that it always gives the same tag.
func (t Template) Fixed() bool { return !t.has(fieldNames()...) }

// Names reports whether the template uses one of the fields.
func (t Template) Names(fields ...string) bool { return t.has(fields...) }
