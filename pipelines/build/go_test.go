package build_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/berth-sh/berth/pipelines/build"
	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/image"
)

// main is a program that needs nothing but the runtime, so that cold builds are quick.
const mainFile = `package main

var version, commit, extra string

func main() { print(version, " ", commit, " ", extra) }
`

func goMod(toolchain string) string {
	return "module example.com/app\n\ngo 1.21.0\n\ntoolchain " + toolchain + "\n"
}

// source writes files into a new folder.
func source(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, data := range files {
		path := filepath.Join(dir, name)
		err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(data), 0o600))
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func app(t testing.TB) string {
	t.Helper()
	return source(t, map[string]string{"go.mod": goMod(runtime.Version()), "main.go": mainFile})
}

func platforms(t testing.TB, names ...string) []ocispec.Platform {
	t.Helper()
	var out []ocispec.Platform
	for _, s := range names {
		p, err := image.ParsePlatform(s)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, p)
	}
	return out
}

func options(t testing.TB) build.Options {
	t.Helper()
	return build.Options{Version: "1.2.3", Commit: "0123456", Out: t.TempDir()}
}

// environ is the environment of this process with changes.
func environ(change ...string) []string { return append(os.Environ(), change...) }

func sum(t testing.TB, b image.Binary) string {
	t.Helper()
	data, err := os.ReadFile(b.Path)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", sha256.Sum256(data))
}

func native() string { return "linux/" + runtime.GOARCH }

func TestBuild(t *testing.T) {
	t.Parallel()
	o := options(t)
	var told []string
	o.Progress = func(component, platform string) { told = append(told, component+" "+platform) }
	o.Warn = func(s string) { t.Errorf("unexpected warning: %s", s) }
	c := build.GoComponent{Name: "api", Dir: app(t)}
	binaries, err := build.NewGo(environ()).Build(t.Context(), c, platforms(t, native(), "linux/arm"), o)
	if err != nil {
		t.Fatal(err)
	}
	want := []image.Binary{
		{Platform: platforms(t, native())[0], Path: filepath.Join(o.Out, "api", "linux_"+runtime.GOARCH, "api")},
		{Platform: platforms(t, "linux/arm/v7")[0], Path: filepath.Join(o.Out, "api", "linux_arm_v7", "api")},
	}
	if diff := cmp.Diff(want, binaries); diff != "" {
		t.Fatal(diff)
	}
	slices.Sort(told)
	if diff := cmp.Diff([]string{"api " + native(), "api linux/arm/v7"}, told); diff != "" && native() < "linux/arm/v7" {
		t.Error(diff)
	}
	if got := output(t, binaries[0]); got != "1.2.3 0123456 " {
		t.Errorf("the program says %q", got)
	}
}

func output(t testing.TB, b image.Binary) string {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("runs a program for linux")
	}
	out, err := exec.CommandContext(t.Context(), b.Path).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return string(out)
}

func TestLinkerFlagsTagsAndPackage(t *testing.T) {
	t.Parallel()
	dir := source(t, map[string]string{
		"go.mod":           goMod(runtime.Version()),
		"cmd/api/main.go":  mainFile,
		"cmd/api/extra.go": "//go:build special\n\npackage main\n\nfunc init() { commit += \"!\" }\n",
	})
	c := build.GoComponent{
		Name: "api", Dir: filepath.Join(dir, "cmd"), Package: "./api", Tags: []string{"special", "other"},
		LDFlags: []string{"-X main.extra=v{version}-{commit}", "-X", "'main.commit=a b'"},
	}
	binaries, err := build.NewGo(environ()).Build(t.Context(), c, platforms(t, native()), options(t))
	if err != nil {
		t.Fatal(err)
	}
	if got := output(t, binaries[0]); got != " a b! v1.2.3-0123456" {
		t.Errorf("the program says %q", got)
	}
}

// Two people who build one commit get the same bytes: other folders, other home, empty caches, and settings of the go
// command that would change what it builds.
func TestTwoClones(t *testing.T) {
	t.Parallel()
	names := []string{"linux/amd64", "linux/arm64"}
	clone := func(change ...string) ([]string, string) {
		o := options(t)
		c := build.GoComponent{Name: "api", Dir: app(t)}
		binaries, err := build.NewGo(environ(change...)).Build(t.Context(), c, platforms(t, names...), o)
		if err != nil {
			t.Fatal(err)
		}
		x, err := image.Assemble(t.Context(), image.Spec{
			Component: "api", Revision: o.Commit, Version: o.Version, Created: time.Unix(1_700_000_000, 0),
			Base: image.Static(), Binaries: binaries, WorkDir: t.TempDir(),
		})
		if err != nil {
			t.Fatal(err)
		}
		return []string{sum(t, binaries[0]), sum(t, binaries[1])}, x.Descriptor.Digest.String()
	}
	home := source(t, map[string]string{
		".config/go/env": "GOFLAGS=-tags=none -mod=vendor\nGOEXPERIMENT=jsonv2\n",
		// Else the go command starts a process of its own that writes into the home after the test.
		".config/go/telemetry/mode": "off",
	})
	sums, want := clone()
	otherSums, got := clone("HOME="+home, "XDG_CONFIG_HOME=", "GOENV=", "GOCACHE="+filepath.Join(home, "cache"),
		"GOPATH="+filepath.Join(home, "go"), "GOFLAGS=-mod=mod -trimpath=false", "GOARM64=v9.0", "GOAMD64=v3",
		"GOEXPERIMENT=rangefunc", "CGO_ENABLED=1", "GODEBUG=gctrace=0", "GOOS=windows", "GOARCH=386",
		"GOWORK=/nowhere/go.work", "GO111MODULE=off", "LANG=de_DE.UTF-8")
	if diff := cmp.Diff(sums, otherSums); diff != "" {
		t.Errorf("binaries: %s", diff)
	}
	if got != want {
		t.Errorf("digests differ: %s and %s", want, got)
	}
}

func TestVariantsDiffer(t *testing.T) {
	t.Parallel()
	c := build.GoComponent{Name: "api", Dir: app(t)}
	b, err := build.NewGo(environ()).Build(t.Context(), c, platforms(t, "linux/arm/v6", "linux/arm/v7"), options(t))
	if err != nil {
		t.Fatal(err)
	}
	if sum(t, b[0]) == sum(t, b[1]) {
		t.Error("the variant changes nothing")
	}
}

func TestWorkspace(t *testing.T) {
	t.Parallel()
	root := source(t, map[string]string{
		"go.work":     "go 1.21.0\n\ntoolchain " + runtime.Version() + "\n\nuse (\n\t./app\n\t./lib\n)\n",
		"app/go.mod":  "module example.com/app\n\ngo 1.21.0\n",
		"app/main.go": "package main\n\nimport \"example.com/lib\"\n\nfunc main() { print(lib.Name) }\n",
		"lib/go.mod":  "module example.com/lib\n\ngo 1.21.0\n",
		"lib/lib.go":  "package lib\n\nconst Name = \"lib\"\n",
		"out/go.mod":  goMod(runtime.Version()), "out/main.go": mainFile,
	})
	g := build.NewGo(environ("GOPROXY=off"))
	c := build.GoComponent{Name: "api", Dir: filepath.Join(root, "app")}
	o := options(t)
	o.Root = root
	binaries, err := g.Build(t.Context(), c, platforms(t, native()), o)
	if err != nil {
		t.Fatal(err)
	}
	if got := output(t, binaries[0]); got != "lib" {
		t.Errorf("the program says %q", got)
	}
	o.Root = c.Dir
	if _, err := g.Build(t.Context(), c, platforms(t, native()), o); fault.CodeOf(err) != fault.Usage {
		t.Errorf("a go.work outside the repository is used: %v", err)
	}
	o.Root = ""
	if _, err := g.Build(t.Context(), c, platforms(t, native()), o); fault.CodeOf(err) != fault.Usage {
		t.Errorf("a go.work is used without a repository: %v", err)
	}
	o.Root, c.Dir = root, filepath.Join(root, "out")
	if _, err := g.Build(t.Context(), c, platforms(t, native()), o); err != nil {
		t.Errorf("a go.work that does not use the module: %v", err)
	}
}

func TestToolchain(t *testing.T) {
	t.Parallel()
	older, local := "go1.21.1", runtime.Version()
	for name, c := range map[string]struct {
		mod, setting string
		code         fault.Code
		says         string // by the warning or the error
	}{
		"pinned, the local one":    {goMod(local), "auto", fault.Done, ""},
		"pinned, not to be had":    {goMod("go1.99.9"), "auto", fault.Failed, "pins go1.99.9"},
		"pinned, no download":      {goMod("go1.99.9"), "path", fault.Failed, "pins go1.99.9"},
		"pinned, kept to another":  {goMod(older), "local", fault.Done, "pins go1.21.1, but GOTOOLCHAIN=local"},
		"go line is a release":     {"module example.com/app\n\ngo 1.99.9\n", "auto", fault.Failed, "pins go1.99.9"},
		"go line is too new":       {"module example.com/app\n\ngo 1.99.9\n", "local", fault.Failed, "needs go1.99.9"},
		"go line names no release": {"module example.com/app\n\ngo 1.21\n", "auto", fault.Done, "pins no release"},
		"broken go.mod":            {"modul example.com/app\n", "auto", fault.Usage, "unknown directive"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := source(t, map[string]string{"go.mod": c.mod, "main.go": mainFile})
			o := options(t)
			said := ""
			o.Warn = func(s string) { said += s }
			_, err := build.NewGo(environ("GOTOOLCHAIN="+c.setting, "GOPROXY=off")).Build(t.Context(),
				build.GoComponent{Name: "api", Dir: dir}, platforms(t, native()), o)
			if err != nil {
				said = err.Error()
			}
			if fault.CodeOf(err) != c.code || !strings.Contains(said, c.says) || (c.says == "" && said != "") {
				t.Errorf("code %d: %s", fault.CodeOf(err), said)
			}
			if err != nil && fault.NextOf(err) == "" {
				t.Error("no next step")
			}
		})
	}
}
