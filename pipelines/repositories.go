package pipelines

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"

	"github.com/berth-sh/berth/pipelines/cloud"
	"github.com/berth-sh/berth/pipelines/plan"
	"github.com/berth-sh/berth/pipelines/publish"
	"github.com/berth-sh/berth/pipelines/registry"
	"github.com/berth-sh/berth/pipelines/sandbox"
)

// Repositories looks after the repositories of registries that want them to be created before the first push.
type Repositories interface {
	// Missing returns those that do not exist.
	Missing(ctx context.Context, repositories []string) ([]string, error)
	// Create creates one; one that exists by now stays as it is.
	Create(ctx context.Context, repository string, s registry.RepositorySettings) error
	// Describe returns the settings of one.
	Describe(ctx context.Context, repository string) (registry.RepositorySettings, error)
}

// Manage says who creates repositories from now on, and tells about their settings.
func (p *Pipeline) Manage(r Repositories) { p.repositories = r }

// SandboxRepositories looks after the repositories of embedded registries, through the API of AWS.
func SandboxRepositories(box *sandbox.Sandbox) Repositories {
	return cloud.NewECR(cloud.Options{
		Transport: box.Transport(), Key: &cloud.Key{ID: sandbox.Username, Secret: sandbox.Password},
	})
}

// creates tells whether the configuration wants the repositories of a host created.
func (p *Pipeline) creates(host string) bool {
	for name, r := range p.Config.Registries {
		if r.Host() == host && plan.Repositories(p.Config, name) != nil {
			return true
		}
	}
	return false
}

// missing are the repositories of a plan that have to be created, as far as anybody can tell.
type missing struct {
	repositories Repositories
	settings     *registry.RepositorySettings
	all          []string
	warn         func(string)
	created      func(string)

	mu    sync.Mutex
	names []string
}

// missingRepositories watches over the repositories of a plan. r may be nil.
func (p *Pipeline) missingRepositories(pl plan.Plan, r Repositories) *missing {
	m := p.newMissing(pl.Repositories, r)
	for _, x := range pl.Images {
		m.all = append(m.all, x.Repository)
	}
	return m
}

func (p *Pipeline) newMissing(settings *registry.RepositorySettings, r Repositories) *missing {
	return &missing{repositories: r, settings: settings, warn: p.warn, created: func(name string) {
		p.options.Progress.Emit("create", name, "the repository was missing")
	}}
}

// createMissing creates those of a registry's repositories that do not exist, where berth.yaml wants that. It comes
// right before the first byte, when nothing can be refused any more.
func (p *Pipeline) createMissing(ctx context.Context, r Repositories, name string, repositories []string) error {
	m := p.newMissing(plan.Repositories(p.Config, name), r)
	m.all = repositories
	if err := m.look(ctx); err != nil {
		return err
	}
	for _, r := range repositories {
		if err := m.ensure(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

// look finds out which repositories are missing. Whoever cannot ask, because only a password for the registry is at
// hand, may still push to those that exist.
func (m *missing) look(ctx context.Context) error {
	if m.settings == nil {
		return nil
	}
	if m.repositories == nil {
		m.warn("createRepositories: nobody here can create repositories, so that they must exist")
		return nil
	}
	names, err := m.repositories.Missing(ctx, m.all)
	if errors.Is(err, cloud.ErrNoCredentials) {
		m.warn(fmt.Sprintf("createRepositories: %v; repositories must exist", err))
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.names = names
	return err
}

// ensure creates a repository when it is missing.
func (m *missing) ensure(ctx context.Context, repository string) error {
	m.mu.Lock()
	wanted := slices.Contains(m.names, repository)
	m.mu.Unlock()
	if !wanted {
		return nil
	}
	if err := m.repositories.Create(ctx, repository, *m.settings); err != nil {
		return err
	}
	m.mu.Lock()
	m.names = slices.DeleteFunc(m.names, func(n string) bool { return n == repository })
	m.mu.Unlock()
	m.created(repository)
	return nil
}

// creating creates a repository before the first push to it: after everything that could refuse the plan.
type creating struct {
	*registry.Repository
	missing *missing
}

var _ publish.Target = creating{}

// Push implements [publish.Target].
func (c creating) Push(
	ctx context.Context, src content.ReadOnlyStorage, root ocispec.Descriptor, o registry.PushOptions,
) (registry.Uploaded, error) {
	if err := c.missing.ensure(ctx, c.String()); err != nil {
		return registry.Uploaded{}, err
	}
	return c.Repository.Push(ctx, src, root, o)
}
