package build

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/image"
)

// GoComponent is a program in Go.
type GoComponent struct {
	// Name is the component's name and that of its executable.
	Name string
	// Dir is the absolute path of the folder to build in. Its module's go.mod lies there or above.
	Dir string
	// Package is the main package, relative to Dir ("./cmd/builder") or an import path; "" is Dir itself.
	Package string
	// LDFlags replace the default linker flags; they are joined by spaces, and "{version}" and "{commit}" in them are
	// replaced. Empty gives "-s -w -buildid= -X main.version={version} -X main.commit={commit}".
	LDFlags []string
	// Tags are build tags.
	Tags []string
	// Env adds to the environment of the toolchain, or replaces what berth sets there. GOOS and GOARCH are the
	// platform's and cannot be named.
	Env map[string]string
}

// Options are what all components of a run share.
type Options struct {
	// Version and Commit are linked into the program.
	Version, Commit string
	// Root is the absolute path of the repository. A go.work between it and the component, that uses the component's
	// module, is in force; without Root no go.work is.
	Root string
	// Out is the folder for binaries: OUT/<component>/<os>_<arch>[_<variant>]/<component>. The caller owns it.
	Out string
	// Jobs bounds the toolchain runs of this call. The builder as a whole never starts more than the machine has cores,
	// which is also the meaning of 0.
	Jobs int
	// Created is the time that images carry: no file that a Dockerfile's steps make is later. Builders of binaries, which
	// carry no time, do not use it.
	Created time.Time
	// NoCache builds everything anew.
	NoCache bool
	// Log is told each line that the steps of a Dockerfile print; nil is fine. Calls do not overlap.
	Log func(component, line string)
	// Progress is told each binary that is ready; nil is fine. Calls do not overlap.
	Progress func(component, platform string)
	// Warn is told, in a sentence, what makes the build less repeatable than it should be; nil is fine. Calls do not
	// overlap.
	Warn func(message string)
}

// Go builds components with the Go toolchain in PATH. It is safe for concurrent use.
type Go struct {
	env   []string
	slots chan struct{}
	store Store // nil keeps nothing

	mu   sync.Mutex
	tool *tool // found on first use
}

// NewGo makes a builder. The environment, as [os.Environ] gives it, decides where the toolchain and its caches are and
// how modules are fetched; what would change the binaries is not passed on.
func NewGo(env []string) *Go {
	return &Go{env: env, slots: make(chan struct{}, runtime.GOMAXPROCS(0))}
}

// Build builds a component for each platform and returns the binaries in the order of the platforms. Code that does not
// compile, a missing folder, package or go.mod, and a missing Go are faults with code [fault.Usage]; a pinned toolchain
// that cannot be had is one with code [fault.Failed]. When the context ends, so do the toolchain's processes.
func (g *Go) Build(ctx context.Context, c GoComponent, platforms []ocispec.Platform, o Options) (
	[]image.Binary, error,
) {
	if err := check(c, platforms, o); err != nil {
		return nil, err
	}
	o = o.quiet()
	t, err := g.find(ctx)
	if err != nil {
		return nil, err
	}
	m, err := t.module(ctx, c, o)
	if err != nil {
		return nil, err
	}
	// The work folder of the go command lies beside its output, so that a binary is moved and not copied, and is removed
	// here, for the go command leaves it behind when it is killed or interrupted early.
	if err := os.MkdirAll(o.Out, 0o755); err != nil {
		return nil, fmt.Errorf("build %s: %w", c.Name, err)
	}
	work, err := os.MkdirTemp(o.Out, ".work-*")
	if err != nil {
		return nil, fmt.Errorf("build %s: %w", c.Name, err)
	}
	defer func() { _ = os.RemoveAll(work) }() // the caller removes Out with whatever is left
	m.temp = work
	targets := make([]target, len(platforms))
	for i, p := range platforms {
		if targets[i], err = newTarget(t, c, m, p, o); err != nil {
			return nil, err
		}
	}
	return g.recallOrBuild(ctx, t, c, m, targets, o)
}

func (g *Go) recallOrBuild(ctx context.Context, t *tool, c GoComponent, m module, targets []target, o Options) (
	[]image.Binary, error,
) {
	keys, told := [][sha256.Size]byte(nil), false
	if g.store != nil && !o.NoCache {
		keys, told = t.keys(ctx, c, m, targets, o)
	}
	if binaries, ok := g.recall(keys, targets); ok {
		for _, target := range targets {
			o.Progress(c.Name, target.name)
		}
		return binaries, nil
	}
	if err := t.checkMain(ctx, c, targets[0]); err != nil {
		return nil, err
	}
	binaries, err := g.all(ctx, t, c, targets, o)
	if err != nil || !told {
		return binaries, err
	}
	if after, ok := t.keys(ctx, c, m, targets, o); ok && slices.Equal(keys, after) { // else it changed under the build
		g.keep(keys, binaries)
	}
	return binaries, nil
}

// quiet gives callbacks that are never nil and never called twice at a time.
func (o Options) quiet() Options {
	var mu sync.Mutex
	progress, warn, log := o.Progress, o.Warn, o.Log
	o.Log = func(component, line string) {
		if log != nil {
			mu.Lock()
			defer mu.Unlock()
			log(component, line)
		}
	}
	o.Progress = func(component, platform string) {
		if progress != nil {
			mu.Lock()
			defer mu.Unlock()
			progress(component, platform)
		}
	}
	o.Warn = func(message string) {
		if warn != nil {
			mu.Lock()
			defer mu.Unlock()
			warn(message)
		}
	}
	return o
}

// all runs the compiler for every target and waits for all of them, so that a mistake in the code of one platform does
// not hide that of another.
func (g *Go) all(ctx context.Context, t *tool, c GoComponent, targets []target, o Options) ([]image.Binary, error) {
	jobs := o.Jobs
	if jobs <= 0 {
		jobs = len(targets)
	}
	limit := make(chan struct{}, jobs)
	errs := make([]error, len(targets))
	var wait sync.WaitGroup
	for i, target := range targets {
		wait.Go(func() {
			if errs[i] = acquire(ctx, limit); errs[i] != nil {
				return
			}
			defer release(limit)
			if errs[i] = acquire(ctx, g.slots); errs[i] != nil {
				return
			}
			defer release(g.slots)
			if errs[i] = t.compile(ctx, c, target); errs[i] == nil {
				o.Progress(c.Name, target.name)
			}
		})
	}
	wait.Wait()
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("build %s: %w", c.Name, context.Cause(ctx))
	}
	if err := together(c, targets, errs); err != nil {
		return nil, err
	}
	out := make([]image.Binary, len(targets))
	for i, target := range targets {
		out[i] = image.Binary{Platform: target.platform, Path: target.out}
	}
	return out, nil
}

func acquire(ctx context.Context, slots chan struct{}) error {
	select {
	case slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func release(slots chan struct{}) { <-slots }

// together makes faults of the failures, one for all platforms that failed with the same words.
func together(c GoComponent, targets []target, errs []error) error {
	var order []string
	platforms := map[string][]string{}
	causes := map[string]error{}
	for i, err := range errs {
		if err == nil {
			continue
		}
		said := err.Error()
		if causes[said] == nil {
			order = append(order, said)
			causes[said] = err
		}
		platforms[said] = append(platforms[said], targets[i].name)
	}
	var faults []error
	for _, said := range order {
		f := &fault.Error{
			Op: "build", Subject: c.Name + " for " + strings.Join(platforms[said], ", "), Err: causes[said],
		}
		if _, ok := errors.AsType[*outputError](causes[said]); ok {
			f.Code = fault.Usage
			f.Next = "fix the lines above; their paths start in " + c.Dir
		} else {
			f.Code = fault.Failed
		}
		faults = append(faults, f)
	}
	return fault.Join(faults...)
}

func check(c GoComponent, platforms []ocispec.Platform, o Options) error {
	switch {
	case c.Name == "" || c.Name != filepath.Base(c.Name) || !filepath.IsLocal(c.Name):
		return fault.New(fault.Usage, c.Name, "", "%q cannot be the name of a component", c.Name)
	case len(platforms) == 0:
		return fault.New(fault.Usage, c.Name, "name at least one platform", "there is no platform to build for")
	case !filepath.IsAbs(c.Dir):
		return fault.New(fault.Usage, c.Name, "", "the folder %q is not an absolute path", c.Dir)
	case !filepath.IsAbs(o.Out):
		return fault.New(fault.Usage, c.Name, "", "the output folder %q is not an absolute path", o.Out)
	case strings.HasPrefix(c.Package, "-"):
		return fault.New(fault.Usage, c.Name, "Write the package as ./folder.", "%q is not a package", c.Package)
	}
	for _, name := range []string{"GOOS", "GOARCH"} {
		if _, ok := c.Env[name]; ok {
			return fault.New(fault.Usage, c.Name, "use the component's platforms instead", "env sets %s", name)
		}
	}
	info, err := os.Stat(c.Dir)
	if err == nil && !info.IsDir() {
		err = errors.New("not a folder")
	}
	if err != nil {
		return &fault.Error{
			Op: "build", Subject: c.Name, Code: fault.Usage, Err: fmt.Errorf("the component's folder: %w", err),
			Next: "correct the component's go.dir",
		}
	}
	return nil
}
