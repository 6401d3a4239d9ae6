package cli

import (
	"github.com/spf13/cobra"

	"github.com/berth-sh/berth/pipelines"
)

func registryCheckCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "check [REGISTRY…]",
		Short: "Ask registries whether they are as berth.yaml says",
		Long: `Ask the registries of berth.yaml, or those named, or that of --env: is it reachable, who is logged in, may that
account write (an upload is begun and cancelled), is it among the writers, does the registry hold the tags that are
promised never to move, and does it list referrers or need fallback tags.

It publishes nothing. The exit code is that of the gravest finding: 4 for a login that is missing, refused or may not
write, 3 for a promise that is not kept (writers, immutability), 5 for a registry that does not answer. What cannot
be seen from here fails nothing.`,
		Example: `  berth registry check
  berth registry check ghcr --format json
  berth registry check --env prd`,
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := a.open()
			if err != nil {
				return err
			}
			if err := a.reach(cmd.Context(), p); err != nil {
				return err
			}
			found, err := p.CheckRegistries(cmd.Context(), pipelines.CheckRequest{
				Registries: args, Environment: a.flags.env,
			})
			if err != nil {
				return err
			}
			if err := a.show(found, found.Text); err != nil {
				return err
			}
			return found.Err()
		},
	}
}
