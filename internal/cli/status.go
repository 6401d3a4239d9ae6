package cli

import (
	"slices"

	"github.com/spf13/cobra"

	"github.com/berth-sh/berth/pipelines"
	"github.com/berth-sh/berth/pipelines/status"
)

// formatHTML is a page for a browser.
const formatHTML = "html"

func statusCommand(a *app) *cobra.Command {
	var components []string
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the board: which version of each component is in which environment",
		Long: `Show the board: which version of each component is in which environment.

Shown is the image that an environment's floating tag names, such as latest, or where it has none its highest version;
with commit, digest, the age of the commit, how many commits it is ahead of or behind the environment that images
come from (the first one: what is checked out), and what differs from the rest. --format html writes a page that
needs nothing else.`,
		Example: `  berth status
  berth status --env production --format json
  berth status --format html > board.html`,
		Args:        noArgs,
		Annotations: map[string]string{moreFormats: formatHTML},
	}
	cmd.Flags().StringSliceVar(&components, "component", nil, "component, repeatable; default: all")
	a.complete(cmd, "component", func(p *pipelines.Pipeline) []string { return p.Config.ComponentNames() })
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		p, err := a.open()
		if err != nil {
			return err
		}
		if err := a.reach(cmd.Context(), p); err != nil {
			return err
		}
		r := status.Request{Components: components}
		if a.flags.env != "" {
			r.Environments = []string{a.flags.env}
		}
		board, err := p.Status(cmd.Context(), r)
		if err != nil {
			return err
		}
		if a.flags.format == formatHTML {
			a.close()
			return board.HTML(a.process.Stdout)
		}
		return a.show(board, board.Text)
	}
	return cmd
}

// moreFormats is the annotation of a command with a format beside table and json.
const moreFormats = "format"

// formats lists what --format may say.
func formats(cmd *cobra.Command) []string {
	all := []string{formatTable, formatJSON}
	if more := cmd.Annotations[moreFormats]; more != "" && !slices.Contains(all, more) {
		all = append(all, more)
	}
	return all
}
