package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/berth-sh/berth/pipelines"
	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/report"
	"github.com/berth-sh/berth/pipelines/retention"
)

// maxInUse bounds what is read of --in-use, in bytes: the pods of a large cluster.
const maxInUse = 1 << 30

type retentionFlags struct {
	selected *selection
	inUse    string
}

func retentionCommand(a *app) *cobra.Command {
	return group("retention", "Delete the tags that have served their time",
		retentionPlanCommand(a), retentionApplyCommand(a), retentionRenderCommand(a))
}

func retentionPlanCommand(a *app) *cobra.Command {
	f := retentionFlags{}
	cmd := &cobra.Command{
		Use:   "plan",
		Short: "Show every tag of an environment with its verdict, and change nothing",
		Long: `Show every tag of an environment's repositories with its verdict and the rule that gave it. Nothing is changed.

The first rule of the environment that matches a tag says how long it is kept. Releases, immutable tags and
floating tags never expire, nor does what --in-use names, nor a tag whose age is not known.`,
		Example: `  berth retention plan --env dev
  kubectl get pods --all-namespaces --output json | berth retention plan --env dev --in-use -`,
		Args: noArgs,
	}
	f.declare(a, cmd)
	cmd.RunE = judging(a, &f, (*pipelines.Pipeline).PlanRetention)
	return cmd
}

func retentionApplyCommand(a *app) *cobra.Command {
	f := retentionFlags{}
	cmd := &cobra.Command{
		Use:   "apply",
		Short: "Delete the tags of an environment that have served their time",
		Long: `Delete the tags that "retention plan" shows as expired, and the images behind them that nothing else needs.

Every tag is judged again first. Nothing is deleted that a kept tag, a kept index, or what is attached to
either needs. Running the same command again finishes what was interrupted.`,
		Example: `  berth retention apply --env dev
  berth retention apply --env dev --in-use running.txt`,
		Args: noArgs,
	}
	f.declare(a, cmd)
	cmd.RunE = judging(a, &f, (*pipelines.Pipeline).ApplyRetention)
	return cmd
}

// judging runs what judges the tags of an environment, and shows the outcome.
func judging[T interface{ Text(w io.Writer) error }](
	a *app, f *retentionFlags,
	judge func(*pipelines.Pipeline, context.Context, pipelines.RetentionRequest) (T, error),
) func(cmd *cobra.Command, _ []string) error {
	return func(cmd *cobra.Command, _ []string) error {
		p, request, err := a.retention(cmd, *f)
		if err != nil {
			return err
		}
		out, err := judge(p, cmd.Context(), request)
		if err != nil {
			return err
		}
		return a.show(out, out.Text)
	}
}

func retentionRenderCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "render",
		Short: "Print the rules of an environment as the registry's own policy",
		Long: `Print the rules of an environment as the registry's own policy: the lifecycle policy of ECR, the auto-prune
policies of Quay, or the cleanup policies of Artifact Registry. The policy goes to standard output; what it
cannot say, and how to put it in force, to standard error.`,
		Example: `  berth retention render --env dev > policy.json`,
		Args:    noArgs,
	}
	cmd.RunE = func(*cobra.Command, []string) error {
		p, err := a.open()
		if err != nil {
			return err
		}
		if err := a.needsEnv(p); err != nil {
			return err
		}
		out, err := p.RenderRetention(a.flags.env)
		if err != nil {
			return err
		}
		return a.show(out, func(w io.Writer) error {
			for _, note := range out.Notes {
				_, _ = fmt.Fprintln(a.process.Stderr, "note: "+note)
			}
			_, _ = fmt.Fprintln(a.process.Stderr, "next: "+out.Next)
			return report.JSON(w, out.Policy)
		})
	}
	return cmd
}

func (f *retentionFlags) declare(a *app, cmd *cobra.Command) {
	f.selected = &selection{}
	a.componentFlag(cmd, &f.selected.components)
	cmd.Flags().StringVar(&f.inUse, "in-use", "",
		"file with images that run somewhere and stay: digests, references, or the JSON of pods; - is standard input")
}

// retention opens the project for a verb that reaches the environment's registry.
func (a *app) retention(cmd *cobra.Command, f retentionFlags) (*pipelines.Pipeline, pipelines.RetentionRequest, error) {
	p, err := a.open()
	if err != nil {
		return nil, pipelines.RetentionRequest{}, err
	}
	if err := a.needsEnv(p); err != nil {
		return nil, pipelines.RetentionRequest{}, err
	}
	r := pipelines.RetentionRequest{
		Environment: a.flags.env, Components: f.selected.components, OwnAPIs: !a.flags.sandbox,
	}
	if f.inUse != "" {
		if r.InUse, err = a.inUse(f.inUse); err != nil {
			return nil, r, err
		}
	}
	return p, r, a.reach(cmd.Context(), p)
}

// needsEnv wants --env: what is deleted is named, not guessed.
func (a *app) needsEnv(p *pipelines.Pipeline) error {
	if a.flags.env != "" {
		return nil
	}
	return fault.New(fault.Usage, "", "name it: --env "+strings.Join(p.Config.EnvironmentNames(), "|"),
		"the environment is not given")
}

func (a *app) inUse(name string) (retention.InUse, error) {
	in, subject := a.process.Stdin, "standard input"
	if name == "-" && a.flags.passwordStdin {
		return retention.InUse{}, fault.New(fault.Usage, "--in-use -", "write it to a file first",
			"standard input already gives the password")
	}
	if name != "-" {
		if !filepath.IsAbs(name) {
			name = filepath.Join(a.process.Dir, name)
		}
		file, err := os.Open(name)
		if err != nil {
			return retention.InUse{}, fault.New(fault.Usage, "--in-use", "name a file that can be read", "%w", err)
		}
		defer func() { _ = file.Close() }()
		in, subject = file, name
	}
	data, err := io.ReadAll(io.LimitReader(in, maxInUse))
	if err != nil {
		return retention.InUse{}, fault.New(fault.Usage, subject, "", "read what is in use: %w", err)
	}
	return retention.ParseInUse(subject, data)
}
