package cli

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/berth-sh/berth/pipelines"
	"github.com/berth-sh/berth/pipelines/plan"
	"github.com/berth-sh/berth/pipelines/version"
)

type publishFlags struct {
	selected           *selection
	dryRun             bool
	from, plan, planTo string
}

func publishCommand(a *app) *cobra.Command {
	f := publishFlags{}
	cmd := &cobra.Command{
		Use:   "publish",
		Short: "Build, push and tag the images of an environment",
		Long: `Build, push and tag the images of an environment.

Every tag is looked at before any byte is sent. All images are pushed by digest, and only when all are up the
version tags are set, then the floating tags. Running the same command again sends nothing, and finishes what
was interrupted.`,
		Example: `  berth publish --env dev
  berth publish --env dev --dry-run
  berth publish --env dev --sandbox
  berth build --output images && berth publish --env dev --from images
  echo "$TOKEN" | berth publish --env dev --username ci --password-stdin`,
		Args: noArgs,
	}
	f.selected = a.selectFlags(cmd)
	a.builderFlags(cmd)
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "only show the plan")
	cmd.Flags().StringVar(&f.from, "from", "", "publish the images of this OCI layout instead of building")
	cmd.Flags().StringVar(&f.plan, "plan", "", "do exactly what this saved plan says, or fail when the facts changed")
	cmd.Flags().StringVar(&f.planTo, "plan-out", "", "also save the plan to this file")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return a.publish(cmd, f) }
	return cmd
}

func (a *app) publish(cmd *cobra.Command, f publishFlags) error {
	if f.plan != "" && (f.planTo != "" || a.flags.env != "" || len(f.selected.components)+len(f.selected.platforms) > 0) {
		return usage(cmd, "--plan holds environment, components and platforms already: drop the other flags")
	}
	request := a.request(f.selected)
	var saved *plan.Plan
	if f.plan != "" {
		loaded, err := a.loadPlan(f.plan)
		if err != nil {
			return err
		}
		request, saved = requestOf(loaded), &loaded
		a.flags.env = loaded.Environment
	}
	// Planned before a password is read or the sandbox's state is made: what is refused leaves nothing behind.
	p, err := a.openBuilding()
	if err != nil {
		return err
	}
	pl, err := p.Plan(cmd.Context(), request)
	if err != nil {
		return err
	}
	if saved != nil {
		if err := samePlan(f.plan, *saved, pl); err != nil {
			return err
		}
	}
	if f.dryRun {
		return a.showPlan(pl, f.planTo)
	}
	if err := pl.Err(); err != nil {
		return err
	}
	if f.planTo != "" {
		if err := a.saveJSON(pl, f.planTo); err != nil {
			return err
		}
	}
	if err := a.reach(cmd.Context(), p); err != nil {
		return err
	}
	receipt, err := p.Publish(cmd.Context(), pipelines.PublishRequest{Request: request, From: f.from})
	if err != nil {
		return err
	}
	receipt.Sandbox = a.flags.sandbox
	a.summarise(receipt.Markdown)
	return a.show(receipt, receipt.Text)
}

// requestOf is the request that a saved plan answers.
func requestOf(pl plan.Plan) plan.Request {
	r := plan.Request{Environment: pl.Environment}
	for _, x := range pl.Images {
		r.Components = append(r.Components, x.Component)
		for _, platform := range x.Platforms {
			if !slices.Contains(r.Platforms, platform) {
				r.Platforms = append(r.Platforms, platform)
			}
		}
	}
	return r
}

// samePlan fails when the facts changed since the plan was saved, and says which.
func samePlan(file string, then, now plan.Plan) error {
	return changes(then, now).Err("--plan "+file, "berth plan")
}

// changes lists what differs between two plans. The reason for the environment is not compared: the one was chosen by
// the git ref, the other by name.
func changes(then, now plan.Plan) plan.Changes {
	var out plan.Changes
	out.Differ("the registry", then.Registry, now.Registry)
	out.Differ("the version", then.Version, now.Version)
	out.Differ("the commit", then.Commit, now.Commit)
	if len(then.Images) != len(now.Images) {
		return append(out, fmt.Sprintf("there were %d images and are now %d", len(then.Images), len(now.Images)))
	}
	for i, was := range then.Images {
		is := now.Images[i]
		out.Differ("the component", was.Component, is.Component)
		out.Differ("the repository of "+was.Component, was.Repository, is.Repository)
		out.Differ("the platforms of "+was.Component, strings.Join(was.Platforms, ","), strings.Join(is.Platforms, ","))
		if i == 0 {
			out.Differ("the list of tags", tagNames(was.Tags), tagNames(is.Tags))
		}
	}
	return out
}

func tagNames(tags []version.Tag) string {
	names := make([]string, 0, len(tags))
	for _, t := range tags {
		names = append(names, t.Name+" ("+string(t.Class)+")")
	}
	return strings.Join(names, ", ")
}

// summarise appends a receipt to the page of a GitHub Actions run. What was done is done: a page that cannot be written
// must not make a job repeat it.
func (a *app) summarise(markdown func(io.Writer) error) {
	if err := a.appendSummary(markdown); err != nil {
		_, _ = fmt.Fprintf(a.process.Stderr, "warning: no summary in GITHUB_STEP_SUMMARY: %v\n", err)
	}
}

// Source: https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands#adding-a-job-summary
func (a *app) appendSummary(markdown func(io.Writer) error) error {
	file, ok := a.lookup("GITHUB_STEP_SUMMARY")
	if !ok || file == "" {
		return nil
	}
	f, err := os.OpenFile(a.path(file), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	err = markdown(f)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return err
}
