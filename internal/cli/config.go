package cli

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/berth-sh/berth/pipelines"
	"github.com/berth-sh/berth/pipelines/config"
	"github.com/berth-sh/berth/pipelines/report"
)

func configCommand(a *app) *cobra.Command {
	check := &cobra.Command{
		Use:   "check",
		Short: "Check berth.yaml",
		Long: `Check berth.yaml: keys, values, references between them, tag templates, and that the files of version.bump
agree. Errors name line and column. Variables without a value are listed; they matter only where they are used.`,
		Example: `  berth config check`,
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			p, err := a.open()
			if err != nil {
				return err
			}
			checked, err := p.Check()
			if err != nil {
				return err
			}
			return a.show(checked, func(w io.Writer) error { return writeChecked(w, checked) })
		},
	}
	schema := &cobra.Command{
		Use:     "schema",
		Short:   "Print the JSON Schema of berth.yaml, for editors",
		Example: `  berth config schema > berth.schema.json`,
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := a.process.Stdout.Write(config.Schema())
			return err
		},
	}
	return group("config", "Check the configuration and print its schema", check, schema)
}

func writeChecked(w io.Writer, c pipelines.Checked) error {
	if _, err := fmt.Fprintf(w, "%s is valid: %s, %s, %s\n", c.File,
		report.Plural(c.Components, "component"), report.Plural(c.Registries, "registry"),
		report.Plural(c.Environments, "environment")); err != nil {
		return err
	}
	for _, u := range c.Unset {
		if _, err := fmt.Fprintf(w, "note: %s is not set; it is needed where this value is used\n", u); err != nil {
			return err
		}
	}
	return nil
}
