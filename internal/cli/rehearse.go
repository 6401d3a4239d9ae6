package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/berth-sh/berth/pipelines"
	"github.com/berth-sh/berth/pipelines/report"
)

func rehearseCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rehearse",
		Short: "Publish to every environment in registries that exist for the rehearsal only",
		Long: `Publish to every environment in registries that exist for the rehearsal only.

The images are built once and published to each environment that accepts this git ref, twice, into embedded
registries with the habits of their kind. It fails when a publish fails or the second one sends anything.
Environments that refuse the git ref say why.`,
		Example: `  berth rehearse
  GIT_BRANCH=main berth rehearse      # as the release branch would`,
		Args: noArgs,
	}
	selected := a.selectFlags(cmd)
	a.builderFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		p, err := a.openOnline(cmd.Context())
		if err != nil {
			return err
		}
		rehearsal, err := p.Rehearse(cmd.Context(), pipelines.BuildRequest{
			Components: selected.components, Platforms: selected.platforms,
		})
		if err != nil {
			return err
		}
		return a.show(rehearsal, func(w io.Writer) error { return writeRehearsal(w, rehearsal) })
	}
	return cmd
}

func writeRehearsal(w io.Writer, r pipelines.Rehearsal) error {
	_, err := fmt.Fprintf(w, "rehearsal of %s, commit %s\n\n", r.Version, r.Commit[:min(12, len(r.Commit))])
	if err != nil {
		return err
	}
	t := &report.Table{Head: []string{"ENVIRONMENT", "REGISTRY", "OUTCOME", "TAGS", "REASON"}}
	for _, e := range r.Environments {
		t.Add(e.Environment, e.Registry, string(e.Outcome), strings.Join(e.Tags, " "), e.Reason)
	}
	return t.Text(w)
}
