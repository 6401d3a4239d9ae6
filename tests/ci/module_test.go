// Package ci_test checks the CI files of this repository and those it gives to others: that they are well-formed, that
// every call of the module names functions and flags which the module has, and that no secret stands in them.
package ci_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// flag is an argument of a function of the module.
type flag struct {
	typ      string
	required bool
}

// module holds the arguments of each function of the Dagger module by its name on the command line; those of the
// constructor have the name "".
type module map[string]map[string]flag

// readModule reads the functions from the module's source, as `dagger call` derives its commands from it.
func readModule(t *testing.T) module {
	t.Helper()
	names, err := filepath.Glob("../../.dagger/*.go")
	if err != nil || len(names) == 0 {
		t.Fatalf("no source of the module: %v", err)
	}
	found := module{}
	for _, name := range names {
		if strings.HasSuffix(name, ".gen.go") || strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		found.add(file)
	}
	if found[""] == nil || found["publish"] == nil {
		t.Fatalf("constructor or publish not found among %d functions", len(found))
	}
	return found
}

func (m module) add(file *ast.File) {
	for _, decl := range file.Decls {
		fn, ok := decl.(*ast.FuncDecl)
		if !ok || !fn.Name.IsExported() {
			continue
		}
		switch {
		case fn.Recv == nil && fn.Name.Name == "New":
			m[""] = arguments(fn, file.Comments)
		case fn.Recv != nil && types.ExprString(fn.Recv.List[0].Type) == "*Berth":
			m[kebab(fn.Name.Name)] = arguments(fn, file.Comments)
		}
	}
}

func arguments(fn *ast.FuncDecl, comments []*ast.CommentGroup) map[string]flag {
	flags := map[string]flag{}
	previous := fn.Type.Params.Opening
	for _, field := range fn.Type.Params.List {
		typ := types.ExprString(field.Type)
		optional := false
		// The parser hands out comments of parameters only by their place.
		for _, group := range comments {
			if group.Pos() > previous && group.End() < field.Pos() {
				optional = optional || hasPragma(group)
			}
		}
		previous = field.End()
		if typ == "context.Context" || typ == "*dagger.Workspace" {
			continue // Dagger fills them in.
		}
		for _, name := range field.Names {
			flags[kebab(name.Name)] = flag{typ: typ, required: !optional}
		}
	}
	return flags
}

func hasPragma(group *ast.CommentGroup) bool {
	return slices.ContainsFunc(group.List, func(c *ast.Comment) bool {
		text := strings.TrimSpace(strings.TrimPrefix(c.Text, "//"))
		return strings.HasPrefix(text, "+optional") || strings.HasPrefix(text, "+default")
	})
}

// kebab writes a Go name as Dagger's command line does: GhcrToken and ghcrToken are ghcr-token.
func kebab(name string) string {
	var b strings.Builder
	for i, r := range name {
		if unicode.IsUpper(r) && i > 0 {
			b.WriteByte('-')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// check says what is wrong with the words after `dagger call`.
func (m module) check(words []string) error {
	words = slices.Clone(words)
	if len(words) > 1 && words[0] == "-m" {
		words = words[2:]
	}
	words, given, err := take(words, m[""])
	if err != nil {
		return fmt.Errorf("constructor: %w", err)
	}
	if len(words) == 0 {
		return fmt.Errorf("no function is called")
	}
	if given["ref"] == "" {
		return fmt.Errorf("no --ref: a CI checks out a commit, and git does not know which ref it is of")
	}
	function := words[0]
	flags, ok := m[function]
	if !ok || function == "" {
		return fmt.Errorf("the module has no function %q", function)
	}
	words, given, err = take(words[1:], flags)
	if err != nil {
		return fmt.Errorf("%s: %w", function, err)
	}
	if len(words) > 0 {
		return fmt.Errorf("%s: %q is no flag", function, words[0])
	}
	for name, f := range flags {
		if _, ok := given[name]; f.required && !ok {
			return fmt.Errorf("%s: --%s is missing", function, name)
		}
	}
	return nil
}

// take reads the flags at the front of words, and returns what follows them.
func take(words []string, flags map[string]flag) (rest []string, given map[string]string, err error) {
	given = map[string]string{}
	for len(words) > 0 && strings.HasPrefix(words[0], "-") {
		name, value, inline := strings.Cut(strings.TrimPrefix(words[0], "--"), "=")
		f, ok := flags[name]
		if !ok {
			return nil, nil, fmt.Errorf("there is no flag %s", words[0])
		}
		words = words[1:]
		if !inline && f.typ != "bool" {
			if len(words) == 0 {
				return nil, nil, fmt.Errorf("--%s has no value", name)
			}
			value, words = words[0], words[1:]
		}
		// A secret's value would be in the process list and, where the shell echoes, in the log.
		if f.typ == "*dagger.Secret" && !regexp.MustCompile(`^(env|cmd|file):.`).MatchString(value) {
			return nil, nil, fmt.Errorf("--%s is a secret, and takes env:NAME, cmd:COMMAND or file:PATH", name)
		}
		given[name] = value
	}
	return words, given, nil
}

func TestTheModuleIsReadAsDaggerReadsIt(t *testing.T) {
	t.Parallel()
	m := readModule(t)
	for name, want := range map[string]flag{
		"ghcr-token": {typ: "*dagger.Secret"}, "sandbox": {typ: "bool"}, "ref": {typ: "string"},
	} {
		if got, ok := m[""][name]; !ok || got != want {
			t.Errorf("constructor --%s: %+v, want %+v", name, got, want)
		}
	}
	if got := m["container"]["component"]; !got.required {
		t.Error("container --component is not required")
	}
	for _, name := range []string{"workspace", "ctx"} {
		if _, ok := m[""][name]; ok {
			t.Errorf("%s is taken for a flag", name)
		}
	}
	for line, want := range map[string]string{
		`--ref main publish --env dev`:                        "",
		`-m x@y --ref=main --sandbox publish --dry-run`:       "",
		`--ref main container --component web`:                "",
		`--ref main container`:                                "--component is missing",
		`publish --env dev`:                                   "no --ref",
		`--ref main`:                                          "no function",
		`--ref main publsh`:                                   `no function "publsh"`,
		`--ref main publish --environment dev`:                "no flag --environment",
		`--ref main publish dev`:                              `"dev" is no flag`,
		`--reff main publish`:                                 "no flag --reff",
		`--ref main --ghcr-token "$TOKEN" publish`:            "is a secret",
		`--ref main --ghcr-token env:TOKEN publish`:           "",
		`--ref main --ecr-password "cmd:aws ecr get" publish`: "",
		`--ref main publish --env`:                            "has no value",
	} {
		err := m.check(words(t, line))
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", line, err, want)
		}
	}
}
