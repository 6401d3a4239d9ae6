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

	"github.com/berth-sh/berth/pipelines/fault"
)

// found is a component that a folder tree suggests.
type found struct{ name, dir, pkg, dockerfile string }

// Scaffold writes a first configuration for a folder tree: Go main packages and Dockerfiles become components. prefix
// is the registry's host and owner. The text is a valid configuration.
func Scaffold(tree fs.FS, project, prefix string) ([]byte, error) {
	components, versionFile, err := scan(tree)
	if err != nil {
		return nil, err
	}
	if len(components) == 0 {
		return nil, fault.New(fault.Usage, "berth init", "run it where the sources are, or write berth.yaml by hand",
			"there is neither a Go main package nor a Dockerfile here")
	}
	text := scaffoldText(components, versionFile, project, prefix)
	if _, err := Parse(FileName, []byte(text), func(string) (string, bool) { return "", false }); err != nil {
		return nil, err
	}
	return []byte(text), nil
}

func scan(tree fs.FS) (components []found, versionFile string, err error) {
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
			components = append(components, goComponent(names, module, dir))
		}
	}
	for _, file := range dockerfiles {
		if !slices.Contains(mains, path.Dir(file)) {
			components = append(components, found{name: unique(names, path.Dir(file)), dockerfile: file, dir: path.Dir(file)})
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

func goComponent(names map[string]bool, module, dir string) found {
	c := found{name: unique(names, dir), dir: module, pkg: "."}
	if module == "." && dir != "." {
		c.pkg = "./" + dir
	} else if dir != module {
		c.pkg = "./" + strings.TrimPrefix(dir, module+"/")
	}
	return c
}

var notInNames = regexp.MustCompile(`[^a-z0-9]+`)

// unique names a component after its folder, with as many parents as it takes to be the only one of that name.
func unique(names map[string]bool, dir string) string {
	parts := strings.Split(dir, "/")
	for n := 1; n <= len(parts); n++ {
		name := strings.Trim(notInNames.ReplaceAllString(strings.ToLower(strings.Join(parts[len(parts)-n:], "-")), "-"), "-")
		if name == "" {
			name = "app"
		}
		if !names[name] {
			names[name] = true
			return name
		}
	}
	for n := 2; ; n++ {
		if name := fmt.Sprintf("app-%d", n); !names[name] {
			names[name] = true
			return name
		}
	}
}

// schemaAddress is where editors find the schema of a file outside this repository.
const schemaAddress = "https://raw.githubusercontent.com/berth-sh/berth/main/pipelines/config/schema.json"

func scaffoldText(components []found, versionFile, project, prefix string) string {
	var b strings.Builder
	name := strings.Trim(notInNames.ReplaceAllString(strings.ToLower(project), "-"), "-")
	if name == "" {
		name = "project"
	}
	b.WriteString("# yaml-language-server: $schema=" + schemaAddress + "\n")
	b.WriteString("# Which images this repository builds, and where they go. Check it with: berth config check\n")
	fmt.Fprintf(&b, "apiVersion: %s\nproject: %q\nversion:\n", APIVersion, name)
	if versionFile == "" {
		versionFile = VersionFromGit
	}
	fmt.Fprintf(&b, "  file: %q   # a file with the version, or git for the newest tag\n", versionFile)
	b.WriteString("  gitTag: v{version}\n")
	b.WriteString("platforms: [linux/amd64, linux/arm64]\ncomponents:\n")
	for _, c := range components {
		if c.dockerfile != "" {
			fmt.Fprintf(&b, "  %q: {dockerfile: {context: %q, file: %q}}\n", c.name, c.dir, c.dockerfile)
		} else {
			fmt.Fprintf(&b, "  %q: {go: {dir: %q, package: %q}}\n", c.name, c.dir, c.pkg)
		}
	}
	fmt.Fprintf(&b, "registries:\n  main: {prefix: %q}\n", prefix)
	b.WriteString(`tags:                                  # the first rule that matches the git ref
  - {tag: "v*", set: ["v{version}", "v{major}.{minor}", "v{major}", latest]}
  - {branch: "**", set: ["v{version}-dev.{sha}", "{branch}"]}
environments:
  dev: {registry: main, refs: {branches: ["**"]}}
  prd: {registry: main, refs: {tags: ["v*"]}, immutable: ["v*.*.*"]}
`)
	return b.String()
}
