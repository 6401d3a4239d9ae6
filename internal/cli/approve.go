package cli

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/berth-sh/berth/pipelines"
	"github.com/berth-sh/berth/pipelines/approve"
	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/promote"
)

// sourceFlags pick images as a promotion does.
type sourceFlags struct {
	to, version, digest string
	components, from    []string
}

func (a *app) sourceFlags(cmd *cobra.Command, f *sourceFlags) {
	flags := cmd.Flags()
	flags.StringVar(&f.to, "to", "", "environment that the images may come to")
	flags.StringVar(&f.version, "version", "", "version of the images; default: the one checked out")
	flags.StringVar(&f.digest, "digest", "", "digest of the image")
	flags.StringSliceVar(&f.components, "component", nil, "component, repeatable; default: all")
	flags.StringSliceVar(&f.from, "from", nil,
		"tag in the source environment, or REPOSITORY:TAG or REPOSITORY@DIGEST, repeatable")
	a.complete(cmd, "to", promotable)
	a.complete(cmd, "component", func(p *pipelines.Pipeline) []string { return p.Config.ComponentNames() })
}

func (f sourceFlags) request(cmd *cobra.Command) (promote.Request, error) {
	r := promote.Request{To: f.to, From: f.from, Components: f.components}
	if f.digest != "" && (f.version != "" || len(f.from) > 0) || f.version != "" && len(f.from) > 0 {
		return r, usage(cmd, "--version, --digest and --from each pick the images: keep one of them")
	}
	var err error
	r.Version, err = versionFlag(f.version)
	return r, err
}

// openSource opens the project for a verb that reads and writes where images of a promotion come from.
func (a *app) openSource(ctx context.Context, cmd *cobra.Command, to string) (*pipelines.Pipeline, error) {
	if a.flags.env != "" {
		return nil, usage(cmd, "%s takes --to instead of --env", cmd.CommandPath())
	}
	p, err := a.openBuilding()
	if err != nil {
		return nil, err
	}
	if e := p.Config.Environments[to].Promote; e != nil {
		a.flags.env = e.From // a password that is given is for the source
	}
	return p, a.reach(ctx, p)
}

type approveFlags struct {
	source                      sourceFlags
	role, key, expires, comment string
	revoke                      bool
}

func approveCommand(a *app) *cobra.Command {
	f := approveFlags{}
	cmd := &cobra.Command{
		Use:   "approve --to ENV --key KEY",
		Short: "Sign that images may come to an environment, or take that back",
		Long: `Sign that images may come to an environment, or take that back.

The images are those that berth promote --to ENV would take. The approval is for their digests and for this one
environment; it ends by itself, and is attached to the images where they are. The key must be listed under
approvers in berth.yaml with the role; its password comes from BERTH_KEY_PASSWORD or COSIGN_PASSWORD, or is asked
for on a terminal. Keys of cosign generate-key-pair work.

--revoke takes back the approvals of the role: your own, and those of others with the same role.`,
		Example: `  berth approve --to staging --key ada.key
  berth approve --to production --role qa --key ada.key --version 1.4.0 --comment "soak test passed"
  berth approve --to production --key env://APPROVAL_KEY --digest sha256:… --expires 7d
  berth approve --to production --role qa --key ada.key --revoke`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.approve(cmd, f) },
	}
	a.sourceFlags(cmd, &f.source)
	cmd.Flags().StringVar(&f.role, "role", "", "role in which you approve; default: the one that your key has")
	cmd.Flags().StringVar(&f.key, "key", "", "private key: a file, or env://VARIABLE")
	cmd.Flags().StringVar(&f.expires, "expires", "30d", "how long the approval holds: days (30d) or hours (12h)")
	cmd.Flags().StringVar(&f.comment, "comment", "", "why; everybody who sees the image can read it")
	cmd.Flags().BoolVar(&f.revoke, "revoke", false, "take approvals back")
	return cmd
}

func (a *app) approve(cmd *cobra.Command, f approveFlags) error {
	if f.source.to == "" || f.key == "" {
		return usage(cmd, "approve needs --to ENV and --key KEY")
	}
	if f.revoke && cmd.Flags().Changed("expires") {
		return usage(cmd, "--revoke has no end: drop --expires")
	}
	life, err := parseLife(f.expires)
	if err != nil {
		return err
	}
	request, err := f.source.request(cmd)
	if err != nil {
		return err
	}
	signer, err := a.signer(cmd.Context(), f.key)
	if err != nil {
		return err
	}
	p, err := a.openSource(cmd.Context(), cmd, f.source.to)
	if err != nil {
		return err
	}
	receipt, err := p.Approve(cmd.Context(), pipelines.ApproveRequest{
		Request: request, Digest: f.source.digest, Revoke: f.revoke,
		Approval: approve.Approval{Signer: signer, Role: f.role, Life: life, Comment: f.comment},
	})
	if err != nil {
		return err
	}
	return a.show(receipt, receipt.Text)
}

// maxLife bounds an approval, so that a typing error does not make one for ever.
const maxLife = 366 * 24 * time.Hour

// parseLife reads a time such as 30d or 12h.
func parseLife(text string) (time.Duration, error) {
	unit := 24 * time.Hour
	number, ok := strings.CutSuffix(text, "d")
	if !ok {
		unit = time.Hour
		number, ok = strings.CutSuffix(text, "h")
	}
	n, err := strconv.ParseUint(number, 10, 16)
	if life := time.Duration(n) * unit; ok && err == nil && n > 0 && life <= maxLife {
		return life, nil
	}
	return 0, fault.New(fault.Usage, "--expires "+text, "write days, for example 30d, or hours, 12h; at most 366d",
		"it is not a time")
}

func approvalsCommand(a *app) *cobra.Command {
	var source sourceFlags
	list := &cobra.Command{
		Use:   "list",
		Short: "List approvals, what they are worth, and which are missing",
		Long: `List approvals, what they are worth, and which are missing.

An approval counts when it is held. Others are told with the reason: expired, revoked, foreign key (or changed), wrong
role, same person, unsigned, other (for another environment, source or image), spare (good, but not needed).`,
		Example: `  berth approvals list
  berth approvals list --to production --version 1.4.0
  berth approvals list --to production --format json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			request, err := source.request(cmd)
			if err != nil {
				return err
			}
			if source.to == "" && (source.digest != "" || len(source.from) > 0) {
				return usage(cmd, "--digest and --from need --to")
			}
			p, err := a.openSource(cmd.Context(), cmd, source.to)
			if err != nil {
				return err
			}
			found, err := p.Approvals(cmd.Context(), request, source.digest)
			if err != nil {
				return err
			}
			return a.show(found, found.Text)
		},
	}
	a.sourceFlags(list, &source)
	return group("approvals", "Look at approvals", list)
}
