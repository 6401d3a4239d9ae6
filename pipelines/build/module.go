package build

import (
	"context"
	"encoding/json"
	"fmt"
	"go/version"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/berth-sh/berth/pipelines/fault"
)

// oneRelease matches a toolchain that names one release of Go. Since 1.21 "1.N" is a language version only.
var oneRelease = regexp.MustCompile(
	`^go1\.(2[1-9]|[3-9][0-9]|[1-9][0-9]{2,})(\.[0-9]+|(rc|beta)[0-9]+)(-[A-Za-z0-9._-]+)?$`)

// module is what a component's module decides about its builds.
type module struct {
	work      string // GOWORK: a file, or "off"
	toolchain string // GOTOOLCHAIN
	temp      string // GOTMPDIR
}

// edited is what `go mod edit -json` and `go work edit -json` print.
type edited struct {
	Go        string
	Toolchain string
	Use       []struct{ DiskPath string }
}

// module finds the component's module and workspace and the toolchain that they pin, and makes sure that it is there.
func (t *tool) module(ctx context.Context, c GoComponent, o Options) (module, error) {
	mod, ok := above(c.Dir, "", "go.mod")
	if !ok {
		return module{}, fault.New(fault.Usage, c.Name,
			"Run `go mod init` in "+c.Dir+", or correct the component's go.dir.", "there is no go.mod in %s or above", c.Dir)
	}
	file, m := mod, module{work: "off"}
	said, err := t.edit(ctx, "mod", mod)
	if err != nil {
		return module{}, packageFault(ctx, c, err)
	}
	if work, ok := above(c.Dir, o.Root, "go.work"); ok && o.Root != "" {
		space, err := t.edit(ctx, "work", work)
		if err != nil {
			return module{}, packageFault(ctx, c, err)
		}
		if space.uses(filepath.Dir(work), filepath.Dir(mod)) {
			file, m.work, said = work, work, space
		}
	}
	m.toolchain, err = t.pin(ctx, c, file, said, o.Warn)
	return m, err
}

// pin chooses GOTOOLCHAIN, so that every machine compiles with the same release whatever it has installed. The
// toolchain line decides, else the go line.
func (t *tool) pin(ctx context.Context, c GoComponent, file string, said edited, warn func(string)) (string, error) {
	if _, ok := c.Env["GOTOOLCHAIN"]; ok {
		return "", nil // the configuration chose, and its environment comes last
	}
	want := said.Toolchain
	if want == "" || want == "default" {
		want = "go" + said.Go
	}
	stays := t.setting == "local"
	if stays && version.Compare("go"+said.Go, t.local) > 0 {
		return "", &fault.Error{
			Op: "build", Subject: c.Name, Code: fault.Failed,
			Err:  fmt.Errorf("%s needs go%s, and GOTOOLCHAIN=local keeps to %s", file, said.Go, t.local),
			Next: "Install go" + said.Go + ", or set GOTOOLCHAIN=auto to let Go fetch it.",
		}
	}
	switch {
	case !oneRelease.MatchString(want):
		warn(fmt.Sprintf("%s: %s pins no release of Go: digests may differ from other machines; "+
			"add a line such as: toolchain %s", c.Name, file, t.local))
		return t.setting, nil
	case want == t.local:
		return "local", nil
	case stays:
		warn(fmt.Sprintf("%s: %s pins %s, but GOTOOLCHAIN=local builds with %s: digests may differ from other machines",
			c.Name, file, want, t.local))
		return "local", nil
	}
	choice := want
	if t.setting == "path" || strings.HasSuffix(t.setting, "+path") {
		choice += "+path" // the user allows no download
	}
	env := append(slices.Clone(t.env), "GOTOOLCHAIN="+choice, "GOWORK=off", "PWD="+c.Dir)
	if _, err := t.run(ctx, c.Dir, env, "version"); err != nil {
		if ctx.Err() != nil {
			return "", fmt.Errorf("build %s: %w", c.Name, context.Cause(ctx))
		}
		return "", &fault.Error{
			Op: "build", Subject: c.Name, Code: fault.Failed, Err: fmt.Errorf("%s pins %s: %w", file, want, err),
			Next: "Install " + want + " so that PATH has a command of that name, give Go a proxy that serves toolchains\n" +
				"(GOPROXY), or set GOTOOLCHAIN=local to build with " + t.local + " and accept another digest.",
		}
	}
	return choice, nil
}

// edit reads a go.mod or go.work with the go command, which knows every line of them.
func (t *tool) edit(ctx context.Context, kind, file string) (edited, error) {
	dir := filepath.Dir(file)
	env := append(slices.Clone(t.env), "GOTOOLCHAIN=local", "GOWORK=off", "PWD="+dir)
	out, err := t.run(ctx, dir, env, kind, "edit", "-json", file)
	if err != nil {
		return edited{}, err
	}
	var e edited
	if err := json.Unmarshal(out, &e); err != nil {
		return edited{}, fmt.Errorf("%s: %w", file, err)
	}
	return e, nil
}

// uses tells whether a workspace has the module. One that does not is left out of force, for Go would refuse to build.
func (e edited) uses(workDir, modDir string) bool {
	for _, u := range e.Use {
		path := filepath.FromSlash(u.DiskPath)
		if !filepath.IsAbs(path) {
			path = filepath.Join(workDir, path)
		}
		if filepath.Clean(path) == modDir {
			return true
		}
	}
	return false
}

// above finds a file in a folder or the nearest one above it, not above root when root is given.
func above(dir, root, name string) (string, bool) {
	for dir = filepath.Clean(dir); ; dir = filepath.Dir(dir) {
		file := filepath.Join(dir, name)
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() {
			return file, true
		}
		if dir == filepath.Dir(dir) || (root != "" && dir == filepath.Clean(root)) {
			return "", false
		}
	}
}
