package build

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// Stages is what can be asked of a Dockerfile without building it.
type Stages struct {
	// Names of the stages in order, in lower case, "" for one without a name.
	Names []string
	// Args that the Dockerfile declares, sorted.
	Args []string
	// Custom is true when another frontend than Docker's own reads the file, whose rules are not known here.
	Custom bool
}

// ReadStages reads a Dockerfile with BuildKit's own parser. Its error names the line.
func ReadStages(r io.Reader) (Stages, error) {
	data, err := io.ReadAll(r)
	if err != nil {
		return Stages{}, err
	}
	var out Stages
	if syntax, _, _, ok := parser.DetectSyntax(data); ok && !strings.Contains(syntax, "docker/dockerfile") {
		out.Custom = true
		return out, nil
	}
	parsed, err := parser.Parse(strings.NewReader(string(data)))
	if err != nil {
		return Stages{}, err
	}
	for _, node := range parsed.AST.Children {
		words := rest(node)
		switch strings.ToLower(node.Value) {
		case "from":
			name := ""
			if len(words) == 3 && strings.EqualFold(words[1], "as") {
				name = strings.ToLower(words[2])
			}
			out.Names = append(out.Names, name)
		case "arg":
			for _, word := range words {
				name, _, _ := strings.Cut(word, "=")
				out.Args = append(out.Args, name)
			}
		}
	}
	if len(out.Names) == 0 {
		return Stages{}, fmt.Errorf("the Dockerfile has no FROM line")
	}
	slices.Sort(out.Args)
	out.Args = slices.Compact(out.Args)
	return out, nil
}

// rest lists the words after an instruction.
func rest(node *parser.Node) []string {
	var words []string
	for n := node.Next; n != nil; n = n.Next {
		words = append(words, n.Value)
	}
	return words
}

// HasTarget reports whether a stage of that name or number can be built. "" is the last one.
func (s Stages) HasTarget(target string) bool {
	if i, err := strconv.Atoi(target); err == nil && i >= 0 && i < len(s.Names) {
		return true
	}
	return s.Custom || target == "" || slices.Contains(s.Names, strings.ToLower(target))
}

// Takes reports whether a build argument does anything: the Dockerfile declares it, or the builder knows it.
// Source: https://docs.docker.com/reference/dockerfile/#predefined-args
func (s Stages) Takes(arg string) bool {
	known := []string{
		"HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY", "SOURCE_DATE_EPOCH",
	}
	return s.Custom || slices.Contains(s.Args, arg) || slices.Contains(known, strings.ToUpper(arg)) ||
		strings.HasPrefix(arg, "BUILDKIT_")
}
