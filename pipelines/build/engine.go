package build

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"dagger.io/dagger"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/image"
	"github.com/berth-sh/berth/pipelines/registry"
)

// EngineOptions say where a build in the Dagger engine gets its toolchain and its modules.
type EngineOptions struct {
	// Image is a container image with the Go toolchain. Empty gives golang:VERSION, of the release that the component
	// pins, from Docker Hub.
	Image string
	// Fetch are settings of the go command that say how modules are fetched: GOPROXY, GOPRIVATE, GOSUMDB and the like.
	// They do not change the binaries.
	Fetch map[string]string
	// Netrc logs in to private module proxies and repositories; nil is none.
	Netrc *dagger.Secret
	// Secret reads the variable in which a build from a Dockerfile has a secret; nil has none.
	Secret func(ctx context.Context, variable string) (plaintext string, ok bool, err error)
	// Login gives the account at a registry that base images come from; an empty one is anonymous. nil leaves the engine
	// to the accounts of Docker's configuration.
	Login func(ctx context.Context, host string) (registry.Credential, error)
	// Agent is the SSH agent of builds from Dockerfiles; nil is none.
	Agent *dagger.Socket
}

// Engine builds components with the Go toolchain in containers of a Dagger engine: the same command with the same
// settings as [Go], and so the same binaries.
type Engine struct {
	client  *dagger.Client
	source  *dagger.Directory
	options EngineOptions
	// folder is a folder of the repository without what is excluded; nil takes it from source.
	folder func(path string, exclude []string) *dagger.Directory
}

// NewEngine makes a builder on an engine's session. source is the whole repository, whose path here is [Options.Root].
func NewEngine(client *dagger.Client, source *dagger.Directory, o EngineOptions) *Engine {
	return &Engine{client: client, source: source, options: o}
}

// FetchSettings picks, from an environment, the settings of the go command that say how modules are fetched.
func FetchSettings(lookup func(string) (string, bool)) map[string]string {
	out := map[string]string{}
	for _, name := range []string{"GOINSECURE", "GONOPROXY", "GONOSUMDB", "GOPRIVATE", "GOPROXY", "GOSUMDB", "GOVCS"} {
		if v, ok := lookup(name); ok {
			out[name] = v
		}
	}
	return out
}

const (
	engineSource = "/src"
	engineOut    = "/out"
)

// Build builds a component for each platform and returns the binaries in the order of the platforms. Its faults are
// those of [Go.Build]; an engine that fails or goes away is one with code [fault.Failed].
func (e *Engine) Build(
	ctx context.Context, c GoComponent, platforms []ocispec.Platform, o Options,
) ([]image.Binary, error) {
	if err := check(c, platforms, o); err != nil {
		return nil, err
	}
	o = o.quiet()
	said, work, err := readModule(c, o)
	if err != nil {
		return nil, err
	}
	m := module{toolchain: said.release()}
	if m.work, err = inEngine(o.Root, work); err != nil {
		return nil, err
	}
	dir, err := inEngine(o.Root, c.Dir)
	if err != nil {
		return nil, err
	}
	if !oneRelease.MatchString(m.toolchain) {
		o.Warn(fmt.Sprintf("%s: %s pins no release of Go: digests may differ from other machines", c.Name, said.file))
		m.toolchain = "local"
	}
	base := e.container(m.toolchain).WithWorkdir(dir)
	targets := make([]target, len(platforms))
	errs := make([]error, len(platforms))
	for i, p := range platforms {
		p = image.NormalizePlatform(p)
		targets[i] = target{platform: p, name: image.PlatformString(p), out: binaryPath(c, p, o)}
	}
	if err := e.checkMain(ctx, base, c, m, targets[0].platform); err != nil {
		return nil, err
	}
	g, gctx := errgroup.WithContext(ctx)
	for i, t := range targets {
		g.Go(func() error {
			if errs[i] = e.compile(gctx, base, c, m, t, o); errs[i] == nil {
				o.Progress(c.Name, t.name)
			}
			return nil // all platforms are tried, so that a mistake of one does not hide that of another
		})
	}
	_ = g.Wait()
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("build %s: %w", c.Name, context.Cause(ctx))
	}
	if err := together(c, targets, errs); err != nil {
		return nil, err
	}
	out := make([]image.Binary, len(targets))
	for i, t := range targets {
		out[i] = image.Binary{Platform: t.platform, Path: t.out}
	}
	return out, nil
}

// Run runs a command in the component's folder, with the toolchain that its module pins and for the engine's own
// platform. What it prints is the cause of the fault when it fails.
func (e *Engine) Run(ctx context.Context, c GoComponent, root string, command ...string) error {
	said, work, err := readModule(c, Options{Root: root})
	if err != nil {
		return err
	}
	workspace, err := inEngine(root, work)
	if err != nil {
		return err
	}
	dir, err := inEngine(root, c.Dir)
	if err != nil {
		return err
	}
	ran := e.container(said.release()).WithWorkdir(dir).WithEnvVariable("GOWORK", workspace).
		WithExec(command, dagger.ContainerWithExecOpts{Expect: dagger.ReturnTypeAny})
	code, err := ran.ExitCode(ctx)
	if err != nil {
		return engineFault(err)
	}
	if code == 0 {
		return nil
	}
	output, err := ran.CombinedOutput(ctx)
	if err != nil {
		return engineFault(err)
	}
	return &fault.Error{
		Op: strings.Join(command, " "), Subject: "in " + dir, Code: fault.Failed,
		Err: fmt.Errorf("exit status %d:\n%s", code, strings.TrimSpace(output)), Next: "fix the lines above",
	}
}

// inEngine is the path in the container of a file or folder of the repository. "off" stays.
func inEngine(root, name string) (string, error) {
	if name == "off" {
		return name, nil
	}
	rel, err := filepath.Rel(root, name)
	if err != nil || !filepath.IsLocal(rel) {
		return "", fault.New(fault.Usage, name, "keep components inside the repository",
			"it is outside the repository %s, which is all that the engine sees", root)
	}
	return path.Join(engineSource, filepath.ToSlash(rel)), nil
}

// container has the toolchain and the source.
func (e *Engine) container(toolchain string) *dagger.Container {
	return e.toolchain(toolchain).WithMountedDirectory(engineSource, e.source)
}

// toolchain has the Go release, and caches that all builds share.
func (e *Engine) toolchain(release string) *dagger.Container {
	from := e.options.Image
	if from == "" {
		from = "golang:" + strings.TrimPrefix(release, "go")
		if release == "local" {
			from = "golang:1"
		}
	}
	c := e.client.Container().From(from).
		WithMountedCache("/go/pkg/mod", e.client.CacheVolume("berth-go-modules")).
		WithMountedCache("/go/build", e.client.CacheVolume("berth-go-build")).
		WithEnvVariable("GOPATH", "/go").
		WithEnvVariable("GOMODCACHE", "/go/pkg/mod").
		WithEnvVariable("GOCACHE", "/go/build").
		WithEnvVariable("GOENV", "off").
		// What an image may have set and would change the binaries.
		WithEnvVariable("GOFLAGS", "").WithEnvVariable("GOEXPERIMENT", "").WithEnvVariable("GODEBUG", "")
	for _, name := range slices.Sorted(maps.Keys(e.options.Fetch)) {
		c = c.WithEnvVariable(name, e.options.Fetch[name])
	}
	if e.options.Netrc != nil {
		c = c.WithMountedSecret("/root/.netrc", e.options.Netrc)
	}
	return c
}

// run runs the go command for a platform and returns the container, whatever the command's outcome.
func (e *Engine) run(
	base *dagger.Container, c GoComponent, m module, p ocispec.Platform, args []string,
) (*dagger.Container, error) {
	env, err := settings(c, m, p)
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(env)) {
		base = base.WithEnvVariable(name, env[name])
	}
	return base.WithExec(append([]string{"go"}, args...), dagger.ContainerWithExecOpts{Expect: dagger.ReturnTypeAny}), nil
}

func (e *Engine) checkMain(
	ctx context.Context, base *dagger.Container, c GoComponent, m module, p ocispec.Platform,
) error {
	ran, err := e.run(base, c, m, p, listArgs(c))
	if err != nil {
		return err
	}
	if err := e.failure(ctx, ran, listArgs(c)); err != nil {
		if _, ok := errors.AsType[*outputError](err); ok {
			return packageFault(ctx, c, err)
		}
		return err
	}
	out, err := ran.Stdout(ctx)
	if err != nil {
		return engineFault(err)
	}
	return oneMain(ctx, c, []byte(out))
}

func (e *Engine) compile(
	ctx context.Context, base *dagger.Container, c GoComponent, m module, t target, o Options,
) error {
	out := path.Join(engineOut, c.Name)
	args := buildArgs(c, o, out)
	ran, err := e.run(base, c, m, t.platform, args)
	if err != nil {
		return err
	}
	if err := e.failure(ctx, ran, args); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(t.out), 0o755); err != nil {
		return err
	}
	if _, err := ran.File(out).Export(ctx, t.out); err != nil {
		return engineFault(err)
	}
	return nil
}

// failure returns the go command's own words when it failed.
func (e *Engine) failure(ctx context.Context, ran *dagger.Container, args []string) error {
	code, err := ran.ExitCode(ctx)
	if err != nil {
		return engineFault(err)
	}
	if code == 0 {
		return nil
	}
	said, err := ran.Stderr(ctx)
	if err != nil {
		return engineFault(err)
	}
	return &outputError{args: args, output: strings.TrimSpace(said), err: fmt.Errorf("exit status %d", code)}
}

// engineFault is a failure of the engine rather than of the code that it builds.
func engineFault(err error) error {
	// The engine repeats a question that it does not understand, with all that is in it.
	if said := err.Error(); strings.Contains(said, "query:\n") {
		if _, cause, ok := strings.Cut(said, "\nerror: "); ok {
			err = errors.New(cause)
		} else {
			err = errors.New("it did not understand the question; is it v0.21?")
		}
	}
	return &fault.Error{
		Op: "build in the Dagger engine", Err: err, Code: fault.Failed, Retryable: true,
		Next: "look at the engine's own message above. An image that cannot be pulled is replaced with --go-image,\n" +
			"and berth --builder go builds without an engine",
	}
}
