package version

import (
	"regexp"
	"strconv"
	"strings"
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
func (t Template) Matches(tag string) bool {
	var b strings.Builder
	b.WriteString("^")
	for _, p := range t.parts {
		b.WriteString(p.pattern())
	}
	b.WriteString("(-dirty)?$")
	ok, err := regexp.MatchString(b.String(), tag)
	return ok && err == nil
}

// pattern is the regular expression of a part of a tag.
func (p part) pattern() string {
	switch p.field {
	case "":
		return regexp.QuoteMeta(strings.ReplaceAll(p.literal, "+", "_"))
	case "version":
		return `[0-9]+\.[0-9]+\.[0-9]+([-_][0-9A-Za-z._-]+?)?`
	case "major", "minor", "patch", "n", "timestamp", "date":
		return `[0-9]+`
	case "sha", "commit":
		return `[0-9a-f]{4,40}(-dirty)?`
	default:
		return `[a-zA-Z0-9._-]+`
	}
}
