package build_test

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/berth-sh/berth/pipelines/build"
	"github.com/berth-sh/berth/pipelines/fault"
)

func TestBuildRefuses(t *testing.T) {
	t.Parallel()
	dir := source(t, map[string]string{
		"go.mod": goMod(runtime.Version()), "main.go": mainFile, "other/main.go": mainFile,
		"library/library.go": "package library\n", "empty/README": "no code",
		"broken/main.go":  "package main\n\nfunc main() { undefined() }\n",
		"missing/main.go": "package main\n\nimport _ \"example.com/not/there\"\n\nfunc main() {}\n",
		"syntax/main.go":  "package main\n\nfunc main() {\n",
	})
	for name, c := range map[string]struct {
		component build.GoComponent
		platform  string
		says      string
	}{
		"code that does not compile": {build.GoComponent{Package: "./broken"}, "", "broken/main.go:3:15: undefined: un"},
		"code that cannot be read":   {build.GoComponent{Package: "./syntax"}, "", "syntax/main.go:4:1"},
		"missing import":             {build.GoComponent{Package: "./missing"}, "", "example.com/not/there"},
		"missing package":            {build.GoComponent{Package: "./nowhere"}, "", "nowhere"},
		"folder without code":        {build.GoComponent{Package: "./empty"}, "", "no Go files"},
		"library":                    {build.GoComponent{Package: "./library"}, "", "not a main package"},
		"many packages":              {build.GoComponent{Package: "./..."}, "", "packages, not one"},
		"option as package":          {build.GoComponent{Package: "-toolexec=x"}, "", "not a package"},
		"missing folder":             {build.GoComponent{Dir: filepath.Join(dir, "no")}, "", "no such file"},
		"file as folder":             {build.GoComponent{Dir: filepath.Join(dir, "go.mod")}, "", "not a folder"},
		"relative folder":            {build.GoComponent{Dir: "app"}, "", "not an absolute path"},
		"no module":                  {build.GoComponent{Dir: t.TempDir()}, "", "no go.mod"},
		"path as name":               {build.GoComponent{Name: "../api"}, "", "name of a component"},
		"platform in env":            {build.GoComponent{Env: map[string]string{"GOOS": "linux"}}, "", "env sets GOOS"},
		"unknown platform":           {build.GoComponent{}, "plan9000/amd64", "unsupported GOOS/GOARCH"},
		"unknown variant":            {build.GoComponent{}, "linux/amd64/v9", `no variant "v9"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.component.Name == "" {
				c.component.Name = "api"
			}
			if c.component.Dir == "" {
				c.component.Dir = dir
			}
			if c.platform == "" {
				c.platform = native()
			}
			o := options(t)
			_, err := build.NewGo(environ("GOPROXY=off")).Build(t.Context(), c.component, platforms(t, c.platform), o)
			if fault.CodeOf(err) != fault.Usage || !strings.Contains(err.Error(), c.says) {
				t.Errorf("code %d: %v", fault.CodeOf(err), err)
			}
		})
	}
}

func TestSameMistakeIsShownOnce(t *testing.T) {
	t.Parallel()
	dir := source(t, map[string]string{
		"go.mod": goMod(runtime.Version()), "main.go": "package main\n\nfunc main() { undefined() }\n",
		"arm.go": "package main\n\nvar x int = \"text\"\n",
	})
	// An extra mistake on arm alone is told apart from the one that the other two share.
	if err := os.Rename(filepath.Join(dir, "arm.go"), filepath.Join(dir, "x_arm.go")); err != nil {
		t.Fatal(err)
	}
	_, err := build.NewGo(environ()).Build(t.Context(), build.GoComponent{Name: "api", Dir: dir},
		platforms(t, "linux/amd64", "linux/arm64", "linux/arm"), options(t))
	if fault.CodeOf(err) != fault.Usage {
		t.Fatalf("code %d: %v", fault.CodeOf(err), err)
	}
	said := err.Error()
	for text, times := range map[string]int{
		"./main.go:3:15: undefined: undefined": 2, "./x_arm.go:3:13": 1,
		"api for linux/amd64, linux/arm64:": 1, "api for linux/arm/v7:": 1,
	} {
		if got := strings.Count(said, text); got != times {
			t.Errorf("%q is there %d times, want %d:\n%s", text, got, times, said)
		}
	}
	if !strings.Contains(fault.NextOf(err), dir) {
		t.Errorf("next: %s", fault.NextOf(err))
	}
}

func TestNoGo(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"", t.TempDir()} {
		_, err := build.NewGo([]string{"PATH=" + path}).Build(t.Context(), build.GoComponent{Name: "api", Dir: app(t)},
			platforms(t, native()), options(t))
		if fault.CodeOf(err) != fault.Usage || !strings.Contains(fault.NextOf(err), "go.dev/dl") {
			t.Errorf("code %d: %v", fault.CodeOf(err), err)
		}
	}
}

// What the engine cannot do is said before it is asked for anything.
func TestTheEngineMakesNoAttestations(t *testing.T) {
	t.Parallel()
	for _, c := range []build.DockerfileComponent{{Name: "web", Provenance: "min"}, {Name: "web", SBOM: "a/b"}} {
		_, err := (&build.Engine{}).BuildDockerfile(t.Context(), c, platforms(t, "linux/amd64"), build.Options{})
		if fault.CodeOf(err) != fault.Usage || !strings.Contains(fault.NextOf(err), "--builder buildkit") {
			t.Errorf("code %d: %v", fault.CodeOf(err), err)
		}
	}
}
