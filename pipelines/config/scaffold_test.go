package config_test

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/berth-sh/berth/pipelines/config"
	"github.com/berth-sh/berth/pipelines/fault"
)

// tree makes a folder tree; a Go file is a main package unless its content says otherwise.
func tree(files ...string) fstest.MapFS {
	out := fstest.MapFS{}
	for _, f := range files {
		name, content, _ := strings.Cut(f, "=")
		if content == "" && strings.HasSuffix(name, ".go") {
			content = "package main\n"
		}
		out[name] = &fstest.MapFile{Data: []byte(content)}
	}
	return out
}

func TestScaffoldFindsComponents(t *testing.T) {
	t.Parallel()
	goAt := func(dir, pkg string) config.Component {
		return config.Component{Go: &config.Go{Dir: dir, Package: pkg}}
	}
	dockerAt := func(context, file string) config.Component {
		return config.Component{Dockerfile: &config.Dockerfile{Context: context, File: file}}
	}
	cases := map[string]struct {
		tree    fstest.MapFS
		version string
		want    map[string]config.Component
	}{
		"one module, one main": {tree("go.mod", "main.go"), "git", map[string]config.Component{"web": goAt(".", ".")}},
		"commands": {
			tree("go.mod", "cmd/web/main.go", "cmd/api/a.go", "cmd/api/b.go", "internal/x.go=package x\n"), "git",
			map[string]config.Component{"web": goAt(".", "./cmd/web"), "api": goAt(".", "./cmd/api")},
		},
		"modules in modules": {
			tree("go.mod", "cmd/a/main.go", "tools/go.mod", "tools/main.go", "tools/cmd/b/main.go"), "git",
			map[string]config.Component{"a": goAt(".", "./cmd/a")},
		},
		"modules in modules, deployed": {
			tree("go.mod", "cmd/a/main.go", "svc/go.mod", "svc/main.go", "svc/cmd/b/main.go"), "git",
			map[string]config.Component{"a": goAt(".", "./cmd/a"), "svc": goAt("svc", "."), "b": goAt("svc", "./cmd/b")},
		},
		"a module's name": {
			tree("go.mod=module github.com/acme/shop\n", "main.go"), "git", map[string]config.Component{"shop": goAt(".", ".")},
		},
		"a Dockerfile above a main is only proposed": {
			tree("go.mod", "cmd/a/main.go", "cmd/Dockerfile", "Dockerfile"), "git", map[string]config.Component{"a": goAt(".", "./cmd/a")},
		},
		"a Dockerfile of something else": {
			tree("go.mod", "cmd/a/main.go", "legacy/Dockerfile"), "git",
			map[string]config.Component{"a": goAt(".", "./cmd/a"), "legacy": dockerAt("legacy", "legacy/Dockerfile")},
		},
		"the same name": {
			tree("a/go.mod", "a/cmd/web/main.go", "b/go.mod", "b/cmd/web/main.go", "c/go.mod", "c/cmd/web/main.go"), "git",
			map[string]config.Component{"web": goAt("a", "./cmd/web"), "cmd-web": goAt("b", "./cmd/web"), "c-cmd-web": goAt("c", "./cmd/web")},
		},
		"Dockerfiles": {
			tree("Dockerfile", "services/api/Dockerfile"), "git",
			map[string]config.Component{"web": dockerAt(".", "Dockerfile"), "api": dockerAt("services/api", "services/api/Dockerfile")},
		},
		"a main with a Dockerfile": {tree("go.mod", "main.go", "Dockerfile"), "git", map[string]config.Component{"web": goAt(".", ".")}},
		"odd names":                {tree("go.mod", "Cmd/My Web_Ü/main.go"), "git", map[string]config.Component{"my-web": goAt(".", "./Cmd/My Web_Ü")}},
		"what is not built": {
			tree("go.mod", "cmd/web/main.go", "cmd/web_test/x_test.go", "vendor/a/main.go", "testdata/b/main.go", ".hidden/c/main.go", "_d/main.go",
				"node_modules/e/main.go", "gen/main.go=//go:build ignore\n\npackage main\n", "broken/main.go=pack", "loose.txt"), "git",
			map[string]config.Component{"web": goAt(".", "./cmd/web")},
		},
		"a VERSION file":         {tree("go.mod", "main.go", "VERSION=1.0.0"), "VERSION", map[string]config.Component{"web": goAt(".", ".")}},
		"a chart":                {tree("go.mod", "main.go", "deploy/Chart.yaml=version: 1.0.0"), "deploy/Chart.yaml", map[string]config.Component{"web": goAt(".", ".")}},
		"VERSION before a chart": {tree("go.mod", "main.go", "VERSION", "deploy/Chart.yaml"), "VERSION", map[string]config.Component{"web": goAt(".", ".")}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, err := config.Scaffold(c.tree, config.ScaffoldOptions{Project: "web", Prefix: "ghcr.io/acme"})
			if err != nil {
				t.Fatal(err)
			}
			got := parse(t, string(text))
			if diff := cmp.Diff(c.want, got.Components); diff != "" {
				t.Error(diff)
			}
			if got.Version.File != c.version || got.Project != "web" || got.Registries["ghcr"].Prefix != "ghcr.io/acme" {
				t.Errorf("%+v", got)
			}
			again, err := config.Scaffold(c.tree, config.ScaffoldOptions{Project: "web", Prefix: "ghcr.io/acme"})
			if err != nil || string(again) != string(text) {
				t.Errorf("another text the second time: %s, %v", again, err)
			}
		})
	}
}

func TestScaffoldNamesTheProject(t *testing.T) {
	t.Parallel()
	for project, want := range map[string]string{"web": "web", "My Project": "my-project", "--": "project", "": "project", "1.10": "1-10", "Ü": "project"} {
		text, err := config.Scaffold(tree("Dockerfile"), config.ScaffoldOptions{Project: project, Prefix: "ghcr.io/acme"})
		if err != nil {
			t.Fatal(err)
		}
		if got := parse(t, string(text)).Project; got != want {
			t.Errorf("%q becomes %q, want %q", project, got, want)
		}
	}
}

// unreadable is a tree with a folder that may not be opened.
type unreadable struct{ fstest.MapFS }

func (u unreadable) ReadDir(string) ([]fs.DirEntry, error) { return nil, fs.ErrPermission }

func TestScaffoldErrors(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		tree   fs.FS
		prefix string
		text   string
	}{
		"nothing there": {tree("README.md", "go.mod", "lib.go=package lib\n"), "ghcr.io/acme", "neither a Go main package nor a Dockerfile"},
		"a main alone":  {tree("main.go"), "ghcr.io/acme", "neither a Go main package nor a Dockerfile"},
		"a bad prefix":  {tree("Dockerfile"), "https://ghcr.io/acme", "must not name a scheme"},
		"not readable":  {unreadable{tree("Dockerfile")}, "ghcr.io/acme", "cannot read the folder"},
	} {
		text, err := config.Scaffold(c.tree, config.ScaffoldOptions{Project: "web", Prefix: c.prefix})
		if text != nil || fault.CodeOf(err) != fault.Usage || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v", name, err)
		}
		if name == "not readable" && !errors.Is(err, fs.ErrPermission) {
			t.Errorf("%v lost its cause", err)
		}
	}
}
