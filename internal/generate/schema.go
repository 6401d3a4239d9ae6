package main

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"strings"

	"github.com/invopop/jsonschema"

	"github.com/berth-sh/berth/pipelines/config"
)

//go:embed introduction.md
var introduction string

//go:embed templates.md
var templates string

// schema reflects the configuration's types, with their comments as descriptions.
func schema(root string) (*jsonschema.Schema, error) {
	r := &jsonschema.Reflector{FieldNameTag: "yaml", RequiredFromJSONSchemaTags: true, CommentMap: map[string]string{}}
	const pkg = "github.com/berth-sh/berth/pipelines/config"
	if err := r.AddGoComments(pkg, filepath.Join(root, "pipelines", "config"), jsonschema.WithFullComment()); err != nil {
		return nil, err
	}
	// The comments are keyed by the folder they were found in; types are looked up by their package.
	for key, comment := range maps.Clone(r.CommentMap) {
		if i := strings.LastIndex(key, "config."); i > 0 {
			r.CommentMap[pkg+key[i+len("config"):]] = strings.Join(strings.Fields(comment), " ")
		}
	}
	s := r.Reflect(&config.Config{})
	s.Title = "berth.yaml"
	s.ID = ""
	return s, nil
}

func schemaJSON(s *jsonschema.Schema) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(s)
	return b.Bytes(), err
}

// sections is the order of the types in the reference.
func sections() []string {
	return []string{
		"Config", "Version", "Component", "Go", "Dockerfile", "BuildSecret", "BuildSSH", "BuildCache", "BuildAttestations",
		"Registry", "TagRule", "Environment", "Refs", "Promote", "RetentionRule", "Approver", "Recorder", "Policy", "Chart",
		"Dagger",
	}
}

// where each type stands in the file.
func places() map[string]string {
	return map[string]string{
		"Config": "The file", "Version": "version", "Component": "components.NAME", "Go": "components.NAME.go",
		"Dockerfile": "components.NAME.dockerfile", "BuildSecret": "components.NAME.dockerfile.secrets[]",
		"BuildSSH": "components.NAME.dockerfile.ssh[]", "BuildCache": "components.NAME.dockerfile.cache",
		"BuildAttestations": "components.NAME.dockerfile.attestations",
		"Registry":          "registries.NAME", "TagRule": "tags[]",
		"Environment": "environments.NAME", "Refs": "environments.NAME.refs", "Promote": "environments.NAME.promote",
		"RetentionRule": "environments.NAME.retention[]", "Approver": "approvers[]", "Recorder": "recorders[]",
		"Policy": "policy",
		"Chart":  "chart",
		"Dagger": "dagger",
	}
}

// configuration writes the reference of berth.yaml.
func configuration(s *jsonschema.Schema) []byte {
	var b bytes.Buffer
	b.WriteString(introduction)
	for _, name := range sections() {
		def := s.Definitions[name]
		fmt.Fprintf(&b, "## %s\n\n%s\n\n| key | type | | meaning |\n|---|---|---|---|\n", places()[name], def.Description)
		for p := def.Properties.Oldest(); p != nil; p = p.Next() {
			required := ""
			for _, r := range def.Required {
				if r == p.Key {
					required = "required"
				}
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", p.Key, typeName(p.Value), required, escape(p.Value.Description))
		}
		b.WriteString("\n")
	}
	b.WriteString(templates)
	return b.Bytes()
}

func escape(s string) string { return strings.ReplaceAll(s, "|", `\|`) }

// typeName writes a property's type, with a link to the section of another type.
func typeName(s *jsonschema.Schema) string {
	switch {
	case s.Ref != "":
		return section(s.Ref)
	case s.Type == "array":
		return "list of " + typeName(s.Items)
	case s.Type == "object" && s.AdditionalProperties != nil:
		return "map of " + typeName(s.AdditionalProperties)
	case len(s.Enum) > 0:
		var values []string
		for _, v := range s.Enum {
			values = append(values, fmt.Sprintf("`%v`", v))
		}
		return strings.Join(values, " ")
	default:
		return s.Type
	}
}

func section(ref string) string {
	place := places()[strings.TrimPrefix(ref, "#/$defs/")]
	anchor := strings.NewReplacer(".", "", "[", "", "]", "").Replace(strings.ToLower(place))
	return fmt.Sprintf("[%s](#%s)", place, anchor)
}
