package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/berth-sh/berth/pipelines"
	"github.com/berth-sh/berth/pipelines/facts"
	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/plan"
	"github.com/berth-sh/berth/pipelines/publish"
)

const (
	// demoEnvironment is preferred by the demo, because anybody's branch may publish to it.
	demoEnvironment = "dev"
	// demoBranch stands in for the branch that is checked out: its tags name the commit, so that the demo never meets a
	// release of its own, and release environments refuse it, which is worth seeing.
	demoBranch = "feature/demo"
)

func demoCommand(a *app) *cobra.Command {
	var components []string
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Walk the whole road in embedded registries, from a build to production",
		Long: `Walk the whole road with this project in registries embedded in berth: plan, build, publish, publish again, and
where berth.yaml has promotions, approve, promote, audit and status. Nothing leaves the machine, and no daemon,
root, token or key is needed: the demo signs approvals with keys of its own.`,
		Example: `  berth demo
  berth demo --component web`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if a.flags.format == formatJSON {
				return usage(cmd, "the demo is for people: it has no JSON form")
			}
			return a.demo(cmd.Context(), components)
		},
	}
	cmd.Flags().StringSliceVar(&components, "component", nil, "component, repeatable; default: all")
	a.complete(cmd, "component", func(p *pipelines.Pipeline) []string { return p.Config.ComponentNames() })
	return cmd
}

func (a *app) demo(ctx context.Context, components []string) error {
	a.flags.sandbox = true
	p, err := a.openDemo(ctx)
	if err != nil {
		return err
	}
	request := plan.Request{Environment: a.flags.env, Components: components}
	pl, err := p.Plan(ctx, request)
	if err != nil {
		return err
	}
	f, err := p.Facts(ctx)
	if err != nil {
		return err
	}
	ref, err := plan.RefOf(f)
	if err != nil {
		return err
	}
	a.say("%s, commit %s as %s, into registries embedded in this process", p.Config.Project,
		facts.Short(pl.Commit), ref)
	a.step("plan --env " + pl.Environment)
	if err := pl.Text(a.process.Stdout); err != nil {
		return err
	}
	request.Environment = pl.Environment
	road := after(p.Config, pl.Environment)
	if len(road) > 0 {
		a.box = demoState
		if err := os.RemoveAll(filepath.Join(p.Project, ".berth", demoState)); err != nil {
			return err
		}
	}
	a.standIn(p, pl.Environment)
	var receipt publish.Receipt
	for _, again := range []string{"", "   (the same again: nothing is sent)"} {
		a.step("publish --env " + pl.Environment + " --sandbox" + again)
		if receipt, err = a.demoPublish(ctx, request); err != nil {
			return err
		}
	}
	if err := a.demoRefusal(ctx, p, pl.Environment); err != nil {
		return err
	}
	switch {
	case len(road) == 0:
		a.lookInside(p, receipt)
		return nil
	case pl.Dirty:
		a.say("\nUncommitted work goes no further: commit it to see the way to %s.", strings.Join(road, " and "))
		return nil
	}
	r, err := a.newDemoRoad(p, components, road)
	if err != nil {
		return err
	}
	return r.walk(ctx, road)
}

// openDemo opens the project as if a feature branch were checked out. A project whose rules know no such branch is
// shown with the one it is on.
func (a *app) openDemo(ctx context.Context) (*pipelines.Pipeline, error) {
	p, err := a.open()
	if err != nil {
		return nil, err
	}
	if _, ok := p.Config.Environments[demoEnvironment]; ok && a.flags.env == "" {
		a.flags.env = demoEnvironment
	}
	own := a.process.Environ
	a.process.Environ = append(slices.Clone(own), "GIT_BRANCH="+demoBranch)
	branched, err := a.open()
	if err != nil {
		return nil, err
	}
	if pl, err := branched.Plan(ctx, plan.Request{Environment: a.flags.env}); err == nil && pl.Err() == nil {
		return branched, nil
	}
	a.process.Environ = own
	return p, nil
}

// demoPublish opens the project anew, as a second command would.
func (a *app) demoPublish(ctx context.Context, r plan.Request) (publish.Receipt, error) {
	p, err := a.openBuilding()
	if err != nil {
		return publish.Receipt{}, err
	}
	if err := a.reach(ctx, p); err != nil {
		return publish.Receipt{}, err
	}
	receipt, err := p.Publish(ctx, pipelines.PublishRequest{Request: r})
	a.close()
	if err != nil {
		return receipt, err
	}
	receipt.Sandbox = true
	return receipt, receipt.Text(a.process.Stdout)
}

// demoRefusal shows an environment that does not take this ref, when there is one.
func (a *app) demoRefusal(ctx context.Context, p *pipelines.Pipeline, published string) error {
	for _, name := range p.Config.EnvironmentNames() {
		if name == published {
			continue
		}
		pl, err := p.Plan(ctx, plan.Request{Environment: name})
		if err != nil || pl.Err() == nil {
			continue
		}
		a.step("publish --env " + name + " --sandbox")
		printError(a.process.Stdout, pl.Err())
		a.say("  exit code %d: %s", fault.CodeOf(pl.Err()), fault.CodeOf(pl.Err()).Meaning())
		return nil
	}
	return nil
}

func (a *app) lookInside(p *pipelines.Pipeline, r publish.Receipt) {
	if len(r.Images) == 0 {
		return
	}
	first := r.Images[0]
	tag := first.Tags[0].Name
	local := "localhost" + strings.TrimPrefix(defaultSandboxAddress, "127.0.0.1") + "/" + first.Repository
	state := filepath.Join(p.Project, ".berth", "sandbox")
	if rel, err := filepath.Rel(a.process.Dir, state); err == nil {
		state = rel
	}
	a.say(`
Look inside, with the client you like, while this runs in another terminal:
  %s sandbox serve

  crane manifest %s:%s
  skopeo list-tags --tls-verify=false docker://%s
  docker run --rm -p 8080:8080 %s:%s    # then: curl localhost:8080/version

The registries' state is in %s; remove the folder to begin afresh.`,
		a.name(), local, tag, local, local, tag, state)
}

// name is how the program was called.
func (a *app) name() string {
	if strings.Contains(filepath.ToSlash(a.process.Args[0]), "/go-build") {
		return "go run ."
	}
	return filepath.Base(a.process.Args[0])
}

func (a *app) step(command string) { a.say("\n$ %s %s", a.name(), command) }

func (a *app) say(format string, args ...any) {
	_, _ = fmt.Fprintf(a.process.Stdout, format+"\n", args...)
}
