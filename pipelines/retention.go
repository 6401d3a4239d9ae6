package pipelines

import (
	"context"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/berth-sh/berth/pipelines/config"
	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/guard"
	"github.com/berth-sh/berth/pipelines/plan"
	"github.com/berth-sh/berth/pipelines/registry"
	"github.com/berth-sh/berth/pipelines/retention"
)

// repositoriesAtOnce bounds how many repositories are looked at together.
const repositoriesAtOnce = 4

// RetentionRequest says whose tags are judged.
type RetentionRequest struct {
	// Environment by name.
	Environment string
	// Components by name; empty means all.
	Components []string
	// InUse never expires.
	InUse retention.InUse
	// OwnAPIs allows the registries' own interfaces (Quay's, GitHub's) where there is a token for them. Without, the
	// registry API alone is used, as a sandbox has no other.
	OwnAPIs bool
}

// Retention is what the rules of an environment do to its repositories.
type Retention struct {
	Environment  string           `json:"environment"`
	Registry     string           `json:"registry"`
	Repositories []retention.Plan `json:"repositories"`
}

// Retained is what became of it.
type Retained struct {
	Environment  string              `json:"environment"`
	Registry     string              `json:"registry"`
	Repositories []retention.Outcome `json:"repositories"`
}

// PlanRetention judges every tag of an environment's repositories. It changes nothing.
func (p *Pipeline) PlanRetention(ctx context.Context, r RetentionRequest) (Retention, error) {
	stores, err := p.stores(ctx, r)
	if err != nil {
		return Retention{}, err
	}
	out := Retention{
		Environment: r.Environment, Registry: p.Config.Environments[r.Environment].Registry,
		Repositories: make([]retention.Plan, len(stores)),
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(repositoriesAtOnce)
	for i, s := range stores {
		g.Go(func() (err error) {
			out.Repositories[i], err = p.judge(gctx, s, r)
			return err
		})
	}
	return out, g.Wait()
}

// ApplyRetention judges every tag again and deletes what has served its time. One repository after the other, so that a
// run that breaks off has finished those that it tells of.
func (p *Pipeline) ApplyRetention(ctx context.Context, r RetentionRequest) (Retained, error) {
	out := Retained{Environment: r.Environment, Repositories: []retention.Outcome{}}
	stores, err := p.stores(ctx, r)
	if err != nil {
		return out, err
	}
	out.Registry = p.Config.Environments[r.Environment].Registry
	if err := p.mayDelete(ctx, r.Environment, stores[0].repository); err != nil {
		return out, err
	}
	for _, s := range stores {
		judged, err := p.judge(ctx, s, r)
		if err != nil {
			return out, err
		}
		done, err := retention.Apply(ctx, judged, s.repository, s.remover)
		out.Repositories = append(out.Repositories, done)
		if err != nil {
			return out, err
		}
	}
	return out, nil
}

func (p *Pipeline) judge(ctx context.Context, s store, r RetentionRequest) (retention.Plan, error) {
	policy := retention.PolicyOf(p.Config, r.Environment)
	held, err := retention.Observe(ctx, s.repository.String(), s.kind, s.repository, s.lister, policy, r.InUse)
	if err != nil {
		return retention.Plan{}, err
	}
	return retention.Decide(held, policy, r.InUse, p.options.Now()), nil
}

// RenderRetention writes the rules of an environment as the policy of its registry.
func (p *Pipeline) RenderRetention(environment string) (retention.Rendered, error) {
	e, err := p.environment(environment)
	if err != nil {
		return retention.Rendered{}, err
	}
	return retention.Render(retention.PolicyOf(p.Config, environment), p.Config.Registries[e.Registry].RegistryKind())
}

func (p *Pipeline) environment(name string) (config.Environment, error) {
	e, ok := p.Config.Environments[name]
	if !ok {
		return e, fault.New(fault.Usage, "--env "+name,
			"known environments: "+strings.Join(p.Config.EnvironmentNames(), ", "), "there is no environment %q", name)
	}
	return e, nil
}

// mayDelete holds the list of accounts that may write to the environment: to delete is to write.
func (p *Pipeline) mayDelete(ctx context.Context, environment string, s *registry.Repository) error {
	writers := p.Config.WritersOf(environment)
	if len(writers) == 0 {
		return nil
	}
	account, err := s.Account(ctx)
	if err != nil {
		return err
	}
	return guard.Writers(environment, writers, account)
}

// store is one repository with the ways to list it and to delete from it.
type store struct {
	repository *registry.Repository
	kind       registry.Kind
	lister     retention.Lister // nil where the registry API is all there is
	remover    retention.Remover
}

// stores opens the repositories of an environment's components.
func (p *Pipeline) stores(ctx context.Context, r RetentionRequest) ([]store, error) {
	e, err := p.environment(r.Environment)
	if err != nil {
		return nil, err
	}
	if err := p.Config.RequireSet("registries", e.Registry); err != nil {
		return nil, err
	}
	names, err := plan.Components(p.Config, r.Components)
	if err != nil {
		return nil, err
	}
	var out []store
	for _, name := range names {
		repository, err := p.client.Repository(p.Config.FullRepositoryOf(r.Environment, name))
		if err != nil {
			return nil, err
		}
		s := store{
			repository: repository, kind: p.Config.Registries[e.Registry].RegistryKind(),
			remover: retention.Distribution{Repository: repository},
		}
		if r.OwnAPIs || s.kind == registry.ECR { // the sandbox has AWS's API
			if err := p.ownAPI(ctx, &s); err != nil {
				return nil, err
			}
		}
		out = append(out, s)
	}
	return out, nil
}
