// Package archtest holds the architecture: which package may import which, what the pure packages must not touch, and
// which dependency belongs where. It reads the source only, so a broken rule names its file and line.
//
// The order of the core is the road of a release:
//
//	config, facts → version → plan → build → image → publish → approve → promote → audit
//
// A package imports only packages left of it, plus registry, image, fault and report.
package archtest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Source is the parsed Go source of one module, nested modules left out.
type Source struct {
	Module string
	Files  []File
	fset   *token.FileSet
}

// File is one Go file. Dir is its folder relative to the module's root, with slashes, "." for the root itself.
type File struct {
	Name   string
	Dir    string
	Test   bool
	Syntax *ast.File
}

// Violation is one broken rule.
type Violation struct {
	File    string
	Line    int
	Message string
}

// String returns the violation as file:line: message.
func (v Violation) String() string { return fmt.Sprintf("%s:%d: %s", v.File, v.Line, v.Message) }

// Load parses every Go file of the module at root. Folders that the go command ignores, testdata among them, are left
// out, and so are modules inside the module.
func Load(root, module string) (*Source, error) {
	s := &Source{Module: module, fset: token.NewFileSet()}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if path != root && skipped(path, entry.Name()) {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		return s.add(root, path)
	})
	if err != nil {
		return nil, fmt.Errorf("read the source under %s: %w", root, err)
	}
	return s, nil
}

func skipped(path, name string) bool {
	if name == "testdata" || name == "vendor" || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") {
		return true
	}
	_, err := os.Stat(filepath.Join(path, "go.mod"))
	return err == nil
}

func (s *Source) add(root, path string) error {
	relative, err := filepath.Rel(root, path)
	if err != nil {
		return fmt.Errorf("place %s in %s: %w", path, root, err)
	}
	name := filepath.ToSlash(relative)
	content, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	syntax, err := parser.ParseFile(s.fset, name, content, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return fmt.Errorf("parse %s: %w", name, err)
	}
	s.Files = append(s.Files, File{
		Name:   name,
		Dir:    filepath.ToSlash(filepath.Dir(relative)),
		Test:   strings.HasSuffix(name, "_test.go"),
		Syntax: syntax,
	})
	return nil
}

// core returns the package of the core that the file belongs to, such as "plan" for pipelines/plan/reason; ok is false
// for files outside of it. The facade, pipelines itself, is "".
func (f File) core() (name string, ok bool) { return coreOf(f.Dir) }

func coreOf(dir string) (name string, ok bool) {
	if dir == "pipelines" {
		return "", true
	}
	rest, ok := strings.CutPrefix(dir, "pipelines/")
	name, _, _ = strings.Cut(rest, "/")
	return name, ok
}

// imports calls yield with each import's path and the line it stands on.
func (s *Source) imports(f File, yield func(path string, at token.Pos)) {
	for _, spec := range f.Syntax.Imports {
		yield(strings.Trim(spec.Path.Value, `"`), spec.Pos())
	}
}

// importedAs returns the name under which the file knows the package, "" when it does not import it.
func (s *Source) importedAs(f File, path string) string {
	for _, spec := range f.Syntax.Imports {
		if strings.Trim(spec.Path.Value, `"`) != path {
			continue
		}
		if spec.Name != nil {
			return spec.Name.Name
		}
		return path[strings.LastIndex(path, "/")+1:]
	}
	return ""
}

func (s *Source) violation(at token.Pos, format string, arguments ...any) Violation {
	position := s.fset.Position(at)
	return Violation{File: position.Filename, Line: position.Line, Message: fmt.Sprintf(format, arguments...)}
}

func sorted(violations []Violation) []Violation {
	slices.SortFunc(violations, func(a, b Violation) int {
		if a.File != b.File {
			return strings.Compare(a.File, b.File)
		}
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return strings.Compare(a.Message, b.Message)
	})
	return violations
}
