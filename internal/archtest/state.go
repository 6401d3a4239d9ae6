package archtest

import (
	"go/ast"
	"go/token"
	"slices"
	"strings"
)

// GlobalState refuses init functions and package-level variables in the core and in internal: two pipelines in one
// process must not see each other. Errors, compiled regular expressions, embedded files and interface checks
// (`var _ I = T{}`) stay allowed, as nothing assigns to them.
func GlobalState(s *Source) []Violation {
	var found []Violation
	for _, f := range s.Files {
		if f.Test || !within(f.Dir, "pipelines") && !within(f.Dir, "internal") {
			continue
		}
		for _, declaration := range f.Syntax.Decls {
			switch d := declaration.(type) {
			case *ast.FuncDecl:
				if d.Recv == nil && d.Name.Name == "init" {
					found = append(found, s.violation(d.Pos(), "init function"))
				}
			case *ast.GenDecl:
				if d.Tok == token.VAR {
					found = append(found, s.variables(f, d)...)
				}
			}
		}
	}
	return sorted(found)
}

func (s *Source) variables(f File, d *ast.GenDecl) []Violation {
	var found []Violation
	for _, spec := range d.Specs {
		value, ok := spec.(*ast.ValueSpec)
		if !ok || embedded(d.Doc) || embedded(value.Doc) {
			continue
		}
		for i, name := range value.Names {
			var initial ast.Expr
			if i < len(value.Values) {
				initial = value.Values[i]
			}
			if name.Name != "_" && !s.constant(f, initial) {
				found = append(found, s.violation(name.Pos(), "package-level variable %s", name.Name))
			}
		}
	}
	return found
}

// constant tells whether the initial value is one of those that stand for a constant.
func (s *Source) constant(f File, initial ast.Expr) bool {
	switch e := initial.(type) {
	case *ast.CallExpr:
		return s.calls(f, e, "errors", "New") || s.calls(f, e, "fmt", "Errorf") ||
			s.calls(f, e, "regexp", "MustCompile") || s.calls(f, e, s.Module+"/pipelines/fault", "New")
	case *ast.UnaryExpr:
		literal, ok := e.X.(*ast.CompositeLit)
		return ok && literal.Type != nil &&
			selects(literal.Type, s.importedAs(f, s.Module+"/pipelines/fault"), "Error")
	default:
		return false
	}
}

func (s *Source) calls(f File, call *ast.CallExpr, path, name string) bool {
	pkg := s.importedAs(f, path)
	return pkg != "" && selects(call.Fun, pkg, name)
}

func embedded(doc *ast.CommentGroup) bool {
	return doc != nil && slices.ContainsFunc(doc.List, func(c *ast.Comment) bool {
		return strings.HasPrefix(c.Text, "//go:embed ")
	})
}
