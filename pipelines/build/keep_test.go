package build_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/berth-sh/berth/pipelines/build"
	"github.com/berth-sh/berth/pipelines/cache"
	"github.com/berth-sh/berth/pipelines/image"
)

func store(t testing.TB) (*cache.Cache, string) {
	t.Helper()
	dir := t.TempDir()
	c, err := cache.Open(dir, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return c, dir
}

// harbour is a component with whatever a program can be built from.
func harbour(t testing.TB) string {
	t.Helper()
	return source(t, map[string]string{
		"app/go.mod": goMod(runtime.Version()) + "\nrequire example.com/lib v0.0.0\n\nreplace example.com/lib => ../lib\n",
		"app/main.go": "package main\n\nimport (\n\t_ \"example.com/app/assets\"\n\t\"example.com/lib\"\n)\n\n" +
			"var version, commit string\n\nfunc main() { print(version, commit, lib.Name) }\n",
		"app/main_test.go":      "package main\n",
		"app/only_arm64.go":     "package main\n",
		"app/README.md":         "read me\n",
		"app/assets/assets.go":  "package assets\n\nimport \"embed\"\n\n//go:embed static\nvar Files embed.FS\n",
		"app/assets/static/a/b": "1",
		"app/nested/go.mod":     "module example.com/nested\n",
		"app/nested/x.go":       "package nested\n",
		"lib/go.mod":            "module example.com/lib\n",
		"lib/lib.go":            "package lib\n\nconst Name = \"one\"\n",
		"lib/data.txt":          "1",
	})
}

// builds builds and tells whether the binary came out of the store's folder.
func builds(t testing.TB, s build.Store, in string, c build.GoComponent, o build.Options) (image.Binary, bool) {
	t.Helper()
	binaries, err := build.NewGo(environ()).KeepIn(s).Build(t.Context(), c, platforms(t, native()), o)
	if err != nil {
		t.Fatal(err)
	}
	return binaries[0], strings.HasPrefix(binaries[0].Path, in)
}

// A second build takes the binary that the first one kept, unless anything that it is made of is another.
func TestASecondBuildTakesTheFirstOnesBinary(t *testing.T) {
	t.Parallel()
	kept, in := store(t)
	root := harbour(t)
	c, o := build.GoComponent{Name: "api", Dir: filepath.Join(root, "app")}, options(t)
	first, found := builds(t, kept, in, c, o)
	if found {
		t.Fatal("found before it was built")
	}
	again, found := builds(t, kept, in, c, o)
	if !found || sum(t, first) != sum(t, again) || "sha256:"+sum(t, again) != again.Digest.String() ||
		first.Digest != again.Digest {
		t.Errorf("found: %v, %+v, %+v", found, first, again)
	}
	o.NoCache = true
	if _, found := builds(t, kept, in, c, o); found {
		t.Error("a build without caches takes it")
	}
	// Another clone of the same source.
	o.NoCache = false
	if _, found := builds(t, kept, in, build.GoComponent{Name: "api", Dir: filepath.Join(harbour(t), "app")}, o); !found {
		t.Error("another clone does not take it")
	}
}

func TestWhatChangesABinaryBuildsItAnew(t *testing.T) {
	t.Parallel()
	set := func(name, content string) func(string, *build.GoComponent, *build.Options) error {
		return func(root string, _ *build.GoComponent, _ *build.Options) error {
			file := filepath.Join(root, name)
			return errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, []byte(content), 0o600))
		}
	}
	for name, c := range map[string]struct {
		change func(root string, c *build.GoComponent, o *build.Options) error
		same   bool
	}{
		"code":            {change: set("app/only_arm64.go", "package main\n\nvar x int\n")},
		"new code":        {change: set("app/more.go", "package main\n")},
		"embedded":        {change: set("app/assets/static/a/b", "2")},
		"new embedded":    {change: set("app/assets/static/c", "1")},
		"replaced module": {change: set("lib/lib.go", "package lib\n\nconst Name = \"two\"\n")},
		"requirements":    {change: set("lib/go.mod", "module example.com/lib\n\ngo 1.21\n")},
		"profile":         {change: set("app/default.pgo", "")},
		"its go.mod":      {change: set("app/nested/go.mod", "module example.com/other\n"), same: true},
		"other module":    {change: set("app/nested/x.go", "package other\n"), same: true},
		"test":            {change: set("app/main_test.go", "package main\n\nvar y int\n"), same: true},
		"text":            {change: set("app/README.md", "2"), same: true},
		"data":            {change: set("lib/data.txt", "2"), same: true},
		"version":         {change: func(_ string, _ *build.GoComponent, o *build.Options) error { o.Version = "2.0.0"; return nil }},
		"commit":          {change: func(_ string, _ *build.GoComponent, o *build.Options) error { o.Commit = "fffffff"; return nil }},
		"tags":            {change: func(_ string, c *build.GoComponent, _ *build.Options) error { c.Tags = []string{"x"}; return nil }},
		"flags": {change: func(_ string, c *build.GoComponent, _ *build.Options) error {
			c.LDFlags = []string{"-s"}
			return nil
		}},
		"environment": {change: func(_ string, c *build.GoComponent, _ *build.Options) error {
			c.Env = map[string]string{"GOEXPERIMENT": "nodwarf5"}
			return nil
		}},
		"name": {same: true, change: func(_ string, c *build.GoComponent, _ *build.Options) error {
			c.Name = "other"
			return nil
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kept, in := store(t)
			root := harbour(t)
			g, o := build.GoComponent{Name: "api", Dir: filepath.Join(root, "app")}, options(t)
			builds(t, kept, in, g, o)
			if err := c.change(root, &g, &o); err != nil {
				t.Fatal(err)
			}
			after, found := builds(t, kept, in, g, o)
			if found != c.same {
				t.Errorf("found: %v", found)
			}
			fresh, _ := builds(t, nil, in, g, o)
			if sum(t, after) != sum(t, fresh) {
				t.Error("it is not what a build without the store gives")
			}
		})
	}
}

// Where a key would not show what decides, nothing is kept.
func TestWhatCannotBeToldIsNotKept(t *testing.T) {
	t.Parallel()
	outside := source(t, map[string]string{"x.go": "package outside\n", "part.inc": "\n"})
	for name, prepare := range map[string]func(root string, c *build.GoComponent) error{
		"linker's files":  func(_ string, c *build.GoComponent) error { c.LDFlags = []string{"-s -L /tmp"}; return nil },
		"external linker": func(_ string, c *build.GoComponent) error { c.LDFlags = []string{"-s", "'-extld=cc'"}; return nil },
		"flags of go": func(_ string, c *build.GoComponent) error {
			c.Env = map[string]string{"GOFLAGS": "-overlay=" + outside + "/none.json"}
			return os.WriteFile(filepath.Join(outside, "none.json"), []byte("{}"), 0o600)
		},
		"link out of the module": func(root string, _ *build.GoComponent) error {
			return os.Symlink(outside, filepath.Join(root, "app", "outside"))
		},
		"assembly with parts": func(root string, _ *build.GoComponent) error {
			return os.WriteFile(filepath.Join(root, "app", "nested_plan9.s"), []byte("#include \"../../x.h\"\n"), 0o600)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kept, in := store(t)
			root := harbour(t)
			c := build.GoComponent{Name: "api", Dir: filepath.Join(root, "app")}
			if err := prepare(root, &c); err != nil {
				t.Fatal(err)
			}
			o := options(t)
			builds(t, kept, in, c, o)
			if _, found := builds(t, kept, in, c, o); found {
				t.Error("it was kept")
			}
		})
	}
}

// Links to folders of the module itself are followed by Go, and do not stop the store.
func TestLinksInsideTheModule(t *testing.T) {
	t.Parallel()
	kept, in := store(t)
	root := harbour(t)
	c, o := build.GoComponent{Name: "api", Dir: filepath.Join(root, "app")}, options(t)
	if err := os.Symlink("assets", filepath.Join(root, "app", "alias")); err != nil {
		t.Fatal(err)
	}
	builds(t, kept, in, c, o)
	if _, found := builds(t, kept, in, c, o); !found {
		t.Error("not kept")
	}
	// One into another module would bring code that the module's own does not tell.
	if err := os.Symlink("nested", filepath.Join(root, "app", "other")); err != nil {
		t.Fatal(err)
	}
	builds(t, kept, in, c, o)
	if _, found := builds(t, kept, in, c, o); found {
		t.Error("kept although a link leads into another module")
	}
}

func TestADamagedBinaryIsBuiltAnew(t *testing.T) {
	t.Parallel()
	kept, in := store(t)
	c, o := build.GoComponent{Name: "api", Dir: app(t)}, options(t)
	want, _ := builds(t, kept, in, c, o)
	damaged, found := builds(t, kept, in, c, o)
	if !found {
		t.Fatal("not kept")
	}
	info, err := os.Stat(damaged.Path)
	if err := errors.Join(err, os.WriteFile(damaged.Path, make([]byte, info.Size()), 0o600)); err != nil {
		t.Fatal(err)
	}
	for _, taken := range []bool{false, true} {
		got, found := builds(t, kept, in, c, o)
		if found != taken || sum(t, got) != sum(t, want) {
			t.Errorf("found: %v, want %v; the same: %v", found, taken, sum(t, got) == sum(t, want))
		}
	}
}

// A file that changes between the moment when the source was hashed and when the compiler reads it must not make the
// store hand out the wrong program later.
func TestASourceThatChangesUnderTheBuildIsNotKept(t *testing.T) {
	t.Parallel()
	kept, in := store(t)
	dir := app(t)
	path, err := exec.LookPath("go")
	if err != nil {
		t.Fatal(err)
	}
	wrapper := filepath.Join(t.TempDir(), "go")
	text := fmt.Sprintf("#!/bin/sh\nif [ \"$1\" = build ]; then echo 'var late = 1' >> %s/main.go; fi\nexec %s \"$@\"\n",
		dir, path)
	if err := os.WriteFile(wrapper, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	c := build.GoComponent{Name: "api", Dir: dir}
	list := filepath.Dir(wrapper) + string(os.PathListSeparator) + os.Getenv("PATH")
	g := build.NewGo(environ("PATH=" + list)).KeepIn(kept)
	if _, err := g.Build(t.Context(), c, platforms(t, native()), options(t)); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(dir, "main.go"))
	if err != nil || !strings.Contains(string(data), "late") {
		t.Fatalf("the wrapper did not run: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(mainFile), 0o600); err != nil {
		t.Fatal(err)
	}
	if files, err := filepath.Glob(filepath.Join(in, "??", "*-d")); err != nil || len(files) > 0 {
		t.Errorf("kept: %v %v", files, err)
	}
}
