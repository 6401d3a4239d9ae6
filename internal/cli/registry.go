package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/berth-sh/berth/pipelines/plan"
)

func registryCommand(a *app) *cobra.Command {
	var purpose string
	which := &cobra.Command{
		Use:   "which",
		Short: "Print the registry of this git ref, of --env, or of --purpose",
		Long: `Print the name of the registry that this git ref publishes to, that --env uses, or that is for
--purpose.

The git ref comes from git or from the variables of the CI; REGISTRY_TYPE leaves only the environments on that
registry. Where no environment names the ref, the registries' purposes decide: a release's git tag belongs
to production, its candidates to staging, every other build to development. With --format json the
environment and the reason are printed too.

--purpose asks without a git ref: "is this image for …?"`,
		Example: `  berth registry which
  GITHUB_REF=refs/heads/main berth registry which --format json
  berth registry which --purpose integration-testing`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if purpose != "" && a.flags.env != "" {
				return usage(cmd, "--purpose and --env exclude each other")
			}
			p, err := a.open()
			if err != nil {
				return err
			}
			choose := func() (plan.Choice, error) { return p.Choose(cmd.Context(), a.flags.env) }
			if purpose != "" {
				choose = func() (plan.Choice, error) { return plan.ForUse(p.Config, purpose) }
			}
			chosen, err := choose()
			if err != nil {
				return err
			}
			if a.flags.format == formatJSON { // which has the prefix, and so needs its variables
				if err := p.Config.RequireSet("registries", chosen.Registry); err != nil {
					return err
				}
			}
			return a.show(chosen, func(w io.Writer) error {
				_, err := fmt.Fprintln(w, chosen.Registry)
				return err
			})
		},
	}
	which.Flags().StringVar(&purpose, "purpose", "", "what the image is for: "+strings.Join(plan.Uses(), ", "))
	_ = which.RegisterFlagCompletionFunc("purpose",
		cobra.FixedCompletions(plan.Uses(), cobra.ShellCompDirectiveNoFileComp))
	return group("registry", "Ask about registries, and log in", which, loginCommand(a), logoutCommand(a),
		registryCheckCommand(a))
}
