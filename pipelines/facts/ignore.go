package facts

import (
	"bytes"
	"path"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

// ignoreRule is one line of an ignore file: https://git-scm.com/docs/gitignore#_pattern_format
//
// go-git has a matcher too, but it takes "folder/**" for the folder itself, and so ignores what a later "!" brings
// back; the tests compare with git.
type ignoreRule struct {
	// domain is the folder of the file the rule is in, empty for the root, else with a slash at the end.
	domain string
	// glob matches the path below the domain when anchored, else the last element alone.
	glob                      string
	anchored, folder, include bool
}

// parseIgnore reads an ignore file of the folder; the root is "". Lines that are no pattern match nothing.
func parseIgnore(content []byte, folder string) []ignoreRule {
	if folder != "" {
		folder += "/"
	}
	var rules []ignoreRule
	for line := range bytes.Lines(bytes.TrimPrefix(content, []byte("\ufeff"))) {
		text := strings.TrimSuffix(strings.TrimSuffix(string(line), "\n"), "\r")
		if strings.HasPrefix(text, "#") {
			continue
		}
		rule := ignoreRule{domain: folder}
		text, rule.include = strings.CutPrefix(trimSpaces(text), "!")
		text, rule.folder = strings.CutSuffix(text, "/")
		rule.anchored = strings.Contains(text, "/")
		text = strings.TrimPrefix(text, "/")
		// Braces are ordinary characters to git. Everything inside a folder is not the folder itself.
		text = strings.NewReplacer("{", `\{`, "}", `\}`).Replace(text)
		if strings.HasSuffix(text, "/**") {
			text += "/*"
		}
		if rule.glob = text; text != "" && doublestar.ValidatePattern(text) {
			rules = append(rules, rule)
		}
	}
	return rules
}

// trimSpaces removes spaces at the end, but not one behind a backslash.
func trimSpaces(text string) string {
	trimmed := strings.TrimRight(text, " ")
	if strings.HasSuffix(trimmed, `\`) && trimmed != text {
		return trimmed + " "
	}
	return trimmed
}

// ignored is true when the last rule that matches the path excludes it. The caller does not descend into ignored
// folders, so nothing is asked about paths inside them.
func ignored(rules []ignoreRule, name string, folder bool) bool {
	for i := len(rules) - 1; i >= 0; i-- {
		rule := &rules[i]
		below, inside := strings.CutPrefix(name, rule.domain)
		if !inside || rule.folder && !folder {
			continue
		}
		if !rule.anchored {
			below = path.Base(below)
		}
		if doublestar.MatchUnvalidated(rule.glob, below) {
			return !rule.include
		}
	}
	return false
}
