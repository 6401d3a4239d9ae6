package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/berth-sh/berth/pipelines"
	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/plan"
	"github.com/berth-sh/berth/pipelines/publish"
	"github.com/berth-sh/berth/pipelines/report"
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
	p, err := a.open()
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
		if err := a.savePlan(pl, f.planTo); err != nil {
			return err
		}
	}
	if p, err = a.openOnline(cmd.Context()); err != nil {
		return err
	}
	receipt, err := p.Publish(cmd.Context(), pipelines.PublishRequest{Request: request, From: f.from})
	if err != nil {
		return err
	}
	if err := a.summarise(receipt); err != nil {
		// The images are published: a page that cannot be written must not make a job repeat that.
		_, _ = fmt.Fprintf(a.process.Stderr, "warning: no summary in GITHUB_STEP_SUMMARY: %v\n", err)
	}
	return a.show(receipt, func(w io.Writer) error { return writeReceipt(w, receipt, a.flags.sandbox) })
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

// samePlan fails when the facts changed since the plan was saved. The reason for the environment is not compared: the
// plan was made by the git ref, and is applied by name.
func samePlan(file string, then, now plan.Plan) error {
	now.Reason = then.Reason
	var was, is bytes.Buffer
	if err := errors.Join(report.JSON(&was, then), report.JSON(&is, now)); err != nil {
		return err
	}
	if bytes.Equal(was.Bytes(), is.Bytes()) {
		return nil
	}
	return fault.New(fault.Refused, "--plan "+file, "look at the new plan (berth plan), and save it again",
		"the facts changed since the plan was saved: it was for version %s of commit %s, now it would be %s of %s",
		then.Version, then.Commit, now.Version, now.Commit)
}

func writeReceipt(w io.Writer, r publish.Receipt, sandboxed bool) error {
	if err := r.Table().Text(w); err != nil {
		return err
	}
	sum := r.Uploaded()
	where := ""
	if sandboxed {
		where = " (sandbox)"
	}
	_, err := fmt.Fprintf(w, "\n%s %s published to %s on %s%s: %d blobs, %s, %d manifests uploaded\n",
		plural(len(r.Images), "image"), r.Version, r.Environment, r.Registry, where,
		sum.Blobs, size(sum.Bytes), sum.Manifests)
	return err
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// size writes bytes for people, in powers of ten as disks and registries do.
func size(n int64) string {
	switch {
	case n < 1000:
		return fmt.Sprintf("%d B", n)
	case n < 1000_000:
		return fmt.Sprintf("%.1f kB", float64(n)/1000)
	default:
		return fmt.Sprintf("%.1f MB", float64(n)/1000_000)
	}
}

// summarise appends the receipt to the page of a GitHub Actions run.
// Source: https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands#adding-a-job-summary
func (a *app) summarise(r publish.Receipt) error {
	file, ok := a.lookup("GITHUB_STEP_SUMMARY")
	if !ok || file == "" {
		return nil
	}
	f, err := os.OpenFile(a.path(file), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	err = r.Markdown(f)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return err
}
