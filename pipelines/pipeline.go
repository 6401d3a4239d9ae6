package pipelines

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/Masterminds/semver/v3"

	"github.com/berth-sh/berth/pipelines/build"
	"github.com/berth-sh/berth/pipelines/config"
	"github.com/berth-sh/berth/pipelines/facts"
	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/plan"
	"github.com/berth-sh/berth/pipelines/registry"
	"github.com/berth-sh/berth/pipelines/report"
	"github.com/berth-sh/berth/pipelines/version"
)

// Options say where the project is and what the pipeline may use.
type Options struct {
	// Project is the folder with berth.yaml. Empty means the nearest folder, from Dir upwards, that has one.
	Project string
	// Config is the configuration file. Empty means berth.yaml in the project.
	Config string
	// Repo is a folder of the git repository. Empty means the one that holds the project.
	Repo string
	// Outputs are files and folders that the run reads or writes and that are no part of the sources, such as an OCI
	// layout or a saved plan. They do not make the work tree dirty.
	Outputs []string
	// Absent are patterns of .dockerignore, relative to the repository's root, of what this copy of it was made without.
	Absent []string
	// Dir is the working directory, from which relative paths start.
	Dir string
	// Lookup reads the environment.
	Lookup config.Lookup
	// HasSecret tells variables of secrets that Lookup does not read, as the builder of Dockerfiles has them in another
	// way; nil is none.
	HasSecret func(variable string) bool
	// Environ is the environment for the programs that a build runs, as in [os.Environ].
	Environ []string
	// Toolchain builds Go components; nil is the go command in PATH.
	Toolchain Toolchain
	// Cache is a folder for binaries and layers that were made before, which is made when it is missing; empty keeps none.
	Cache string
	// Dockerfiles are builders of Dockerfiles; the first that is ready is used. None refuses such components.
	Dockerfiles []DockerfileBuilder
	// Registry says how registries are reached.
	Registry registry.Options
	// Executable is the file of the running program, near which berth-helm is looked for; empty when it is not known.
	Executable string
	// Helm gives the file of berth-helm when a chart needs it; nil looks for it.
	Helm func(ctx context.Context) (string, error)
	// Now is the clock. It is used for progress, git commits, time-outs and the age of what is in the cache, never for
	// anything that is hashed.
	Now func() time.Time
	// Progress is told each finished step; nil is silent.
	Progress report.Progress
	// Warn is told what a person should know although the run goes on; nil drops it.
	Warn func(string)
}

// Pipeline is a project that was opened: its configuration is valid and its git repository was found.
type Pipeline struct {
	// Config is the project's berth.yaml.
	Config *config.Config
	// Project is the absolute path of the project's folder.
	Project string

	options    Options
	configFile string // absolute
	repository *facts.Repository
	client     *registry.Client
	// repositories creates those that a registry wants before the first push; nil creates none.
	repositories Repositories
	state        *state
}

// state is what git says of the commit, read once a run.
type state struct {
	facts facts.Facts
	base  *semver.Version
}

// Open reads the configuration and finds the repository.
func Open(o Options) (*Pipeline, error) {
	file, project, err := locate(o)
	if err != nil {
		return nil, err
	}
	c, err := config.Load(file, o.Lookup)
	if err != nil {
		return nil, err
	}
	if err := version.CheckRules(c); err != nil {
		return nil, err
	}
	from := project
	if o.Repo != "" {
		from = abs(o.Dir, o.Repo)
	}
	r, err := facts.Open(from, repositoryOptions(o)...)
	if err != nil {
		return nil, err
	}
	if rel, err := filepath.Rel(resolved(r.Root()), resolved(project)); err != nil || strings.HasPrefix(rel, "..") {
		return nil, fault.New(fault.Usage, project, "name the repository that holds it with --repo",
			"the project is not in the git repository %s", r.Root())
	}
	return &Pipeline{
		Config: c, Project: resolved(project), options: o, configFile: resolved(file),
		repository: r, client: registry.NewClient(configured(c, resolved(project), o.Registry)),
	}, nil
}

// repositoryOptions hand on what the pipeline was given; what it was not is that of the process.
func repositoryOptions(o Options) []facts.Option {
	var out []facts.Option
	if o.Now != nil {
		out = append(out, facts.WithClock(o.Now))
	}
	if o.Environ != nil {
		out = append(out, facts.WithEnviron(o.Environ))
	}
	return out
}

// Reach says how registries are reached from now on, for callers whose credentials or sandbox depend on the project.
func (p *Pipeline) Reach(o registry.Options) {
	p.client = registry.NewClient(configured(p.Config, p.Project, o))
}

// Configured fills in what the configuration says about hosts: which are reached without TLS, whose certificates have
// an authority of their own, and of which kind they are.
func (p *Pipeline) Configured(o registry.Options) registry.Options {
	return configured(p.Config, p.Project, o)
}

func configured(c *config.Config, project string, o registry.Options) registry.Options {
	at := func(host string) (found config.Registry) {
		for _, name := range slices.Sorted(maps.Keys(c.Registries)) {
			r := c.Registries[name]
			if r.Host() != host {
				continue
			}
			found.Insecure = found.Insecure || r.Insecure
			if r.CA != "" {
				found.CA = abs(project, filepath.FromSlash(r.CA))
			}
		}
		return found
	}
	o.Kind = func(host string) registry.Kind { return kindIn(c, host) }
	o.Insecure = func(host string) bool { return at(host).Insecure }
	o.CA = func(host string) string { return at(host).CA }
	return o
}

// locate finds the configuration and the project's folder.
func locate(o Options) (file, project string, err error) {
	switch {
	case o.Project != "":
		project = abs(o.Dir, o.Project)
		if info, err := os.Stat(project); err != nil || !info.IsDir() {
			return "", "", fault.New(fault.Usage, "--project "+o.Project,
				"name the folder that holds berth.yaml", "there is no such folder")
		}
	case o.Config != "":
		project = filepath.Dir(abs(o.Dir, o.Config))
	default:
		project = nearest(abs(o.Dir, "."))
	}
	if o.Config != "" {
		return abs(o.Dir, o.Config), project, nil
	}
	return filepath.Join(project, config.FileName), project, nil
}

// nearest is the first folder from dir upwards that has a configuration, or dir when none has. It does not look beyond
// the git repository that dir is in.
func nearest(dir string) string {
	for at := dir; ; at = filepath.Dir(at) {
		if exists(filepath.Join(at, config.FileName)) {
			return at
		}
		if exists(filepath.Join(at, ".git")) || at == filepath.Dir(at) {
			return dir
		}
	}
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return !errors.Is(err, fs.ErrNotExist)
}

func abs(dir, name string) string {
	if filepath.IsAbs(name) {
		return filepath.Clean(name)
	}
	return filepath.Join(dir, name)
}

func resolved(name string) string {
	if r, err := filepath.EvalSymlinks(name); err == nil {
		return r
	}
	return name
}

// read collects the facts and the version once.
func (p *Pipeline) read(ctx context.Context) (state, error) {
	if p.state != nil {
		return *p.state, nil
	}
	inputs, modules := p.inputs()
	f, err := p.repository.Facts(ctx, facts.Options{
		Lookup:     p.options.Lookup,
		Inputs:     inputs,
		Modules:    modules,
		Outputs:    p.outputs(),
		Absent:     p.options.Absent,
		TagPattern: version.GitTagGlob(p.Config.Version.GitTag),
	})
	if err != nil {
		return state{}, err
	}
	base, err := p.baseVersion(ctx, f)
	if err != nil {
		return state{}, err
	}
	p.state = &state{facts: f, base: base}
	return *p.state, nil
}

// inputs lists what decides about the images, relative to the repository: the folders that components are built from,
// the configuration and the version files. modules are the Go modules around those folders.
func (p *Pipeline) inputs() (inputs, modules []string) {
	add := func(to *[]string, file string) {
		rel, err := filepath.Rel(resolved(p.repository.Root()), file)
		if in := filepath.ToSlash(rel); err == nil && filepath.IsLocal(rel) && !slices.Contains(*to, in) {
			*to = append(*to, in)
		}
	}
	add(&inputs, p.configFile)
	if p.Config.Version.File != config.VersionFromGit {
		add(&inputs, filepath.Join(p.Project, filepath.FromSlash(p.Config.Version.File)))
	}
	for _, name := range p.Config.ComponentNames() {
		k := p.Config.Components[name]
		if d := k.Dockerfile; d != nil {
			add(&inputs, resolved(abs(p.Project, filepath.FromSlash(d.Context))))
			if d.File != "" {
				add(&inputs, resolved(abs(p.Project, filepath.FromSlash(d.File))))
			}
			continue
		}
		dir := filepath.Join(p.Project, filepath.FromSlash(k.Go.Dir))
		add(&inputs, dir)
		for _, folder := range build.Sources(dir, resolved(p.repository.Root())) {
			add(&modules, folder)
		}
	}
	return inputs, modules
}

// outputs are the files and folders of the run that lie in the repository, relative to it.
func (p *Pipeline) outputs() []string {
	var files []string
	for _, name := range p.options.Outputs {
		files = append(files, abs(p.options.Dir, name))
	}
	if kind, err := p.Config.CacheKind(); err == nil && kind == config.CacheFolder {
		files = append(files, p.cacheFolder())
	}
	var out []string
	for _, file := range files {
		// What does not exist yet has no links to resolve, but its folder has.
		file = filepath.Join(resolved(filepath.Dir(file)), filepath.Base(file))
		if rel, err := filepath.Rel(resolved(p.repository.Root()), file); err == nil && filepath.IsLocal(rel) && rel != "." {
			out = append(out, filepath.ToSlash(rel))
		}
	}
	return out
}

// Facts returns what git and the environment say of the commit.
func (p *Pipeline) Facts(ctx context.Context) (facts.Facts, error) {
	s, err := p.read(ctx)
	return s.facts, err
}

// Version returns the base version of the commit.
func (p *Pipeline) Version(ctx context.Context) (*semver.Version, error) {
	s, err := p.read(ctx)
	return s.base, err
}

// Choose picks the environment and registry of the git ref, or of the environment named.
func (p *Pipeline) Choose(ctx context.Context, environment string) (plan.Choice, error) {
	if p.state != nil {
		return plan.Choose(p.Config, p.state.facts, environment)
	}
	// The version is not needed to choose, so that a broken version file does not hide the answer.
	f, err := p.repository.Facts(ctx, facts.Options{
		Lookup: p.options.Lookup, TagPattern: version.GitTagGlob(p.Config.Version.GitTag),
	})
	if err != nil {
		return plan.Choice{}, err
	}
	return plan.Choose(p.Config, f, environment)
}

// Tags computes the tags of the commit.
func (p *Pipeline) Tags(ctx context.Context, environment string) ([]version.Tag, error) {
	s, err := p.read(ctx)
	if err != nil {
		return nil, err
	}
	return plan.Tags(p.Config, s.facts, s.base, environment)
}

// Plan decides what a publish would do, without asking a registry.
func (p *Pipeline) Plan(ctx context.Context, r plan.Request) (plan.Plan, error) {
	s, err := p.read(ctx)
	if err != nil {
		return plan.Plan{}, err
	}
	pl, err := plan.Make(p.Config, s.facts, s.base, r)
	if err != nil {
		return plan.Plan{}, err
	}
	refused, err := p.refusedBases(r.Components)
	if err != nil {
		return plan.Plan{}, err
	}
	pl.Refusals = append(pl.Refusals, refused...)
	return pl, nil
}

// Lookup reads the environment that the project was opened with.
func (p *Pipeline) Lookup(name string) (string, bool) { return p.options.Lookup(name) }

func (p *Pipeline) warn(text string) {
	if p.options.Warn != nil {
		p.options.Warn(text)
	}
}
