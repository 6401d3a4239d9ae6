package ci_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// sections are the blocks that a declarative pipeline knows, each with those it may stand in: the part of
// https://www.jenkins.io/doc/book/pipeline/syntax/ that the example uses.
var sections = map[string][]string{
	"pipeline":        {""},
	"agent":           {"pipeline", "stage"},
	"options":         {"pipeline", "stage"},
	"environment":     {"pipeline", "stage"},
	"stages":          {"pipeline"},
	"stage":           {"stages"},
	"when":            {"stage"},
	"not":             {"when"},
	"steps":           {"stage"},
	"withCredentials": {"steps"},
}

// blocks reads the nesting of a Jenkinsfile's braces: each block as its path, such as pipeline/stages/stage/steps.
func blocks(content string) ([]string, error) {
	content = regexp.MustCompile(`(?s)'''.*?'''`).ReplaceAllString(content, "''")
	content = regexp.MustCompile(`'[^'\n]*'`).ReplaceAllString(content, "''")
	content = regexp.MustCompile(`//.*`).ReplaceAllString(content, "")
	var open, found []string
	start := 0
	for i, r := range content {
		switch r {
		case '{':
			name := regexp.MustCompile(`(\w+)\s*(\((?:[^()]|\([^()]*\))*\))?\s*$`).FindStringSubmatch(content[start:i])
			if name == nil {
				return nil, fmt.Errorf("a block without a name after %q", content[start:i])
			}
			open = append(open, name[1])
			found = append(found, strings.Join(open, "/"))
			start = i + 1
		case '}':
			if len(open) == 0 {
				return nil, fmt.Errorf("a } too many")
			}
			open = open[:len(open)-1]
			start = i + 1
		}
	}
	if len(open) > 0 {
		return nil, fmt.Errorf("%s is not closed", strings.Join(open, "/"))
	}
	return found, nil
}

// misplaced says which block of a pipeline stands where it must not, or is missing.
func misplaced(content string) error {
	found, err := blocks(content)
	if err != nil {
		return err
	}
	for _, path := range found {
		parts := strings.Split(path, "/")
		name, parent := parts[len(parts)-1], ""
		if len(parts) > 1 {
			parent = parts[len(parts)-2]
		}
		if !slices.Contains(sections[name], parent) {
			return fmt.Errorf("%s cannot stand in %q", name, parent)
		}
	}
	for _, path := range []string{"pipeline", "pipeline/agent", "pipeline/stages/stage/steps"} {
		if !slices.Contains(found, path) {
			return fmt.Errorf("%s is missing", path)
		}
	}
	return nil
}

func TestJenkinsExample(t *testing.T) {
	t.Parallel()
	content := read(t, "../../examples/ci/Jenkinsfile")
	if err := misplaced(content); err != nil {
		t.Error(err)
	}
	// Groovy puts the values of variables into a double-quoted text, secrets and branch names included.
	if m := regexp.MustCompile(`\bsh\s*\(?\s*"`).FindString(uncommented(content)); m != "" {
		t.Errorf("a script in double quotes: %s", m)
	}
	for broken, want := range map[string]string{
		strings.Replace(content, "steps {", "step {", 1):            "step cannot stand",
		strings.Replace(content, "  stages {", "  stage {", 1):      "cannot stand in",
		strings.Replace(content, "agent { label 'docker' }", "", 1): "pipeline/agent is missing",
		strings.TrimSuffix(strings.TrimSpace(content), "}"):         "not closed",
		content + "}": "too many",
		strings.Replace(content, "when { changeRequest() }", "{ }", 1): "without a name",
	} {
		if err := misplaced(broken); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
