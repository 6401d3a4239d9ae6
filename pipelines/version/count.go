package version

import (
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
