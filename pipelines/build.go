package pipelines

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/berth-sh/berth/pipelines/build"
	"github.com/berth-sh/berth/pipelines/cache"
	"github.com/berth-sh/berth/pipelines/config"
	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/image"
	"github.com/berth-sh/berth/pipelines/plan"
)

// BuildRequest says what to build; empty lists mean everything.
type BuildRequest struct {
	Components []string
	Platforms  []string
	// NoCache builds everything anew.
	NoCache bool
}

// Toolchain builds the binaries of a Go component.
type Toolchain interface {
	// Build returns a binary for each platform, in the order of the platforms.
	Build(ctx context.Context, c build.GoComponent, platforms []ocispec.Platform, o build.Options) ([]image.Binary, error)
}

// CanBuild reports why a request names components or platforms that do not exist, or what the policy does not allow to
// be built on, without building anything.
func (p *Pipeline) CanBuild(r BuildRequest) error {
	names, err := plan.Components(p.Config, r.Components)
	for _, name := range names {
		if d := p.Config.Components[name].Dockerfile; d != nil && err == nil {
			_, err = p.dockerfile(name, *d)
		}
		if _, platformErr := plan.Platforms(p.Config, name, r.Platforms); err == nil {
			err = platformErr
		}
	}
	if err != nil {
		return err
	}
	refused, err := p.refusedBases(r.Components)
	if err != nil {
		return err
	}
	if err := p.checkDockerfiles(names); err != nil {
		return err
	}
	return plan.Plan{Refusals: refused}.Err()
}

// Build builds the images. Their layers are files in a temporary folder, which lives until release is called.
func (p *Pipeline) Build(ctx context.Context, r BuildRequest) (images []image.Index, release func(), err error) {
	s, err := p.read(ctx)
	if err != nil {
		return nil, nil, err
	}
	if err := p.CanBuild(r); err != nil {
		return nil, nil, err
	}
	names, err := plan.Components(p.Config, r.Components)
	if err != nil {
		return nil, nil, err
	}
	created, err := p.created(s)
	if err != nil {
		return nil, nil, err
	}
	work, release, err := scratch("berth-build-")
	if err != nil {
		return nil, nil, err
	}
	b := builder{
		pipeline: p, state: s, created: created, work: work,
		static: image.Static(), toolchain: p.options.Toolchain, slots: make(chan struct{}, runtime.GOMAXPROCS(0)+1),
		noCache: r.NoCache,
	}
	b.useCache()
	if slices.ContainsFunc(names, func(n string) bool { return p.Config.Components[n].Dockerfile != nil }) {
		if b.dockerfiles, err = p.dockerfileBuilder(ctx); err != nil {
			release()
			return nil, nil, err
		}
	}
	p.options.Progress.Emit("start", "building", strings.Join(names, ", "))
	defer b.trim()
	images = make([]image.Index, len(names))
	g, gctx := errgroup.WithContext(ctx)
	for i, name := range names {
		g.Go(func() (err error) {
			images[i], err = b.component(gctx, name, r.Platforms)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		release()
		return nil, nil, err
	}
	return images, release, nil
}

// Runner runs a command in a folder of the repository.
type Runner interface {
	// Run runs the command with the toolchain of the component's module; root is the path of the repository.
	Run(ctx context.Context, c build.GoComponent, root string, command ...string) error
}

// InModules runs a command in the folder of each Go component, once for each folder.
func (p *Pipeline) InModules(ctx context.Context, r Runner, command ...string) error {
	seen := map[string]bool{}
	var errs []error
	for _, name := range p.Config.ComponentNames() {
		g := p.Config.Components[name].Go
		if g == nil || seen[g.Dir] {
			continue
		}
		seen[g.Dir] = true
		errs = append(errs, r.Run(ctx, build.GoComponent{
			Name: name, Dir: filepath.Join(p.Project, filepath.FromSlash(g.Dir)), Package: g.Package, Env: g.Env,
		}, p.repository.Root(), command...))
	}
	return fault.Join(errs...)
}

// created is the time in the images: SOURCE_DATE_EPOCH, else the commit's time.
// Source: https://reproducible-builds.org/specs/source-date-epoch/
func (p *Pipeline) created(s state) (time.Time, error) {
	text, ok := p.options.Lookup("SOURCE_DATE_EPOCH")
	if !ok || text == "" {
		return s.facts.CommitTime, nil
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil || seconds < 0 {
		return time.Time{}, fault.New(fault.Usage, "SOURCE_DATE_EPOCH="+text,
			"set it to whole seconds since 1970, or unset it", "it is not a number of seconds")
	}
	return time.Unix(seconds, 0).UTC(), nil
}

// builder builds the components of one run.
type builder struct {
	pipeline  *Pipeline
	state     state
	created   time.Time
	work      string
	static    image.Base
	toolchain Toolchain
	// dockerfiles is nil when no component has a Dockerfile.
	dockerfiles DockerfileBuilder
	// slots bound the Dockerfiles that are built at a time.
	slots   chan struct{}
	noCache bool
	// cache is nil when there is none, or it is not to be used.
	cache *cache.Cache
}

// useCache chooses the toolchain and what it and the layers may be taken from. A cache that cannot be opened is none:
// it makes nothing possible that is not possible without.
func (b *builder) useCache() {
	o := b.pipeline.options
	if o.Cache != "" && !b.noCache {
		b.cache, _ = cache.Open(o.Cache, o.Now)
	}
	if b.toolchain != nil {
		return
	}
	toolchain := build.NewGo(o.Environ)
	if b.cache != nil {
		toolchain.KeepIn(b.cache)
	}
	b.toolchain = toolchain
}

// trim keeps the cache within its bounds. What cannot be removed now may be next time.
func (b *builder) trim() {
	if b.cache != nil {
		_ = b.cache.Trim()
	}
}

func (b builder) component(ctx context.Context, name string, asked []string) (image.Index, error) {
	p := b.pipeline
	k := p.Config.Components[name]
	if err := p.Config.RequireSet("components", name); err != nil {
		return image.Index{}, err
	}
	texts, err := plan.Platforms(p.Config, name, asked)
	if err != nil {
		return image.Index{}, err
	}
	var platforms []ocispec.Platform
	for _, text := range texts {
		platform, err := image.ParsePlatform(text)
		if err != nil {
			return image.Index{}, err
		}
		platforms = append(platforms, platform)
	}
	var x image.Index
	if k.Dockerfile != nil {
		x, err = b.dockerBuild(ctx, name, k, platforms)
	} else {
		x, err = b.goImage(ctx, name, k, platforms)
	}
	if err != nil {
		return image.Index{}, err
	}
	p.options.Progress.Emit("image", name, x.Descriptor.Digest.String())
	return x, nil
}

func (b builder) goImage(
	ctx context.Context, name string, k config.Component, platforms []ocispec.Platform,
) (image.Index, error) {
	base, err := b.base(ctx, name, k)
	if err != nil {
		return image.Index{}, err
	}
	binaries, err := b.goBuild(ctx, name, *k.Go, platforms)
	if err != nil {
		return image.Index{}, err
	}
	return image.Assemble(ctx, b.spec(name, k, base, binaries))
}

func (b builder) goBuild(
	ctx context.Context, name string, g config.Go, platforms []ocispec.Platform,
) ([]image.Binary, error) {
	p := b.pipeline
	return b.toolchain.Build(ctx, build.GoComponent{
		Name:    name,
		Dir:     filepath.Join(p.Project, filepath.FromSlash(g.Dir)),
		Package: g.Package,
		LDFlags: g.LDFlags,
		Tags:    g.Tags,
		Env:     g.Env,
	}, platforms, b.options("bin"))
}

// options are those of every build of the run, whose output goes into a folder of the run's own.
func (b builder) options(folder string) build.Options {
	p := b.pipeline
	return build.Options{
		Version: b.state.base.String(),
		Commit:  b.revision(),
		Root:    p.repository.Root(),
		Out:     filepath.Join(b.work, folder),
		Created: b.created,
		NoCache: b.noCache,
		Progress: func(component, platform string) {
			p.options.Progress.Emit("build", component+" "+platform, "")
		},
		Log: func(component, line string) {
			p.options.Progress.Emit("log", component, line)
		},
		Warn: p.warn,
	}
}

// revision is the commit, marked when the images hold uncommitted work.
func (b builder) revision() string {
	if len(b.state.facts.Dirty) > 0 {
		return b.state.facts.Commit + "-dirty"
	}
	return b.state.facts.Commit
}

func (b builder) spec(name string, k config.Component, base image.Base, binaries []image.Binary) image.Spec {
	source := b.pipeline.Config.Source
	if source == "" {
		source = b.state.facts.Source
	}
	out := image.Spec{
		Component:  name,
		Title:      name,
		Source:     source,
		Revision:   b.revision(),
		Version:    b.state.base.String(),
		Created:    b.created,
		CommitTime: b.state.facts.CommitTime,
		Labels:     k.Labels,
		Base:       base,
		Binaries:   binaries,
		WorkDir:    b.work,
	}
	if b.cache != nil {
		out.Store = b.cache
	}
	return out
}

// base is the component's base image: embedded, none, or pulled from its registry by digest.
func (b builder) base(ctx context.Context, name string, k config.Component) (image.Base, error) {
	switch k.Base {
	case "", "static":
		return b.static, nil
	case "scratch":
		return image.Scratch(), nil
	}
	repository, hash, _ := strings.Cut(k.Base, "@")
	if at := strings.LastIndex(repository, ":"); at > strings.LastIndex(repository, "/") {
		repository = repository[:at] // a tag beside the digest is only for people
	}
	d, err := digest.Parse(hash)
	if err != nil {
		return image.Base{}, b.pipeline.Config.Fault([]string{"components", name, "base"},
			"write NAME@sha256:…", "%q: %w", k.Base, err)
	}
	r, err := b.pipeline.client.Repository(repository)
	if err != nil {
		return image.Base{}, err
	}
	_, desc, err := r.Manifest(ctx, d.String())
	if err != nil {
		return image.Base{}, fmt.Errorf("base image of %s: %w", name, err)
	}
	return image.FromStorage(ctx, k.Base, r, desc)
}
