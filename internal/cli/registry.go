package cli

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/berth-sh/berth/pipelines/plan"
)

func registryCommand(a *app) *cobra.Command {
	which := &cobra.Command{
		Use:   "which",
		Short: "Print the registry of this git ref, or of --env",
		Long: `Print the name of the registry that this git ref publishes to, or that --env uses.

The git ref comes from git or from the variables of the CI; REGISTRY_TYPE leaves only the environments on that
registry. With --format json the environment and the reason are printed too.`,
		Example: `  berth registry which
  GITHUB_REF=refs/heads/main berth registry which --format json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := a.open()
			if err != nil {
				return err
			}
			chosen, err := p.Choose(cmd.Context(), a.flags.env)
			if err != nil {
				return err
			}
			if a.flags.format == formatJSON { // which has the prefix, and so needs its variables
				if err := plan.RequireSet(p.Config, chosen); err != nil {
					return err
				}
			}
			return a.show(chosen, func(w io.Writer) error {
				_, err := fmt.Fprintln(w, chosen.Registry)
				return err
			})
		},
	}
	return group("registry", "Ask about registries", which)
}
