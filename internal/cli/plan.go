package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/berth-sh/berth/pipelines"
	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/plan"
	"github.com/berth-sh/berth/pipelines/report"
)

// selection is the part of components and platforms that a verb works on.
type selection struct{ components, platforms []string }

func (a *app) selectFlags(cmd *cobra.Command) *selection {
	s := &selection{}
	a.componentFlag(cmd, &s.components)
	cmd.Flags().StringSliceVar(&s.platforms, "platform", nil, "platform, repeatable; default: all of berth.yaml")
	a.complete(cmd, "platform", func(p *pipelines.Pipeline) []string { return p.Config.Platforms })
	return s
}

func (a *app) request(s *selection) plan.Request {
	return plan.Request{Environment: a.flags.env, Components: s.components, Platforms: s.platforms}
}

func planCommand(a *app) *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "plan",
		Short: "Show what publish would do, and why",
		Long: `Show what publish would do, and why: environment, registry, repositories, platforms and tags.

No registry is asked and nothing is built. A plan with refusals is shown too; the exit code is then 3.`,
		Example: `  berth plan
  berth plan --env prd --format json
  berth plan --env dev --plan-out plan.json && berth publish --plan plan.json`,
		Args: noArgs,
	}
	selected := a.selectFlags(cmd)
	cmd.Flags().StringVar(&out, "plan-out", "", "also save the plan to this file, for publish --plan")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		p, err := a.open()
		if err != nil {
			return err
		}
		pl, err := p.Plan(cmd.Context(), a.request(selected))
		if err != nil {
			return err
		}
		return a.showPlan(pl, out)
	}
	return cmd
}

// showPlan prints a plan, saves it when asked, and fails when the plan has refusals.
func (a *app) showPlan(pl plan.Plan, out string) error {
	if err := a.show(pl, pl.Text); err != nil {
		return err
	}
	if err := pl.Err(); err != nil {
		return err
	}
	if out == "" {
		return nil
	}
	return a.saveJSON(pl, out)
}

// saveJSON saves a plan.
func (a *app) saveJSON(pl any, out string) error {
	var b bytes.Buffer
	if err := report.JSON(&b, pl); err != nil {
		return err
	}
	if err := os.WriteFile(a.path(out), b.Bytes(), 0o644); err != nil {
		return fault.New(fault.Usage, out, "name a file in a folder that exists", "cannot save the plan: %w", err)
	}
	return nil
}

// path makes a path of the command line absolute.
func (a *app) path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(a.process.Dir, name)
}

// loadPlan reads a saved plan.
func (a *app) loadPlan(file string) (plan.Plan, error) {
	var pl plan.Plan
	data, err := os.ReadFile(a.path(file))
	if err != nil {
		return pl, fault.New(fault.Usage, "--plan "+file, "save one: berth plan --plan-out "+file,
			"cannot read the plan: %w", err)
	}
	if err = decode(data, &pl); err == nil && (len(pl.Images) == 0 || pl.Environment == "") {
		err = errors.New("it names no environment or no image")
	}
	if err != nil {
		return pl, fault.New(fault.Usage, "--plan "+file, "save one: berth plan --plan-out NEW-FILE", "not a plan: %w", err)
	}
	return pl, nil
}

// loadJSON reads what saveJSON wrote.
func (a *app) loadJSON(file string, into any) error {
	data, err := os.ReadFile(a.path(file))
	if err != nil {
		return err
	}
	return decode(data, into)
}

func decode(data []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	return dec.Decode(into)
}
