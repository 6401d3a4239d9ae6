package config

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"

	"github.com/berth-sh/berth/pipelines/fault"
)

// found is a component that a folder tree suggests.
type found struct {
	name, dir, pkg, dockerfile string
	// aside says why it is only proposed in a comment, "" when it is not.
	aside string
}

// ScaffoldOptions are what a folder tree does not say.
type ScaffoldOptions struct {
	// Project is the project's name.
	Project string
	// Prefix is the registry's host and owner.
	Prefix string
	// Source is the address of the source repository; it may be empty.
	Source string
}

// Scaffold writes a first configuration for a folder tree: Go main packages and Dockerfiles become components, and what
// is probably not deployed, or built twice, is proposed in comments. The text is a valid configuration.
func Scaffold(tree fs.FS, o ScaffoldOptions) ([]byte, error) {
	o.Project = slug(o.Project)
	components, versionFile, err := scan(tree, o.Project)
	if err != nil {
		return nil, err
	}
	if len(components) == 0 {
		return nil, fault.New(fault.Usage, "berth init", "run it where the sources are, or write berth.yaml by hand",
			"there is neither a Go main package nor a Dockerfile here")
	}
	if !slices.ContainsFunc(components, func(c found) bool { return c.aside == "" }) {
		for i := range components { // better than a file that holds nothing
			components[i].aside = ""
		}
	}
	text := scaffoldText(components, versionFile, o)
	if _, err := Parse(FileName, []byte(text), func(string) (string, bool) { return "", false }); err != nil {
		return nil, err
	}
	return []byte(text), nil
}

// slug writes a name in the characters of a component's name.
func slug(name string) string {
	if s := strings.Trim(notInNames.ReplaceAllString(strings.ToLower(name), "-"), "-"); s != "" {
		return s
	}
	return "project"
}

func scan(tree fs.FS, project string) (components []found, versionFile string, err error) {
	var modules, mains, dockerfiles []string
	err = fs.WalkDir(tree, ".", func(p string, d fs.DirEntry, err error) error {
		switch name := d.Name(); {
		case err != nil:
			return err
		case d.IsDir() && p != "." && skipped(name):
			return fs.SkipDir
		case d.IsDir():
		case name == "go.mod":
			modules = append(modules, path.Dir(p))
		case name == "Dockerfile":
			dockerfiles = append(dockerfiles, p)
		case versionFile == "" && (p == "VERSION" || name == "Chart.yaml"):
			versionFile = p
		case strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") &&
			!slices.Contains(mains, path.Dir(p)) && isMain(tree, p):
			mains = append(mains, path.Dir(p))
		}
		return nil
	})
	if err != nil {
		return nil, "", fault.New(fault.Usage, "berth init", "", "cannot read the folder: %w", err)
	}
	names := map[string]bool{}
	for _, dir := range mains {
		if module, ok := moduleOf(modules, dir); ok {
			components = append(components, goComponent(tree, names, module, dir, project))
		}
	}
	for _, file := range dockerfiles {
		if !slices.Contains(mains, path.Dir(file)) {
			dir, aside := path.Dir(file), ""
			if slices.ContainsFunc(mains, func(m string) bool { return dir == "." || strings.HasPrefix(m, dir+"/") }) {
				aside = "probably of the Go programs above"
			}
			components = append(components, found{
				name: unique(names, dir, project), dockerfile: file, dir: dir, aside: aside,
			})
		}
	}
	return components, versionFile, nil
}

func skipped(name string) bool {
	return strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") ||
		slices.Contains([]string{"vendor", "node_modules", "testdata"}, name)
}

func isMain(tree fs.FS, file string) bool {
	data, err := fs.ReadFile(tree, file)
	if err != nil || strings.Contains(string(data), "//go:build ignore") {
		return false
	}
	f, err := parser.ParseFile(token.NewFileSet(), file, data, parser.PackageClauseOnly)
	return err == nil && f.Name.Name == "main"
}

// moduleOf is the innermost module that holds a folder.
func moduleOf(modules []string, dir string) (module string, ok bool) {
	for _, m := range modules {
		if (m == "." || dir == m || strings.HasPrefix(dir, m+"/")) && (!ok || len(m) > len(module)) {
			module, ok = m, true
		}
	}
	return module, ok
}

func goComponent(tree fs.FS, names map[string]bool, module, dir, project string) found {
	own := project
	if data, err := fs.ReadFile(tree, path.Join(module, "go.mod")); err == nil && modfile.ModulePath(data) != "" {
		own = slug(path.Base(strings.TrimSuffix(modfile.ModulePath(data), "/v2")))
	}
	c := found{name: unique(names, dir, own), dir: module, pkg: "."}
	if module == "." && dir != "." {
		c.pkg = "./" + dir
	} else if dir != module {
		c.pkg = "./" + strings.TrimPrefix(dir, module+"/")
	}
	for _, part := range strings.Split(dir, "/") {
		if slices.Contains([]string{"example", "examples", "hack", "internal", "test", "tests", "tool", "tools"}, part) {
			c.aside = "probably not deployed"
		}
	}
	return c
}

var notInNames = regexp.MustCompile(`[^a-z0-9]+`)

// unique names a component after its folder, with as many parents as it takes to be the only one of that name. own is
// the name of one in the top folder.
func unique(names map[string]bool, dir, own string) string {
	if dir == "." {
		dir = own
	}
	parts := strings.Split(dir, "/")
	for n := 1; n <= len(parts); n++ {
		if name := slug(strings.Join(parts[len(parts)-n:], "-")); !names[name] {
			names[name] = true
			return name
		}
	}
	for n := 2; ; n++ {
		if name := fmt.Sprintf("%s-%d", slug(dir), n); !names[name] {
			names[name] = true
			return name
		}
	}
}

// schemaAddress is where editors find the schema of a file outside this repository.
const schemaAddress = "https://raw.githubusercontent.com/berth-sh/berth/main/pipelines/config/schema.json"

func scaffoldText(components []found, versionFile string, o ScaffoldOptions) string {
	var b strings.Builder
	b.WriteString("# yaml-language-server: $schema=" + schemaAddress + "\n")
	b.WriteString("# Which images this repository builds, and where they go. Check it with: berth config check\n")
	fmt.Fprintf(&b, "apiVersion: %s\nproject: %q\n", APIVersion, o.Project)
	if o.Source != "" {
		fmt.Fprintf(&b, "source: %q\n", o.Source)
	}
	if versionFile == "" {
		versionFile = VersionFromGit
	}
	fmt.Fprintf(&b, "version:\n  file: %q   # a file with the version, or git for the newest tag\n", versionFile)
	b.WriteString("  gitTag: v{version}\nplatforms: [linux/amd64, linux/arm64]\ncomponents:\n")
	for _, c := range components {
		line := fmt.Sprintf("  %q: {go: {dir: %q, package: %q}}", c.name, c.dir, c.pkg)
		if c.dockerfile != "" {
			line = fmt.Sprintf("  %q: {dockerfile: {context: %q, file: %q}}", c.name, c.dir, c.dockerfile)
		}
		if c.aside != "" {
			line = "  # " + strings.TrimPrefix(line, "  ") + "   # " + c.aside
		}
		b.WriteString(line + "\n")
	}
	name := string(Registry{Prefix: o.Prefix}.RegistryKind())
	fmt.Fprintf(&b, "registries:\n  %s: {prefix: %q}\n", name, o.Prefix)
	fmt.Fprintf(&b, `tags:                                  # the first rule that matches the git ref
  - {tag: "v*", set: ["v{version}", "v{major}.{minor}", "v{major}", latest]}
  - {branch: "**", set: ["v{version}-dev.{sha}", "branch-{branch}"]}
environments:
  dev: {registry: %[1]s, refs: {branches: ["**"]}}
  prd: {registry: %[1]s, refs: {tags: ["v*"]}, immutable: ["v*.*.*"]}
`, name)
	return b.String()
}
