package config

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/berth-sh/berth/pipelines/fault"
)

// variable matches $${ (an escaped opening), ${NAME}, and any other ${…}, which is an error.
var variable = regexp.MustCompile(`\$\$\{|\$\{([^}]*)\}?`)

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// expand replaces ${VAR} in every string value of the document; keys stay. A variable without a value is noted in src
// and left as it stands.
func expand(src *source, node ast.Node, path []string, lookup Lookup) error {
	switch n := node.(type) {
	case *ast.MappingNode:
		for _, v := range n.Values {
			if err := expand(src, v, path, lookup); err != nil {
				return err
			}
		}
	case *ast.MappingValueNode:
		if !n.Key.IsMergeKey() { // what is merged stands beside the key, not below it
			path = append(path[:len(path):len(path)], n.Key.GetToken().Value)
		}
		return expand(src, n.Value, path, lookup)
	case *ast.SequenceNode:
		for i, v := range n.Values {
			if err := expand(src, v, append(path[:len(path):len(path)], strconv.Itoa(i)), lookup); err != nil {
				return err
			}
		}
	case *ast.StringNode:
		value, err := expandString(src, n.Value, path, lookup)
		if err != nil {
			return err
		}
		n.Value = value
	case *ast.LiteralNode:
		return expand(src, n.Value, path, lookup)
	case *ast.AnchorNode:
		src.anchors[n.Name.GetToken().Value] = path
		return expand(src, n.Value, path, lookup)
	case *ast.AliasNode:
		src.alias(n.Value.GetToken().Value, path)
	case *ast.TagNode:
		return expand(src, n.Value, path, lookup)
	}
	return nil
}

func expandString(src *source, s string, path []string, lookup Lookup) (string, error) {
	var failed error
	out := variable.ReplaceAllStringFunc(s, func(m string) string {
		if m == "$${" {
			return "${"
		}
		name := strings.TrimSuffix(strings.TrimPrefix(m, "${"), "}")
		if !strings.HasSuffix(m, "}") || !variableName.MatchString(name) {
			failed = fault.New(fault.Usage, src.where(path), "write ${NAME}, or $${ for the characters themselves",
				"%q is not a variable", m)
			return m
		}
		value, ok := lookup(name)
		if !ok || value == "" {
			src.unset = append(src.unset, unset{path: path, variable: name})
			return m
		}
		return value
	})
	return out, failed
}
