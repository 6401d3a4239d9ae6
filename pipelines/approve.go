package pipelines

import (
	"context"
	"errors"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"

	"github.com/berth-sh/berth/pipelines/approve"
	"github.com/berth-sh/berth/pipelines/attest"
	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/plan"
	"github.com/berth-sh/berth/pipelines/promote"
	"github.com/berth-sh/berth/pipelines/registry"
)

// ApproveRequest says which images are approved, and as what.
type ApproveRequest struct {
	// Request picks the images as a promotion does.
	promote.Request
	// Digest picks the images with this digest instead; "" does not.
	Digest string
	approve.Approval
	// Revoke takes approvals back.
	Revoke bool
}

// Approve approves images for an environment, or takes approvals back.
func (p *Pipeline) Approve(ctx context.Context, r ApproveRequest) (approve.Receipt, error) {
	rules, err := p.rules(r.To)
	if err != nil {
		return approve.Receipt{}, err
	}
	// Who may not approve learns that before any registry is asked.
	if _, _, err := rules.Speaker(r.Signer.PublicKey(), r.Role); err != nil {
		return approve.Receipt{}, err
	}
	promoter, sources, err := p.sources(ctx, r.Request, r.Digest)
	if err != nil {
		return approve.Receipt{}, err
	}
	if !r.Revoke {
		if rules.Chart, err = promoter.ChartOf(ctx, r.To, sources); err != nil {
			return approve.Receipt{}, err
		}
	}
	do := rules.Give
	if r.Revoke {
		do = rules.Revoke
	}
	out := approve.Receipt{From: rules.From, To: rules.To, Images: make([]approve.Given, len(sources))}
	g, gctx := errgroup.WithContext(ctx)
	for i, s := range sources {
		g.Go(func() error {
			x := imageOf(s)
			var err error
			if x.Also, err = p.promoted(gctx, s, r); err != nil {
				return err
			}
			out.Images[i], err = do(gctx, s.Repository, x, r.Approval, p.options.Now())
			if err == nil {
				p.options.Progress.Emit("approve", s.Component, string(out.Images[i].Action))
			}
			return err
		})
	}
	return out, g.Wait()
}

// promoted is the target's repository, when the image is there already: verify asks there.
func (p *Pipeline) promoted(ctx context.Context, s promote.Source, r ApproveRequest) ([]attest.Repository, error) {
	full := p.Config.FullRepositoryOf(r.To, s.Component)
	if full == s.Repository.String() {
		return nil, nil
	}
	target, err := p.client.Repository(full)
	if err != nil {
		return nil, err
	}
	_, err = target.Resolve(ctx, s.Descriptor.Digest.String())
	switch {
	case err == nil:
		return []attest.Repository{target}, nil
	case errors.Is(err, registry.ErrNotFound):
		return nil, nil
	case !r.Revoke && fault.CodeOf(err) == fault.Credentials:
		return nil, nil // who approves needs no right at the target
	default:
		return nil, err
	}
}

// Approvals lists what the approvals of images are worth. Without an environment, all that take promotions are asked
// about, as far as there are images for them.
func (p *Pipeline) Approvals(ctx context.Context, r promote.Request, digest string) (approve.List, error) {
	out := approve.List{Images: []approve.Listed{}}
	targets := []string{r.To}
	if r.To == "" {
		targets = nil
		for _, name := range p.Config.EnvironmentNames() {
			if p.Config.Environments[name].Promote != nil {
				targets = append(targets, name)
			}
		}
	}
	for _, to := range targets {
		one := r
		one.To = to
		listed, err := p.approvalsFor(ctx, one, digest)
		if err != nil && (r.To != "" || fault.CodeOf(err) != fault.Refused) {
			return out, err
		}
		out.Images = append(out.Images, listed...)
	}
	if len(out.Images) == 0 {
		return out, fault.New(fault.Refused, "approvals", "publish first: berth publish, or name an environment: --to ENV",
			"there is no image that could be promoted")
	}
	return out, nil
}

func (p *Pipeline) approvalsFor(ctx context.Context, r promote.Request, digest string) ([]approve.Listed, error) {
	rules, err := p.rules(r.To)
	if err != nil {
		return nil, err
	}
	promoter, sources, err := p.sources(ctx, r, digest)
	if err != nil {
		return nil, err
	}
	// A chart that is missing is the promotion's to refuse.
	if rules.Chart, err = promoter.ChartOf(ctx, r.To, sources); err != nil && fault.CodeOf(err) != fault.Refused {
		return nil, err
	}
	out := make([]approve.Listed, len(sources))
	g, gctx := errgroup.WithContext(ctx)
	for i, s := range sources {
		g.Go(func() error {
			of := rules
			of.Component = s.Component
			verdict, err := approve.Check(gctx, of, s.Repository, s.Descriptor.Digest, nil, p.options.Now())
			x := imageOf(s)
			out[i] = approve.Listed{
				Component: x.Component, Repository: x.Repository, Digest: x.Descriptor.Digest.String(),
				Version: x.Version, Commit: x.Commit, From: rules.From, To: rules.To, Verdict: verdict,
			}
			return err
		})
	}
	return out, g.Wait()
}

// rules are those of promotions to an environment, with the keys of berth.yaml.
func (p *Pipeline) rules(to string) (approve.Rules, error) {
	keys, err := p.keyring()
	if err != nil {
		return approve.Rules{}, err
	}
	return approve.RulesFor(p.Config, keys, to)
}

// sources finds the images that a promotion would take, with what would promote them.
func (p *Pipeline) sources(
	ctx context.Context, r promote.Request, d string,
) (*promote.Promoter, []promote.Source, error) {
	promoter, err := p.promoter(ctx, p.client, PromoteRequest{Request: r})
	if err != nil {
		return nil, nil, err
	}
	if d != "" {
		if r.From, err = p.withDigest(ctx, r, d); err != nil {
			return nil, nil, err
		}
	}
	out, err := promoter.Sources(ctx, r)
	return promoter, out, err
}

// withDigest names the images of the source environment that have a digest.
func (p *Pipeline) withDigest(ctx context.Context, r promote.Request, d string) ([]string, error) {
	if err := digest.Digest(d).Validate(); err != nil {
		return nil, fault.New(fault.Usage, "--digest "+d, "write the whole digest, sha256:…", "it is no digest: %w", err)
	}
	from := p.Config.Environments[r.To].Promote.From
	if err := p.Config.RequireSet("registries", p.Config.Environments[from].Registry); err != nil {
		return nil, err
	}
	names, err := plan.Components(p.Config, r.Components)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, name := range names {
		full := p.Config.FullRepositoryOf(from, name)
		repository, err := p.client.Repository(full)
		if err != nil {
			return nil, err
		}
		_, err = repository.Resolve(ctx, d)
		switch {
		case err == nil:
			out = append(out, full+"@"+d)
		case !errors.Is(err, registry.ErrNotFound):
			return nil, err
		}
	}
	if len(out) == 0 {
		return nil, fault.New(fault.Refused, d, "look what is where: berth status",
			"no component has an image of this digest in environment %s", p.Config.Environments[r.To].Promote.From)
	}
	return out, nil
}

func imageOf(s promote.Source) approve.Image {
	x := approve.Image{
		Component: s.Component, Repository: s.Repository.String(), Descriptor: s.Descriptor, Commit: s.Said.Revision,
	}
	if s.Said.Version != nil {
		x.Version = s.Said.Version.String()
	}
	return x
}
