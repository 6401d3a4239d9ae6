package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// What is committed must be what the code says now.
func TestGeneratedFilesAreUpToDate(t *testing.T) {
	t.Parallel()
	root := repositoryRoot(t)
	files, err := generate(root)
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Fatal("nothing is generated")
	}
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Error(err)
			continue
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is stale: run make generate", name)
		}
	}
}

func repositoryRoot(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	root, err := findRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// node is a JSON Schema as far as the tests read it.
type node struct {
	Ref                  string           `json:"$ref"`
	Defs                 map[string]*node `json:"$defs"`
	Type                 string           `json:"type"`
	Description          string           `json:"description"`
	Properties           map[string]*node `json:"properties"`
	AdditionalProperties json.RawMessage  `json:"additionalProperties"`
	Items                *node            `json:"items"`
	Required             []string         `json:"required"`
}

func committed(t *testing.T) *node {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(repositoryRoot(t), "pipelines", "config", "schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	var s node
	if err := json.Unmarshal(data, &s); err != nil {
		t.Fatal(err)
	}
	return &s
}

// Editors show the descriptions, and the reference page is made of them.
func TestEveryKeyIsDescribed(t *testing.T) {
	t.Parallel()
	s := committed(t)
	for name, def := range s.Defs {
		if def.Description == "" {
			t.Errorf("%s has no description", name)
		}
		if string(def.AdditionalProperties) != "false" {
			t.Errorf("%s allows unknown keys, which the reader does not", name)
		}
		for key, p := range def.Properties {
			if p.Description == "" {
				t.Errorf("%s.%s has no description", name, key)
			}
		}
	}
	listed := map[string]bool{}
	for _, name := range sections() {
		listed[name] = true
		if s.Defs[name] == nil {
			t.Errorf("the reference has a section for %s, which the schema does not know", name)
		}
	}
	for name := range s.Defs {
		if !listed[name] {
			t.Errorf("the reference has no section for %s", name)
		}
	}
}

// The schema and the reader agree on real files: each key that they use is in the schema.
func TestRealFilesFitTheSchema(t *testing.T) {
	t.Parallel()
	root, s := repositoryRoot(t), committed(t)
	for _, name := range []string{"berth.yaml", "pipelines/config/testdata/kubernaut.yaml"} {
		data, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		var value any
		if err := yaml.Unmarshal(data, &value); err != nil {
			t.Fatal(err)
		}
		s.check(t, s, name, value)
	}
}

// check walks a value along the schema.
func (s *node) check(t *testing.T, root *node, at string, value any) {
	t.Helper()
	if s.Ref != "" {
		s = root.Defs[strings.TrimPrefix(s.Ref, "#/$defs/")]
	}
	switch v := value.(type) {
	case map[string]any:
		for _, key := range s.Required {
			if _, ok := v[key]; !ok {
				t.Errorf("%s has no %s, which the schema requires", at, key)
			}
		}
		for key, inner := range v {
			child := s.Properties[key]
			if child == nil && len(s.AdditionalProperties) > 0 && string(s.AdditionalProperties) != "false" {
				child = &node{}
				if err := json.Unmarshal(s.AdditionalProperties, child); err != nil {
					t.Fatal(err)
				}
			}
			if child == nil {
				t.Errorf("%s.%s is not in the schema", at, key)
				continue
			}
			child.check(t, root, at+"."+key, inner)
		}
	case []any:
		if s.Type != "array" || s.Items == nil {
			t.Errorf("%s is a list, the schema says %q", at, s.Type)
			return
		}
		for _, inner := range v {
			s.Items.check(t, root, at+"[]", inner)
		}
	case string:
		if s.Type != "string" {
			t.Errorf("%s is text, the schema says %q", at, s.Type)
		}
	case bool:
		if s.Type != "boolean" {
			t.Errorf("%s is a boolean, the schema says %q", at, s.Type)
		}
	default:
		t.Errorf("%s is %T", at, value)
	}
}

// The pages are whole: every command and every exit code is in the reference.
func TestTheReferenceIsWhole(t *testing.T) {
	t.Parallel()
	page := string(commands())
	for _, want := range []string{"## berth publish", "## berth plan", "## berth version bump", "## berth registry which", "| 5 | ", "--env", "--format"} {
		if !strings.Contains(page, want) {
			t.Errorf("docs/cli.md has no %q", want)
		}
	}
}

func TestTheRootIsFoundUpwards(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := findRoot(dir); err == nil {
		t.Error("found a root where there is none")
	}
	if err := write(dir); err == nil {
		t.Error("wrote into an empty folder")
	}
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	deep := filepath.Join(dir, "a", "b")
	if err := os.MkdirAll(deep, 0o755); err != nil {
		t.Fatal(err)
	}
	if got, err := findRoot(deep); err != nil || got != dir {
		t.Errorf("%s, %v", got, err)
	}
}
