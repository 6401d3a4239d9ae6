package build

import (
	"context"
	"fmt"
	"go/version"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"

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

// pinned is what a go.mod, or the go.work in force, says of the toolchain.
type pinned struct {
	file      string // that says it
	goVersion string // the go line, "1.26.0"
	toolchain string // the toolchain line, "go1.26.8", or ""
}

// release is the toolchain that the file asks for. The toolchain line decides, else the go line.
func (p pinned) release() string {
	if p.toolchain == "" || p.toolchain == "default" {
		return "go" + p.goVersion
	}
	return p.toolchain
}

// module finds the component's module and workspace and the toolchain that they pin, and makes sure that it is there.
func (t *tool) module(ctx context.Context, c GoComponent, o Options) (module, error) {
	said, work, err := readModule(c, o)
	if err != nil {
		return module{}, err
	}
	m := module{work: work}
	m.toolchain, err = t.pin(ctx, c, said, o.Warn)
	return m, err
}

// readModule reads the component's go.mod and a go.work that uses it. work is GOWORK: the file, or "off".
func readModule(c GoComponent, o Options) (said pinned, work string, err error) {
	mod, ok := above(c.Dir, "", "go.mod")
	if !ok {
		return pinned{}, "", fault.New(fault.Usage, c.Name,
			"run `go mod init` in "+c.Dir+", or correct the component's go.dir", "there is no go.mod in %s or above", c.Dir)
	}
	said, err = readGoMod(mod)
	if err != nil {
		return pinned{}, "", unreadable(c, err)
	}
	file, ok := above(c.Dir, o.Root, "go.work")
	if !ok || o.Root == "" {
		return said, "off", nil
	}
	space, uses, err := readGoWork(file, filepath.Dir(mod))
	if err != nil {
		return pinned{}, "", unreadable(c, err)
	}
	if !uses {
		return said, "off", nil // one that does not use the module is left out of force: Go would refuse to build
	}
	return space, file, nil
}

func unreadable(c GoComponent, err error) error {
	return &fault.Error{
		Op: "build", Subject: c.Name, Err: err, Code: fault.Usage, Next: "correct the file; `go mod tidy` checks it",
	}
}

func readGoMod(file string) (pinned, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return pinned{}, err
	}
	return parseGoMod(file, data)
}

func parseGoMod(file string, data []byte) (pinned, error) {
	// Lax, so that a line which a newer Go knows does not stop a pin that this one can read.
	f, err := modfile.ParseLax(file, data, nil)
	if err != nil {
		return pinned{}, err
	}
	said := pinned{file: file, goVersion: "1.16"} // what Go takes where there is no go line
	if f.Go != nil {
		said.goVersion = f.Go.Version
	}
	// ParseLax leaves the toolchain line out, as it means nothing for dependencies.
	for _, line := range f.Syntax.Stmt {
		if l, ok := line.(*modfile.Line); ok && len(l.Token) == 2 && l.Token[0] == "toolchain" {
			said.toolchain = l.Token[1]
		}
	}
	return said, nil
}

// readGoWork reads a workspace and whether it uses the module in a folder.
func readGoWork(file, module string) (said pinned, uses bool, err error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return pinned{}, false, err
	}
	f, err := modfile.ParseWork(file, data, nil)
	if err != nil {
		return pinned{}, false, err
	}
	said = pinned{file: file, goVersion: "1.18"} // the first that had workspaces
	if f.Go != nil {
		said.goVersion = f.Go.Version
	}
	if f.Toolchain != nil {
		said.toolchain = f.Toolchain.Name
	}
	for _, u := range f.Use {
		dir := filepath.FromSlash(u.Path)
		if !filepath.IsAbs(dir) {
			dir = filepath.Join(filepath.Dir(file), dir)
		}
		uses = uses || filepath.Clean(dir) == module
	}
	return said, uses, nil
}

// pin chooses GOTOOLCHAIN, so that every machine compiles with the same release whatever it has installed.
func (t *tool) pin(ctx context.Context, c GoComponent, said pinned, warn func(string)) (string, error) {
	if _, ok := c.Env["GOTOOLCHAIN"]; ok {
		return "", nil // the configuration chose, and its environment comes last
	}
	want := said.release()
	stays := t.setting == "local"
	if stays && version.Compare("go"+said.goVersion, t.local) > 0 {
		return "", &fault.Error{
			Op: "build", Subject: c.Name, Code: fault.Failed,
			Err:  fmt.Errorf("%s needs go%s, and GOTOOLCHAIN=local keeps to %s", said.file, said.goVersion, t.local),
			Next: "install go" + said.goVersion + ", or set GOTOOLCHAIN=auto to let Go fetch it",
		}
	}
	switch {
	case !oneRelease.MatchString(want):
		warn(fmt.Sprintf("%s: %s pins no release of Go: digests may differ from other machines; "+
			"add a line such as: toolchain %s", c.Name, said.file, t.local))
		return t.setting, nil
	case want == t.local:
		return "local", nil
	case stays:
		warn(fmt.Sprintf("%s: %s pins %s, but GOTOOLCHAIN=local builds with %s: digests may differ from other machines",
			c.Name, said.file, want, t.local))
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
			Op: "build", Subject: c.Name, Code: fault.Failed, Err: fmt.Errorf("%s pins %s: %w", said.file, want, err),
			Next: "install " + want + " so that PATH has a command of that name, give Go a proxy that serves toolchains\n" +
				"(GOPROXY), or set GOTOOLCHAIN=local to build with " + t.local + " and accept another digest",
		}
	}
	return choice, nil
}

// Sources lists the folders, other than the component's own, that a Go component is built from: its module, and the
// folders that replace other modules or are used by the workspace in force. Only those inside root count. A module that
// cannot be read has no sources here; building it says why.
func Sources(dir, root string) []string {
	mod, ok := above(dir, root, "go.mod")
	if !ok {
		return nil
	}
	folders := append([]string{filepath.Dir(mod)}, replaced(mod)...)
	if work, ok := above(dir, root, "go.work"); ok {
		if data, err := os.ReadFile(work); err == nil {
			if f, err := modfile.ParseWork(work, data, nil); err == nil {
				for _, u := range f.Use {
					folders = append(folders, filepath.Join(filepath.Dir(work), filepath.FromSlash(u.Path)))
				}
			}
		}
	}
	return slices.DeleteFunc(folders, func(folder string) bool {
		rel, err := filepath.Rel(root, folder)
		return err != nil || !filepath.IsLocal(rel)
	})
}

// replaced lists the folders that a go.mod builds other modules from.
func replaced(mod string) []string {
	data, err := os.ReadFile(mod)
	if err != nil {
		return nil
	}
	f, err := modfile.Parse(mod, data, nil)
	if err != nil {
		return nil
	}
	var folders []string
	for _, r := range f.Replace {
		if modfile.IsDirectoryPath(r.New.Path) {
			folders = append(folders, filepath.Join(filepath.Dir(mod), filepath.FromSlash(r.New.Path)))
		}
	}
	return folders
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
