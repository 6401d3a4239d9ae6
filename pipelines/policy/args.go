package policy

import (
	"bytes"
	"slices"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// Args lists the build arguments that the Dockerfile declares in any of its stages or before them, sorted.
func (d *Dockerfile) Args() ([]string, error) {
	parsed, err := parser.Parse(bytes.NewReader(d.content))
	if err != nil {
		return nil, syntaxFault(d.name, 0, err)
	}
	var out []string
	for _, node := range parsed.AST.Children {
		if !strings.EqualFold(node.Value, "arg") {
			continue
		}
		for n := node.Next; n != nil; n = n.Next {
			name, _, _ := strings.Cut(n.Value, "=")
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// BuiltIn reports whether builders know a build argument without a declaration.
// Source: https://docs.docker.com/reference/dockerfile/#predefined-args
func BuiltIn(arg string) bool {
	known := []string{"HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY", "SOURCE_DATE_EPOCH"}
	return slices.Contains(known, strings.ToUpper(arg)) || strings.HasPrefix(arg, "BUILDKIT_")
}
