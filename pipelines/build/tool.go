package build

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/berth-sh/berth/pipelines/fault"
)

// tool is the go command of this machine.
type tool struct {
	path    string
	local   string // its own version, "go1.26.8"
	setting string // the user's GOTOOLCHAIN
	// identity tells it from other go commands; "" when that cannot be told
	identity string
	env      []string // environment of every run, without what would change the binaries
}

// fetching are the settings of the go command that say where things are and how modules are fetched. They are taken
// from the user's environment or `go env -w` and passed on; no other setting of the go command is.
func fetching() []string {
	return []string{
		"GOAUTH", "GOCACHE", "GOCACHEPROG", "GOINSECURE", "GOMODCACHE", "GONOPROXY", "GONOSUMDB", "GOPATH",
		"GOPRIVATE", "GOPROXY", "GOSUMDB", "GOVCS",
	}
}

// dropped are variables that change what is built, besides those that start with CGO_.
func dropped() []string {
	return []string{
		"GO111MODULE", "GO386", "GOAMD64", "GOARCH", "GOARM", "GOARM64", "GOBIN", "GOCOVERDIR", "GODEBUG", "GOENV",
		"GOEXPERIMENT", "GOFIPS140", "GOFLAGS", "GOMIPS", "GOMIPS64", "GOOS", "GOPPC64", "GORISCV64", "GOROOT",
		"GOTMPDIR", "GOTOOLCHAIN", "GOTOOLDIR", "GOWASM", "GOWORK", "GO_EXTLINK_ENABLED", "GOSSAFUNC", "PWD",
	}
}

// outputError is a run of the go command that failed, with what it printed.
type outputError struct {
	args   []string
	output string
	err    error
}

func (e *outputError) Error() string {
	if e.output == "" {
		return fmt.Sprintf("go %s: %v", e.args[0], e.err)
	}
	return "go " + e.args[0] + " says:\n" + e.output
}

func (e *outputError) Unwrap() error { return e.err }

// find looks for the go command, once for each builder.
func (g *Go) find(ctx context.Context) (*tool, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.tool != nil {
		return g.tool, nil
	}
	path, ok := lookPath(g.env, "go")
	if !ok {
		return nil, fault.New(fault.Usage, "go", "install Go from https://go.dev/dl/ and put its bin folder into PATH",
			"the go command is not in PATH")
	}
	t := &tool{path: path}
	// Asked in the root folder, so that no go.mod has a say, and as the local toolchain, so that nothing is downloaded.
	anywhere := filepath.VolumeName(path) + string(filepath.Separator)
	env := without(g.env, func(name string) bool {
		return name != "GOENV" && name != "GOTOOLCHAIN" && slices.Contains(dropped(), name)
	})
	env = append(env, "GOWORK=off", "PWD="+anywhere)
	local := append(slices.Clone(env), "GOTOOLCHAIN=local")
	out, err := t.run(ctx, anywhere, local, append([]string{"env", "-json", "GOVERSION"}, fetching()...)...)
	if err != nil {
		return nil, notUsable(path, err)
	}
	var values map[string]string
	if err := json.Unmarshal(out, &values); err != nil {
		return nil, notUsable(path, err)
	}
	t.local, _, _ = strings.Cut(values["GOVERSION"], " ")
	t.identity = identify(path, values["GOVERSION"])
	if out, err = t.run(ctx, anywhere, env, "env", "GOTOOLCHAIN"); err != nil {
		return nil, notUsable(path, err)
	}
	t.setting = strings.TrimSpace(string(out))
	t.env = without(g.env, func(name string) bool {
		return slices.Contains(dropped(), name) || slices.Contains(fetching(), name) || strings.HasPrefix(name, "CGO_")
	})
	t.env = append(t.env, "GOENV=off")
	for _, name := range fetching() {
		if v := values[name]; v != "" {
			t.env = append(t.env, name+"="+v)
		}
	}
	g.tool = t
	return t, nil
}

// without copies an environment, less the variables that drop names.
func without(env []string, drop func(name string) bool) []string {
	return slices.DeleteFunc(slices.Clone(env), func(s string) bool {
		name, _, _ := strings.Cut(s, "=")
		return drop(name)
	})
}

func notUsable(path string, err error) error {
	return &fault.Error{
		Op: "run", Subject: path, Err: err, Code: fault.Usage, Next: "install Go from https://go.dev/dl/",
	}
}

// lookPath finds a program in the PATH of an environment, which need not be that of this process.
func lookPath(env []string, program string) (string, bool) {
	list, _ := lookup(env, "PATH")
	for _, dir := range filepath.SplitList(list) {
		if !filepath.IsAbs(dir) {
			continue // a command in the current folder is never meant
		}
		if path, err := exec.LookPath(filepath.Join(dir, program)); err == nil {
			return path, true
		}
	}
	return "", false
}

// lookup reads a variable of an environment as [os.Environ] gives it; the last one counts.
func lookup(env []string, name string) (value string, ok bool) {
	for _, s := range env {
		if v, is := strings.CutPrefix(s, name+"="); is {
			value, ok = v, true
		}
	}
	return value, ok
}

// run runs the go command and returns its standard output.
func (t *tool) run(ctx context.Context, dir string, env []string, args ...string) ([]byte, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, t.path, args...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, env, &stdout, &stderr
	own(cmd)
	// The go command removes its work folder when it is interrupted. Whoever does not listen is killed.
	cmd.WaitDelay = 3 * time.Second
	err := cmd.Run()
	reap(cmd)
	if err == nil {
		return stdout.Bytes(), nil
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if _, ok := errors.AsType[*exec.ExitError](err); ok {
		return nil, &outputError{args: args, output: strings.TrimSpace(stderr.String()), err: err}
	}
	return nil, err
}

func (t *tool) compile(ctx context.Context, c GoComponent, target target) error {
	if err := os.MkdirAll(filepath.Dir(target.out), 0o755); err != nil {
		return err
	}
	_, err := t.run(ctx, c.Dir, target.env, target.args...)
	return err
}

// checkMain makes sure that the component names one main package, before anything is compiled.
func (t *tool) checkMain(ctx context.Context, c GoComponent, first target) error {
	out, err := t.run(ctx, c.Dir, first.env, listArgs(c)...)
	if err != nil {
		return packageFault(ctx, c, err)
	}
	return oneMain(ctx, c, out)
}

// listArgs are the arguments of the go command that say what the component's package is.
func listArgs(c GoComponent) []string {
	args := append([]string{"list", "-find", "-e", "-json=Name,ImportPath,Error"}, tagArgs(c)...)
	return append(args, "--", mainPackage(c))
}

// oneMain reads what listArgs print.
func oneMain(ctx context.Context, c GoComponent, out []byte) error {
	type listed struct {
		Name, ImportPath string
		Error            *struct{ Err string }
	}
	var packages []listed
	for decoder := json.NewDecoder(bytes.NewReader(out)); decoder.More(); {
		var p listed
		if err := decoder.Decode(&p); err != nil {
			return packageFault(ctx, c, err)
		}
		packages = append(packages, p)
	}
	switch {
	case len(packages) == 1 && packages[0].Error != nil && packages[0].Name != "main":
		return packageFault(ctx, c, errors.New(packages[0].Error.Err))
	case len(packages) != 1:
		return packageFault(ctx, c, fmt.Errorf("%q names %d packages, not one", mainPackage(c), len(packages)))
	case packages[0].Name != "main":
		return packageFault(ctx, c, fmt.Errorf("%s is package %s, not a main package",
			packages[0].ImportPath, packages[0].Name))
	}
	return nil
}

func packageFault(ctx context.Context, c GoComponent, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("build %s: %w", c.Name, context.Cause(ctx))
	}
	return &fault.Error{
		Op: "build", Subject: c.Name, Err: err, Code: fault.Usage,
		Next: "correct the component's go.dir and go.package, or its platforms; the folder is " + c.Dir,
	}
}
