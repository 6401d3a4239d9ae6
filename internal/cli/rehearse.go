package cli

import (
	"github.com/spf13/cobra"
)

func rehearseCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rehearse",
		Short: "Publish and promote to every environment in registries that exist for the rehearsal only",
		Long: `Publish to every environment in registries that exist for the rehearsal only, and promote where berth.yaml says
so.

The images are built once and published to each environment that accepts this git ref, twice, into embedded
registries with the habits of their kind. To an environment with promotions they come by its road, twice as well and
without asking for approvals. It fails when a step fails or the second one changes anything. Environments that refuse
the git ref say why.`,
		Example: `  berth rehearse
  GIT_BRANCH=main berth rehearse      # as the release branch would`,
		Args: noArgs,
	}
	selected := a.selectFlags(cmd)
	a.builderFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		p, err := a.openBuilding()
		if err != nil {
			return err
		}
		if err := a.reach(cmd.Context(), p); err != nil { // base images come from real registries
			return err
		}
		rehearsal, err := p.Rehearse(cmd.Context(), a.buildRequest(selected))
		if err != nil {
			return err
		}
		return a.show(rehearsal, rehearsal.Text)
	}
	return cmd
}
