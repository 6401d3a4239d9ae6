package pipelines

import (
	"context"
	"os"
	"path/filepath"

	"github.com/Masterminds/semver/v3"

	"github.com/berth-sh/berth/pipelines/approve"
	"github.com/berth-sh/berth/pipelines/attest"
	"github.com/berth-sh/berth/pipelines/promote"
	"github.com/berth-sh/berth/pipelines/registry"
	"github.com/berth-sh/berth/pipelines/version"
)

// PromoteRequest says what to promote.
type PromoteRequest struct {
	promote.Request
	// Plan is a saved plan that is to be carried out exactly; nil plans anew. PlanName names it in messages.
	Plan     *promote.Plan
	PlanName string
	// Signer signs the records; nil leaves them unsigned.
	Signer *attest.Signer
	// CIApprovals are the roles for which the protected environment of this run's CI stands.
	CIApprovals []string
}

// PromotePlan looks at both environments and decides what a promotion or rollback would do.
func (p *Pipeline) PromotePlan(ctx context.Context, r PromoteRequest) (promote.Plan, error) {
	_, work, err := p.preparePromotion(ctx, r)
	if err != nil {
		return promote.Plan{}, err
	}
	return work.Plan, nil
}

// Promote brings images from one environment to another, or rolls an environment back.
func (p *Pipeline) Promote(ctx context.Context, r PromoteRequest) (promote.Receipt, error) {
	if err := p.maySign(r); err != nil {
		return promote.Receipt{}, err
	}
	promoter, work, err := p.preparePromotion(ctx, r)
	if err != nil {
		return promote.Receipt{}, err
	}
	return p.applyPromotion(ctx, promoter, work, p.repositories)
}

// applyPromotion creates the target's repositories that are missing, where berth.yaml wants that, and promotes.
func (p *Pipeline) applyPromotion(
	ctx context.Context, promoter *promote.Promoter, work *promote.Work, r Repositories,
) (promote.Receipt, error) {
	if err := work.Plan.Err(); err != nil {
		return promote.Receipt{}, err
	}
	var targets []string
	for _, x := range work.Plan.Images {
		targets = append(targets, x.Repository)
	}
	if c := work.Plan.Chart; c != nil {
		targets = append(targets, c.Repository)
	}
	if err := p.createMissing(ctx, r, work.Plan.Registry, targets); err != nil {
		return promote.Receipt{}, err
	}
	return promoter.Apply(ctx, work)
}

func (p *Pipeline) preparePromotion(ctx context.Context, r PromoteRequest) (*promote.Promoter, *promote.Work, error) {
	promoter, err := p.promoter(ctx, p.client, r)
	if err != nil {
		return nil, nil, err
	}
	request := r.Request
	if r.Plan != nil {
		request = requestOf(*r.Plan)
	}
	work, err := promoter.Prepare(ctx, request)
	if err == nil && r.Plan != nil {
		err = work.Same(*r.Plan, "--plan "+r.PlanName)
	}
	return promoter, work, err
}

// requestOf is the request that a saved plan answers: its images, by digest where they were found without a tag.
func requestOf(pl promote.Plan) promote.Request {
	r := promote.Request{To: pl.Environment, Rollback: pl.Rollback}
	for _, x := range pl.Images {
		r.Components = append(r.Components, x.Component)
		if v, err := semver.StrictNewVersion(x.Version); err == nil && pl.Rollback {
			r.Version = v
		}
		switch {
		case pl.Rollback:
		case x.SourceTag == "":
			r.From = append(r.From, x.Source+"@"+x.Digest)
		default:
			r.From = append(r.From, x.Source+":"+x.SourceTag)
		}
	}
	return r
}

func (p *Pipeline) promoter(ctx context.Context, client *registry.Client, r PromoteRequest) (*promote.Promoter, error) {
	s, err := p.read(ctx)
	if err != nil {
		return nil, err
	}
	keys, err := p.keyring()
	if err != nil {
		return nil, err
	}
	run := p.run()
	ci, err := p.fromCI(keys, run, r)
	if err != nil {
		return nil, err
	}
	return promote.New(promote.Options{
		Config: p.Config,
		Checkout: promote.Checkout{
			Commit: s.facts.Commit, Version: s.base, Released: p.releasedCommit, Descends: p.repository.DescendsFrom,
		},
		Open: client.Repository,
		Approved: func(ctx context.Context, s promote.Subject) (approve.Verdict, error) {
			rules, err := approve.RulesFor(p.Config, keys, s.To)
			if err != nil {
				return approve.Verdict{}, err
			}
			rules.Component, rules.Chart = s.Component, s.Chart
			return approve.Check(ctx, rules, s.Repository, s.Digest, ci, p.options.Now())
		},
		Chart: p.promotedChart(),
		Trusted: func(ctx context.Context, record attest.Document) bool {
			return keys.RecorderOf(ctx, record) != ""
		},
		Signer:   r.Signer,
		Run:      run,
		Now:      p.options.Now,
		Progress: p.options.Progress,
	}), nil
}

// releasedCommit is the commit that the git tag of a version names, "" when there is none.
func (p *Pipeline) releasedCommit(ctx context.Context, v *semver.Version) (string, error) {
	tags, err := p.repository.Tags(ctx)
	if err != nil {
		return "", err
	}
	name := version.GitTag(p.Config.Version.GitTag, v)
	for _, t := range tags {
		if t.Name == name {
			return t.Commit, nil
		}
	}
	return "", nil
}

// keyring reads the keys of berth.yaml.
func (p *Pipeline) keyring() (approve.Keyring, error) {
	return approve.LoadKeys(p.Config, func(name string) ([]byte, error) {
		return os.ReadFile(filepath.Join(p.Project, filepath.FromSlash(name)))
	})
}
