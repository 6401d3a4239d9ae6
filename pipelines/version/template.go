package version

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/Masterminds/semver/v3"
)

// Fields are the values that a tag template can name.
type Fields struct {
	// Version is the base version.
	Version *semver.Version
	// Commit is the full commit hash, 40 hex digits.
	Commit string
	// Short replaces the first seven digits of Commit in {sha} when it is set by hand (SHA_SHORT).
	Short string
	// Dirty marks {sha} and {commit}, and version tags without either, with "-dirty".
	Dirty bool
	// Time is the commit's time.
	Time time.Time
	// Branch is the branch's name; empty on a tag build.
	Branch string
	// Pull is the number of the pull request, whose name stands for a branch's; empty when there is none.
	Pull string
	// Tag is the git tag of a tag build.
	Tag string
	// Env is the name of the environment.
	Env string
	// N counts release candidates; 0 where there is no count.
	N int
}

const dirtySuffix = "-dirty"

// Template is a parsed tag template such as "v{version}-dev.{sha}".
type Template struct {
	text  string
	parts []part
}

// part is literal text, or a field with an optional length.
type part struct {
	literal string
	field   string
	length  int
}

// fieldNames in the order of the documentation.
func fieldNames() []string {
	return []string{
		"version", "major", "minor", "patch", "prerelease", "sha", "commit", "branch", "tag", "timestamp", "date", "n", "env",
	}
}

var placeholder = regexp.MustCompile(`\{[^{}]*\}|[{}]`)

// ParseTemplate reads a tag template. The error says what is wrong and which fields exist.
func ParseTemplate(text string) (Template, error) {
	t := Template{text: text}
	if text == "" {
		return t, errors.New("the tag template is empty")
	}
	end := 0
	for _, at := range placeholder.FindAllStringIndex(text, -1) {
		p, err := parseField(text[at[0]:at[1]])
		if err != nil {
			return t, err
		}
		if at[0] > end {
			t.parts = append(t.parts, part{literal: text[end:at[0]]})
		}
		t.parts = append(t.parts, p)
		end = at[1]
	}
	if end < len(text) {
		t.parts = append(t.parts, part{literal: text[end:]})
	}
	for _, p := range t.parts {
		for i := range len(p.literal) {
			if !isTagByte(p.literal[i]) && p.literal[i] != '+' {
				return t, fmt.Errorf("%q holds %q, which no tag may hold", text, p.literal[i])
			}
		}
	}
	return t, nil
}

func parseField(s string) (part, error) {
	if len(s) < 2 {
		return part{}, fmt.Errorf("a lone %s: write {field}", s)
	}
	name, length, sized := strings.Cut(s[1:len(s)-1], ":")
	p := part{field: name}
	if !slices.Contains(fieldNames(), name) {
		return p, fmt.Errorf("there is no field {%s}; fields: %s", name, strings.Join(fieldNames(), " "))
	}
	if !sized {
		return p, nil
	}
	n, err := strconv.Atoi(length)
	if name != "sha" || err != nil || n < 4 || n > 40 {
		return p, fmt.Errorf("%s: only {sha:4} to {sha:40} take a length", s)
	}
	p.length = n
	return p, nil
}

// String returns the template's text.
func (t Template) String() string { return t.text }

func (t Template) has(fields ...string) bool {
	return slices.ContainsFunc(t.parts, func(p part) bool { return p.field != "" && slices.Contains(fields, p.field) })
}

// hasAll reports whether the template names every one of the fields.
func (t Template) hasAll(fields ...string) bool {
	for _, f := range fields {
		if !t.has(f) {
			return false
		}
	}
	return true
}

// Counts reports whether the template numbers release candidates, which only a promotion can do.
func (t Template) Counts() bool { return t.has("n") }

// NamesRelease reports whether the tag is that of the version itself, not of a build on the way to it.
func (t Template) NamesRelease() bool {
	whole := t.has("version") || t.hasAll("major", "minor", "patch")
	return whole && !t.has("sha", "commit", "timestamp", "date", "branch", "n")
}

// Class tells which tags of the template may move: a tag that carries a whole version, a commit or a git tag never
// does.
func (t Template) Class() Class {
	if t.has("version", "sha", "commit", "n", "tag") || t.hasAll("major", "minor", "patch") {
		return ClassVersion
	}
	return ClassFloating
}

// Render writes the tag. A "+" of the version becomes "_", as tags cannot hold it.
// Source of the tag grammar: https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pulling-manifests
func (t Template) Render(f Fields) (string, error) {
	var b strings.Builder
	for _, p := range t.parts {
		if p.field == "" {
			b.WriteString(p.literal)
			continue
		}
		value, err := f.value(p)
		if err != nil {
			return "", fmt.Errorf("%q: %w", t.text, err)
		}
		b.WriteString(value)
	}
	if f.Dirty && t.Class() == ClassVersion && !t.has("sha", "commit") {
		b.WriteString(dirtySuffix)
	}
	tag := strings.ReplaceAll(b.String(), "+", "_")
	if err := CheckTag(tag); err != nil {
		return "", fmt.Errorf("%q: %w", t.text, err)
	}
	return tag, nil
}

func (f Fields) value(p part) (string, error) {
	switch p.field {
	case "version":
		return f.Version.String(), nil
	case "major":
		return strconv.FormatUint(f.Version.Major(), 10), nil
	case "minor":
		return strconv.FormatUint(f.Version.Minor(), 10), nil
	case "patch":
		return strconv.FormatUint(f.Version.Patch(), 10), nil
	case "prerelease":
		return f.Version.Prerelease(), nil
	case "sha":
		return f.sha(p.length), nil
	case "commit":
		return f.dirty(f.Commit), nil
	case "timestamp":
		return f.Time.UTC().Format("20060102150405"), nil
	case "date":
		return f.Time.UTC().Format("20060102"), nil
	case "branch":
		if f.Pull != "" {
			return "pr-" + f.Pull, nil
		}
		return needed(p.field, Slug(f.Branch), f.Branch == "", "this is the build of a git tag")
	case "tag":
		return needed(p.field, Slug(f.Tag), f.Tag == "", "this is not the build of a git tag")
	case "env":
		return Slug(f.Env), nil
	default:
		return needed(p.field, strconv.Itoa(f.N), f.N == 0, "only a promotion counts")
	}
}

func needed(field, value string, missing bool, why string) (string, error) {
	if missing {
		return "", fmt.Errorf("{%s} has no value here: %s", field, why)
	}
	return value, nil
}

func (f Fields) sha(length int) string {
	switch {
	case length == 0 && f.Short != "":
		return f.dirty(f.Short)
	case length == 0:
		length = 7
	}
	return f.dirty(f.Commit[:min(length, len(f.Commit))])
}

func (f Fields) dirty(s string) string {
	if f.Dirty {
		return s + dirtySuffix
	}
	return s
}

var tagGrammar = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9._-]*$`)

// CheckTag reports why a name is not an image tag.
func CheckTag(tag string) error {
	switch {
	case tag == "":
		return errors.New("the tag is empty")
	case len(tag) > 128:
		return fmt.Errorf("the tag has %d characters, at most 128 are allowed: %s", len(tag), tag)
	case !tagGrammar.MatchString(tag):
		return fmt.Errorf("%q is not a tag: letters, digits, _ . - only, and the first no . or -", tag)
	}
	return nil
}

// Wildcard is the shortest pattern with stars that every tag of the template matches.
func (t Template) Wildcard() string {
	var b strings.Builder
	for _, p := range t.parts {
		switch {
		case p.field == "":
			b.WriteString(strings.ReplaceAll(p.literal, "+", "_"))
		case !strings.HasSuffix(b.String(), "*"):
			b.WriteByte('*')
		}
	}
	return b.String()
}
