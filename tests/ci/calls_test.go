package ci_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// files are all CI files: GitHub's, which run here, and the examples.
func files(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob("../../.github/workflows/*.yml")
	if err != nil {
		t.Fatal(err)
	}
	if len(found) < 3 {
		t.Fatalf("only %d workflows: %v", len(found), found)
	}
	return append(found, "../../examples/ci/.gitlab-ci.yml", "../../examples/ci/Jenkinsfile",
		"../../examples/ci/azure-pipelines.yml", "../../examples/ci/.circleci/config.yml")
}

func read(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// strings of a YAML file, wherever they are.
func leaves(v any, visit func(key, value string)) {
	var walk func(key string, v any)
	walk = func(key string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for k, child := range v {
				walk(k, child)
			}
		case []any:
			for _, child := range v {
				walk(key, child)
			}
		case string:
			visit(key, v)
		}
	}
	walk("", v)
}

// scripts returns the shell scripts of a CI file that name dagger.
func scripts(t *testing.T, name string) []string {
	t.Helper()
	content := read(t, name)
	var out []string
	if filepath.Base(name) == "Jenkinsfile" {
		for _, m := range regexp.MustCompile(`(?s)\bsh '''(.*?)'''|\bsh '([^'\n]*)'`).FindAllStringSubmatch(content, -1) {
			out = append(out, m[1]+m[2])
		}
		return out
	}
	var document any
	if err := yaml.Unmarshal([]byte(content), &document); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	leaves(document, func(_, value string) { out = append(out, value) })
	return out
}

// calls returns the words after each `dagger call` of a script.
func calls(t *testing.T, script string) [][]string {
	t.Helper()
	var out [][]string
	for line := range strings.Lines(strings.ReplaceAll(script, "\\\n", " ")) {
		if _, after, ok := strings.Cut(line, "dagger call"); ok && !strings.HasPrefix(strings.TrimSpace(line), "#") {
			out = append(out, words(t, after))
		}
	}
	return out
}

// words splits a command as a shell does, with quotes but without expansion.
func words(t *testing.T, line string) []string {
	t.Helper()
	var out []string
	var word strings.Builder
	var quote rune
	inside := false
	for _, r := range line {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '"' || r == '\''):
			quote, inside = r, true
		case quote == 0 && (r == ' ' || r == '\n' || r == '\t'):
			if inside {
				out = append(out, word.String())
			}
			word.Reset()
			inside = false
		default:
			word.WriteRune(r)
			inside = true
		}
	}
	if quote != 0 {
		t.Errorf("a quote is not closed: %s", line)
	}
	if inside {
		out = append(out, word.String())
	}
	return out
}

func TestCallsNameWhatTheModuleHas(t *testing.T) {
	t.Parallel()
	m := readModule(t)
	for _, name := range files(t) {
		found, published := 0, false
		for _, script := range scripts(t, name) {
			for _, call := range calls(t, script) {
				found++
				if err := m.check(call); err != nil {
					t.Errorf("%s: dagger call %s: %v", name, strings.Join(call, " "), err)
				}
				published = published || slices.Contains(call, "publish") || slices.Contains(call, "promote")
				if strings.Contains(name, "/examples/") && (call[0] != "-m" || call[1] != "$BERTH") {
					t.Errorf("%s: dagger call %s: another repository needs -m \"$BERTH\"", name, strings.Join(call, " "))
				}
			}
			// What a user can write into a branch's name would become a part of the script.
			if strings.Contains(script, "dagger call") && strings.Contains(script, "${{") {
				t.Errorf("%s: a script contains an expression, instead of a variable: %s", name, script)
			}
		}
		if raw := strings.Count(uncommented(read(t, name)), "dagger call"); raw != found || found == 0 {
			t.Errorf("%s: %d calls were read, the file has %d", name, found, raw)
		}
		if !published && filepath.Base(name) != "ci.yml" {
			t.Errorf("%s publishes and promotes nothing", name)
		}
	}
}

// uncommented leaves out the lines that are comments.
func uncommented(content string) string {
	return regexp.MustCompile(`(?m)^\s*(#|//).*$`).ReplaceAllString(content, "")
}

func TestVariablesInQuotes(t *testing.T) {
	t.Parallel()
	bare := regexp.MustCompile(`(^|[ =])\$[A-Za-z_{]`)
	for _, name := range files(t) {
		for _, script := range scripts(t, name) {
			for line := range strings.Lines(script) {
				quoted := regexp.MustCompile(`"[^"]*"|'[^']*'`).ReplaceAllString(line, "")
				if strings.Contains(script, "dagger call") && bare.MatchString(quoted) {
					t.Errorf("%s: a variable without quotes: %s", name, strings.TrimSpace(line))
				}
			}
		}
	}
}

func TestSecretsComeFromTheCI(t *testing.T) {
	t.Parallel()
	// What the CI sets for every job.
	predefined := []string{"CI_REGISTRY_PASSWORD"}
	for _, name := range files(t) {
		content := read(t, name)
		for _, m := range regexp.MustCompile(`\benv:(\w+)`).FindAllStringSubmatch(content, -1) {
			set := regexp.MustCompile(`(?m)(^\s*` + m[1] + `: \$|passwordVariable: '` + m[1] + `')`)
			if !slices.Contains(predefined, m[1]) && !set.MatchString(content) {
				t.Errorf("%s: nothing sets %s", name, m[1])
			}
		}
		if secret := literal(t, name, content); secret != "" {
			t.Errorf("%s: a secret stands in it: %s", name, secret)
		}
	}
}

// literal returns what looks like a secret in a CI file.
func literal(t *testing.T, name, content string) string {
	t.Helper()
	known := regexp.MustCompile(`gh[pousr]_\w{20,}|github_pat_\w+|glpat-\S+|A(KIA|SIA)[A-Z0-9]{16}|-----BEGIN|eyJ[\w-]{20,}`)
	if m := known.FindString(content); m != "" {
		return m
	}
	if filepath.Base(name) == "Jenkinsfile" {
		return regexp.MustCompile(`(?i)\b\w*(token|password|secret)\w*\s*=\s*['"][^$'"]+['"]`).FindString(content)
	}
	var document any
	if err := yaml.Unmarshal([]byte(content), &document); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	found := ""
	leaves(document, func(key, value string) {
		named := regexp.MustCompile(`(?i)(token|password|secret)s?$`).MatchString(key)
		if named && !strings.HasPrefix(value, "$") && !slices.Contains([]string{"read", "write", "none"}, value) {
			found = key + ": " + value
		}
	})
	return found
}

func TestLiteralsAreFound(t *testing.T) {
	t.Parallel()
	for content, want := range map[string]bool{
		"a: {TOKEN: hunter2}":                             true,
		"a: {TOKEN: \"${{ secrets.TOKEN }}\"}":            false,
		"permissions: {id-token: write}":                  false,
		"run: echo ghp_abcdefghijklmnopqrstuvwxyz0123456": true,
	} {
		if got := literal(t, "x.yml", content) != ""; got != want {
			t.Errorf("%s: found %v, want %v", content, got, want)
		}
	}
	if literal(t, "Jenkinsfile", "environment { QUAY_TOKEN = 'hunter2' }") == "" {
		t.Error("a literal in a Jenkinsfile was not found")
	}
}
