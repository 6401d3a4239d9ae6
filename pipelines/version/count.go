package version

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/Masterminds/semver/v3"
)

// Counted reads the number out of a tag of a template with {n}, such as 2 from v1.4.0-rc2 for "v{version}-rc{n}". It
// reports false for a tag of another version, of another template, or of no such number.
func (t Template) Counted(tag string, f Fields) (n int, ok bool) {
	head, tail, err := t.aroundCount(f)
	if err != nil || len(tag) < len(head)+len(tail) || !strings.HasPrefix(tag, head) || !strings.HasSuffix(tag, tail) {
		return 0, false
	}
	text := tag[len(head) : len(tag)-len(tail)]
	n, err = strconv.Atoi(text)
	return n, err == nil && n > 0 && strconv.Itoa(n) == text
}

// aroundCount renders what stands before and after {n}.
func (t Template) aroundCount(f Fields) (head, tail string, err error) {
	var sides [2]strings.Builder
	side := 0
	for _, p := range t.parts {
		switch p.field {
		case "n":
			side = 1
		case "":
			sides[side].WriteString(p.literal)
		default:
			value, err := f.value(p)
			if err != nil {
				return "", "", err
			}
			sides[side].WriteString(value)
		}
	}
	plus := strings.NewReplacer("+", "_")
	return plus.Replace(sides[0].String()), plus.Replace(sides[1].String()), nil
}

// Matches tells whether a tag may be one of the template, whatever the values of its fields.
func (t Template) Matches(tag string) bool { return t.pattern().MatchString(tag) }

// Parse reads version and number out of a tag of the template: nil and 0 where the template has no such field. It
// reports false for a tag that is not of the template.
func (t Template) Parse(tag string) (v *semver.Version, n int, ok bool) {
	pattern := t.pattern()
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

// pattern matches the tags of the template.
func (t Template) pattern() *regexp.Regexp {
	var b strings.Builder
	seen := map[string]bool{}
	b.WriteString("^")
	for _, p := range t.parts {
		text := p.pattern()
		if p.field != "" && !seen[p.field] {
			text = "(?P<" + p.field + ">" + text + ")"
		}
		seen[p.field] = true
		b.WriteString(text)
	}
	b.WriteString("(-dirty)?$")
	return regexp.MustCompile(b.String())
}

// pattern is the regular expression of a part of a tag.
func (p part) pattern() string {
	switch p.field {
	case "":
		return regexp.QuoteMeta(strings.ReplaceAll(p.literal, "+", "_"))
	case "version":
		return `[0-9]+\.[0-9]+\.[0-9]+(?:[-_][0-9A-Za-z._-]+?)?`
	case "major", "minor", "patch", "n", "timestamp", "date":
		return `[0-9]+`
	case "sha", "commit":
		return `[0-9a-f]{4,40}(?:-dirty)?`
	default:
		return `[a-zA-Z0-9._-]+`
	}
}
