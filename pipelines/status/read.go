package status

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/Masterminds/semver/v3"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/berth-sh/berth/pipelines/config"
	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/guard"
	"github.com/berth-sh/berth/pipelines/plan"
	"github.com/berth-sh/berth/pipelines/registry"
	"github.com/berth-sh/berth/pipelines/version"
)

// Repository is one repository of a registry.
type Repository interface {
	// Tags lists every tag. Its error wraps registry.ErrNotFound when there is no such repository.
	Tags(ctx context.Context) ([]string, error)
	// Manifest reads a manifest or index.
	Manifest(ctx context.Context, ref string) ([]byte, ocispec.Descriptor, error)
}

// Reader reads boards.
type Reader struct {
	Config *config.Config
	// Open returns the repository of a full name.
	Open func(repository string) (Repository, error)
	// Head is the commit that is checked out.
	Head string
	// Distance counts the commits between two; known is false when git cannot tell.
	Distance func(ctx context.Context, commit, other string) (ahead, behind int, known bool, err error)
	Now      func() time.Time
}

// Request says what the board shows.
type Request struct {
	// Environments by name; empty means all whose registries can be named.
	Environments []string
	// Components by name; empty means all.
	Components []string
}

// Read asks the registries.
func (r Reader) Read(ctx context.Context, q Request) (Board, error) {
	environments, err := r.environments(q.Environments)
	if err != nil {
		return Board{}, err
	}
	components, err := plan.Components(r.Config, q.Components)
	if err != nil {
		return Board{}, err
	}
	b := Board{
		Project: r.Config.Project, At: r.Now().UTC().Truncate(time.Second), Environments: environments, Components: []Row{},
	}
	lists := &tagLists{reader: r, known: map[string]func() ([]string, error){}}
	g, gctx := errgroup.WithContext(ctx)
	for _, name := range components {
		row := Row{Component: name, Images: make([]Cell, len(environments))}
		b.Components = append(b.Components, row)
		for i, environment := range environments {
			g.Go(func() (err error) {
				row.Images[i], err = r.cell(gctx, lists, environment, name)
				return err
			})
		}
	}
	if err := g.Wait(); err != nil {
		return Board{}, err
	}
	b.markDrift()
	return b, r.measure(ctx, b)
}

// environments puts those asked for in the order in which images come to them. Without any asked for, those are left
// out whose registry needs a variable that is not set.
func (r Reader) environments(asked []string) ([]string, error) {
	for _, name := range asked {
		if _, ok := r.Config.Environments[name]; !ok {
			return nil, fault.New(fault.Usage, "--env "+name, "known environments: "+
				fmt.Sprint(r.Config.EnvironmentNames()), "there is no environment %q", name)
		}
		if err := r.requireSet(name); err != nil {
			return nil, err
		}
	}
	var out []string
	var add func(name string)
	add = func(name string) {
		if promote := r.Config.Environments[name].Promote; promote != nil {
			add(promote.From)
		}
		wanted := slices.Contains(asked, name) || len(asked) == 0 && r.requireSet(name) == nil
		if wanted && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	for _, name := range r.Config.EnvironmentNames() {
		add(name)
	}
	return out, nil
}

func (r Reader) requireSet(environment string) error {
	return plan.RequireSet(r.Config, plan.Choice{
		Environment: environment, Registry: r.Config.Environments[environment].Registry,
	})
}

// cell finds the image of a component in an environment: the one that its floating tag without a version names, such as
// latest, else the highest of its versions.
func (r Reader) cell(ctx context.Context, lists *tagLists, environment, component string) (Cell, error) {
	c := Cell{
		Environment: environment, Repository: r.Config.FullRepositoryOf(environment, component), Drift: []string{},
	}
	tags, err := lists.of(ctx, c.Repository)
	if err != nil {
		return c, err
	}
	names, err := r.names(environment, tags)
	if err != nil {
		return c, err
	}
	if c.Tag = names.current(); c.Tag == "" {
		return c, nil
	}
	repository, err := r.Open(c.Repository)
	if err != nil {
		return c, err
	}
	raw, desc, err := repository.Manifest(ctx, c.Tag)
	if errors.Is(err, registry.ErrNotFound) {
		c.Tag = ""
		return c, nil // deleted meanwhile
	}
	if err != nil {
		return c, err
	}
	said := guard.Read(raw)
	c.Digest, c.Commit = desc.Digest.String(), said.Revision
	if !said.Created.IsZero() {
		created := said.Created.UTC()
		c.Created = &created
	}
	if said.Version != nil {
		c.Version = said.Version.String()
	}
	if said.Version != nil && names.highest != nil && names.highest.GreaterThan(said.Version) {
		c.Drift = append(c.Drift, fmt.Sprintf("%s is released, but %s names %s", names.highest, c.Tag, c.Version))
	}
	return c, nil
}

// names are the tags of an environment that tell what is current.
type names struct {
	floating string // a tag such as latest
	commit   string // that of the commit which is checked out
	// newest is the tag of the highest version, and of its candidates the last one.
	newest  string
	version *semver.Version
	n       int
	highest *semver.Version // release
}

func (n names) current() string { return cmp.Or(n.floating, n.newest, n.commit) }

// names finds an environment's own tags among those of a repository.
func (r Reader) names(environment string, tags []string) (names, error) {
	var out names
	for _, text := range r.Config.TemplatesOf(environment) {
		t, err := version.ParseTemplate(text)
		if err != nil {
			return out, err
		}
		switch {
		case t.Fixed():
			if out.floating == "" && slices.Contains(tags, text) {
				out.floating = text
			}
		case t.NamesRelease(), t.Counts():
			for _, tag := range tags {
				if v, n, ok := t.Parse(tag, environment); ok && v != nil {
					out.add(tag, v, n)
				}
			}
		case t.Names("sha", "commit") && !t.Names("branch", "tag", "timestamp", "date", "version"):
			tag, err := t.Render(version.Fields{Commit: r.Head, Env: environment})
			if err == nil && slices.Contains(tags, tag) {
				out.commit = tag
			}
		}
	}
	return out, nil
}

// add takes a tag of a version. Pre-releases are no releases.
func (n *names) add(tag string, v *semver.Version, number int) {
	if n.version == nil || v.GreaterThan(n.version) || v.Equal(n.version) && number > n.n {
		n.newest, n.version, n.n = tag, v, number
	}
	if number == 0 && v.Prerelease() == "" && (n.highest == nil || v.GreaterThan(n.highest)) {
		n.highest = v
	}
}

// measure counts the commits between each image and that of the environment it comes from, and of the first environment
// to what is checked out.
func (r Reader) measure(ctx context.Context, b Board) error {
	known := map[[2]string]*Distance{}
	for _, row := range b.Components {
		for i := range row.Images {
			c := &row.Images[i]
			from, commit := "HEAD", r.Head
			if promote := r.Config.Environments[c.Environment].Promote; promote != nil {
				k := slices.IndexFunc(row.Images, func(x Cell) bool { return x.Environment == promote.From })
				if k < 0 || row.Images[k].Commit == "" {
					continue
				}
				from, commit = promote.From, row.Images[k].Commit
			}
			if c.Commit == "" {
				continue
			}
			pair := [2]string{c.Commit, commit}
			if _, ok := known[pair]; !ok {
				ahead, behind, told, err := r.Distance(ctx, c.Commit, commit)
				if err != nil {
					return err
				}
				if known[pair] = nil; told {
					known[pair] = &Distance{Ahead: ahead, Behind: behind}
				}
			}
			if d := known[pair]; d != nil {
				c.Distance = &Distance{From: from, Ahead: d.Ahead, Behind: d.Behind}
			}
		}
	}
	return nil
}

// tagLists asks for the tags of each repository once, because environments may share them.
type tagLists struct {
	reader Reader
	mu     sync.Mutex
	known  map[string]func() ([]string, error)
}

func (l *tagLists) of(ctx context.Context, repository string) ([]string, error) {
	l.mu.Lock()
	ask, ok := l.known[repository]
	if !ok {
		ask = sync.OnceValues(func() ([]string, error) {
			r, err := l.reader.Open(repository)
			if err != nil {
				return nil, err
			}
			tags, err := r.Tags(ctx)
			if errors.Is(err, registry.ErrNotFound) {
				return nil, nil
			}
			return tags, err
		})
		l.known[repository] = ask
	}
	l.mu.Unlock()
	return ask()
}
