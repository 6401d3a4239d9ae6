package archtest

import (
	"go/ast"
	"go/token"
	"slices"
	"strings"
)

// road is the order of the core. Packages of one stage do not import each other.
func road() [][]string {
	return [][]string{
		{"config", "facts"},
		{"version"},
		{"plan"},
		{"build"},
		{"image"},
		{"guard"},
		{"publish"},
		{"approve"},
		{"promote"},
		{"audit", "status"},
	}
}

// allowed returns, for each package of the core, the packages of the core that it may import.
func allowed() map[string][]string {
	shared := []string{"registry", "image", "fault", "report", "attest", "dockerfile", "yamlspan", "cache"}
	table := map[string][]string{
		"fault":  nil,
		"report": {"fault"},
		// Pure text.
		"yamlspan": nil,
		// Files by keys, whatever is in them.
		"cache": {"fault"},
		// image gives its values to everyone, so it needs no one.
		"image":      {"fault", "report"},
		"registry":   {"image", "fault", "report"},
		"sandbox":    {"registry", "image", "fault", "report"},
		"dockerfile": {"image", "fault"},
		// The clouds' own libraries, for the doors to choose from.
		"cloud":     {"registry", "fault", "report"},
		"attest":    {"registry", "image", "fault", "report"},
		"policy":    append([]string{"config", "facts", "version", "plan"}, shared...),
		"retention": append([]string{"config", "facts", "version", "plan", "audit"}, shared...),
		"chart":     append([]string{"config", "facts", "version", "plan", "guard", "publish"}, shared...),
	}
	var left []string
	for _, stage := range road() {
		for _, name := range stage {
			if _, special := table[name]; !special {
				table[name] = append(slices.Clone(left), shared...)
			}
		}
		left = append(left, stage...)
	}
	return table
}

// Rules returns all rules. Each takes the whole source and returns what breaks it.
func Rules() map[string]func(*Source) []Violation {
	return map[string]func(*Source) []Violation{
		"order":        Order,
		"doors":        Doors,
		"homes":        Homes,
		"git":          OnlyFactsRunsGit,
		"purity":       PlanIsPure,
		"names":        Names,
		"global state": GlobalState,
	}
}

// Order holds the order of the core. A package that the order does not know is a violation too: its place is decided
// before its first import. Tests may import what they need.
func Order(s *Source) []Violation {
	table := allowed()
	var found []Violation
	for _, f := range s.Files {
		from, ok := f.core()
		if !ok || f.Test || from == "" {
			continue
		}
		may, known := table[from]
		if !known {
			found = append(found, s.violation(f.Syntax.Package, "package %s has no place in the order of the core", from))
			continue
		}
		s.imports(f, func(path string, at token.Pos) {
			to, ok := coreOf(strings.TrimPrefix(path, s.Module+"/"))
			switch {
			case !ok || to == from || slices.Contains(may, to):
			case to == "":
				found = append(found, s.violation(at, "%s imports the facade", from))
			default:
				found = append(found, s.violation(at, "%s imports %s, which is not left of it", from, to))
			}
		})
	}
	return sorted(found)
}

// Doors keeps the core apart from what stands in front of it: pipelines imports nothing of internal, so that the
// Dagger module, which has no internal folder of ours, can use all of it.
func Doors(s *Source) []Violation {
	var found []Violation
	for _, f := range s.Files {
		if _, ok := f.core(); !ok || f.Test {
			continue
		}
		s.imports(f, func(path string, at token.Pos) {
			if within(path, s.Module+"/internal") {
				found = append(found, s.violation(at, "the core imports %s", strings.TrimPrefix(path, s.Module+"/")))
			}
		})
	}
	return sorted(found)
}

// homes says in which folders, and what lies under them, a dependency may be imported outside tests. What is used in
// one place only can be replaced in one place.
func homes() map[string][]string {
	return map[string][]string{
		"github.com/go-git/go-git":        {"pipelines/facts"},
		"github.com/go-git/go-billy":      {"pipelines/facts"},
		"github.com/olareg/olareg":        {"pipelines/sandbox"},
		"github.com/rogpeppe/go-internal": {"pipelines/sandbox", "pipelines"},
		"dagger.io/dagger":                {"pipelines/build"},
		"github.com/aws/aws-sdk-go-v2":    {"pipelines/cloud"},
		"github.com/aws/smithy-go":        {"pipelines/cloud"},
		"golang.org/x/oauth2":             {"pipelines/cloud"},
		"github.com/moby/buildkit":        {"pipelines/build", "pipelines/dockerfile"},
		// The client of the daemon is heavy: only who builds with it links it.
		"github.com/moby/buildkit/client":  {"pipelines/build/buildkit"},
		"github.com/moby/buildkit/session": {"pipelines/build/buildkit"},
		// Keys and envelopes are opened in one place.
		"github.com/secure-systems-lab/go-securesystemslib": {"pipelines/attest"},
		// The generated reference is read from the commands themselves.
		"github.com/spf13/cobra": {"internal/cli", "internal/generate"},
		"github.com/spf13/pflag": {"internal/cli", "internal/generate"},
	}
}

// Homes holds the folders of homes. Tests may import what they need.
func Homes(s *Source) []Violation {
	var found []Violation
	for _, f := range s.Files {
		if f.Test {
			continue
		}
		s.imports(f, func(path string, at token.Pos) {
			for dependency, places := range homes() {
				atHome := slices.ContainsFunc(places, func(home string) bool { return within(f.Dir, home) })
				if within(path, dependency) && !atHome {
					places := strings.Join(places, ", ")
					found = append(found, s.violation(at, "%s is imported outside %s", dependency, places))
				}
			}
		})
	}
	return sorted(found)
}

func within(path, parent string) bool {
	return path == parent || strings.HasPrefix(path, parent+"/")
}

// OnlyFactsRunsGit finds calls of os/exec that name git outside facts: git's answers depend on the machine's settings,
// and facts is where that is dealt with.
func OnlyFactsRunsGit(s *Source) []Violation {
	var found []Violation
	for _, f := range s.Files {
		exec := s.importedAs(f, "os/exec")
		if exec == "" || f.Test || within(f.Dir, "pipelines/facts") {
			continue
		}
		ast.Inspect(f.Syntax, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || !selects(call.Fun, exec, "Command", "CommandContext", "LookPath") {
				return true
			}
			for _, argument := range call.Args {
				if literal, ok := argument.(*ast.BasicLit); ok && strings.Trim(literal.Value, "\"`") == "git" {
					found = append(found, s.violation(call.Pos(), "git is run outside facts"))
				}
			}
			return true
		})
	}
	return sorted(found)
}

// selects tells whether the expression is one of the package's names, such as time.Now.
func selects(expression ast.Expr, pkg string, names ...string) bool {
	selector, ok := expression.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	x, ok := selector.X.(*ast.Ident)
	return ok && x.Name == pkg && slices.Contains(names, selector.Sel.Name)
}

// PlanIsPure keeps files, network, processes, the clock and chance out of plan: the same configuration and facts give
// the same plan, on every machine.
func PlanIsPure(s *Source) []Violation {
	impure := []string{"os", "net", "io/fs", "syscall", "path/filepath", "math/rand", "crypto/rand", "runtime"}
	clocks := []string{"Now", "Since", "Until", "After", "Tick", "Sleep", "NewTimer", "NewTicker"}
	var found []Violation
	for _, f := range s.Files {
		if name, _ := f.core(); name != "plan" || f.Test {
			continue
		}
		s.imports(f, func(path string, at token.Pos) {
			if path != "net/url" && slices.ContainsFunc(impure, func(p string) bool { return within(path, p) }) {
				found = append(found, s.violation(at, "plan imports %s", path))
			}
		})
		clock := s.importedAs(f, "time")
		ast.Inspect(f.Syntax, func(n ast.Node) bool {
			expression, ok := n.(ast.Expr)
			if ok && selects(expression, clock, clocks...) {
				found = append(found, s.violation(n.Pos(), "plan reads the clock"))
			}
			return true
		})
	}
	return sorted(found)
}

// Names refuses packages whose names say nothing.
func Names(s *Source) []Violation {
	var found []Violation
	for _, f := range s.Files {
		name := strings.TrimSuffix(f.Syntax.Name.Name, "_test")
		if slices.Contains([]string{"util", "utils", "common", "helper", "helpers", "types", "misc", "shared"}, name) {
			found = append(found, s.violation(f.Syntax.Package, "package name %s says nothing", name))
		}
	}
	return sorted(found)
}
