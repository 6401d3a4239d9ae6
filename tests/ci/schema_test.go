package ci_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// The examples validate against the schemas that editors use for these files, and a file that is wrong does not.
func TestExamplesFollowTheSchemas(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ schema, file, right, wrong string }{
		"GitLab":          {"gitlab.json", ".gitlab-ci.yml", "resource_group: ", "resource_grup: "},
		"CircleCI":        {"circleci.json", ".circleci/config.yml", "version: 2.1", "version: 1"},
		"Azure Pipelines": {"azure.json.gz", "azure-pipelines.yml", "steps:", "stepps:"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			schema := compile(t, c.schema)
			text, err := os.ReadFile(filepath.Join("../../examples/ci", c.file))
			if err != nil {
				t.Fatal(err)
			}
			if err := schema.Validate(document(t, string(text))); err != nil {
				t.Errorf("%s: %v", c.file, err)
			}
			broken := strings.Replace(string(text), c.right, c.wrong, 1)
			if broken == string(text) {
				t.Fatalf("%s has no %q to break", c.file, c.right)
			}
			if schema.Validate(document(t, broken)) == nil {
				t.Errorf("%s validates with %q", c.file, c.wrong)
			}
		})
	}
}

func compile(t *testing.T, name string) *jsonschema.Schema {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata/schemas", name))
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasSuffix(name, ".gz") {
		r, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		if data, err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("schema.json", value); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

func document(t *testing.T, text string) any {
	t.Helper()
	data, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return value
}
