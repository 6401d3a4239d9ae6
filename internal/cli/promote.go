package cli

import (
	"errors"

	"github.com/Masterminds/semver/v3"
	"github.com/spf13/cobra"

	"github.com/berth-sh/berth/pipelines"
	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/promote"
	"github.com/berth-sh/berth/pipelines/version"
)

type promoteFlags struct {
	to, version, plan, planTo, key string
	from, components, ci           []string
	dryRun, rollback               bool
}

func promoteCommand(a *app) *cobra.Command {
	f := promoteFlags{}
	cmd := &cobra.Command{
		Use:   "promote --to ENV",
		Short: "Bring images from one environment to the next, by digest, with approvals and a record",
		Long: `Bring images from one environment to the next, by digest, with approvals and a record.

The source is the environment that promote.from names in berth.yaml: there, the image of the version or commit that is
checked out, of release candidates the highest. The very same bytes come to the target, with everything that is
attached to them. Both sides are looked at first; what the rules refuse changes nothing. All images are complete
at the target before the first tag is set. Running the same command again finishes what was interrupted.

--rollback moves the floating tags of an environment back to a version that was released there, with a record.`,
		Example: `  berth promote --to staging --dry-run
  berth promote --to staging
  berth promote --to production --version 1.4.0
  berth promote --to staging --from dev-1a2b3c4
  berth promote --to production --component web --from quay.io/acme/web:staging-v1.4.0-rc2
  berth promote --to production --plan-out plan.json --dry-run && berth promote --plan plan.json
  berth promote --to production --rollback --version 1.3.2`,
		Args: noArgs,
	}
	flags := cmd.Flags()
	flags.StringVar(&f.to, "to", "", "environment that the images come to")
	flags.StringVar(&f.version, "version", "", "version to promote or to roll back to; default: the one checked out")
	flags.StringSliceVar(&f.components, "component", nil, "component, repeatable; default: all")
	flags.StringSliceVar(&f.from, "from", nil,
		"tag in the source environment, or REPOSITORY:TAG or REPOSITORY@DIGEST, repeatable")
	flags.BoolVar(&f.rollback, "rollback", false, "move floating tags back to --version")
	flags.BoolVar(&f.dryRun, "dry-run", false, "only show the plan")
	flags.StringVar(&f.plan, "plan", "", "do exactly what this saved plan says, or fail when the facts changed")
	flags.StringVar(&f.planTo, "plan-out", "", "also save the plan to this file")
	flags.StringVar(&f.key, "key", "", "sign the records with this private key: a file, or env://VARIABLE")
	flags.StringSliceVar(&f.ci, "ci-approval", nil,
		"role that the protected environment of this CI job gives, where promote.ci allows it, repeatable")
	a.complete(cmd, "to", promotable)
	a.complete(cmd, "component", func(p *pipelines.Pipeline) []string { return p.Config.ComponentNames() })
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return a.promote(cmd, f) }
	return cmd
}

// promotable are the environments that take promotions.
func promotable(p *pipelines.Pipeline) []string {
	var out []string
	for _, name := range p.Config.EnvironmentNames() {
		if p.Config.Environments[name].Promote != nil {
			out = append(out, name)
		}
	}
	return out
}

func (a *app) promote(cmd *cobra.Command, f promoteFlags) error {
	request, err := a.promoteRequest(cmd, f)
	if err != nil {
		return err
	}
	request.CIApprovals = f.ci
	if request.Signer, err = a.signer(cmd.Context(), f.key); err != nil {
		return err
	}
	a.flags.env = request.To // a password that is given is for the target
	p, err := a.openBuilding()
	if err != nil {
		return err
	}
	if err := a.reach(cmd.Context(), p); err != nil {
		return err
	}
	if f.dryRun || f.planTo != "" {
		pl, err := p.PromotePlan(cmd.Context(), request)
		if err != nil {
			return err
		}
		if f.planTo != "" && pl.Err() == nil {
			if err := a.saveJSON(pl, f.planTo); err != nil {
				return err
			}
		}
		if f.dryRun {
			if err := a.show(pl, pl.Text); err != nil {
				return err
			}
			return pl.Err()
		}
		request.Plan, request.PlanName = &pl, f.planTo
	}
	receipt, err := p.Promote(cmd.Context(), request)
	if err != nil {
		return err
	}
	receipt.Sandbox = a.flags.sandbox
	a.summarise(receipt.Markdown)
	return a.show(receipt, receipt.Text)
}

// promoteRequest reads the flags.
func (a *app) promoteRequest(cmd *cobra.Command, f promoteFlags) (pipelines.PromoteRequest, error) {
	var r pipelines.PromoteRequest
	if a.flags.env != "" {
		return r, usage(cmd, "promote takes --to instead of --env")
	}
	if f.plan != "" {
		if f.to != "" || f.version != "" || f.rollback || f.planTo != "" || len(f.from)+len(f.components) > 0 {
			return r, usage(cmd, "--plan says already what is promoted: drop the other flags")
		}
		saved, err := a.loadPromotion(f.plan)
		if err != nil {
			return r, err
		}
		r.Plan, r.PlanName, r.To = &saved, f.plan, saved.Environment
		return r, nil
	}
	switch {
	case f.to == "":
		return r, usage(cmd, "--to is missing: name the environment that the images come to")
	case f.rollback && len(f.from) > 0:
		return r, usage(cmd, "--rollback stays within the environment: drop --from")
	case f.rollback && f.version == "":
		return r, usage(cmd, "--rollback needs --version: the one to go back to")
	}
	r.To, r.From, r.Components, r.Rollback = f.to, f.from, f.components, f.rollback
	var err error
	r.Version, err = versionFlag(f.version)
	return r, err
}

// versionFlag reads --version; nil when it was not given.
func versionFlag(text string) (*semver.Version, error) {
	if text == "" {
		return nil, nil
	}
	return version.Parse("--version", text)
}

// loadPromotion reads a saved plan of a promotion.
func (a *app) loadPromotion(file string) (promote.Plan, error) {
	var pl promote.Plan
	err := a.loadJSON(file, &pl)
	if err == nil && (len(pl.Images) == 0 || pl.Environment == "") {
		err = errors.New("it names no environment or no image")
	}
	if err != nil {
		return pl, fault.New(fault.Usage, "--plan "+file, "save one: berth promote --to ENV --dry-run --plan-out "+file,
			"not the plan of a promotion: %w", err)
	}
	return pl, nil
}
