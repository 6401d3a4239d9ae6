package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/berth-sh/berth/pipelines"
	"github.com/berth-sh/berth/pipelines/approve"
	"github.com/berth-sh/berth/pipelines/attest"
	"github.com/berth-sh/berth/pipelines/config"
	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/promote"
	"github.com/berth-sh/berth/pipelines/sandbox"
	"github.com/berth-sh/berth/pipelines/status"
)

// demoState is the folder below .berth with the registries and keys of a demo that promotes. It begins afresh each
// time, as a release can be made only once.
const demoState = "demo"

// demoRoad is the part of the demo that brings the images of an environment to those after it.
type demoRoad struct {
	*app

	components []string
	// people are the approvers of the demo, by role: the real ones' private keys are nobody's business here.
	people map[string]demoPerson
}

type demoPerson struct {
	config.Approver

	signer *attest.Signer
}

// after lists the environments that images of an environment come to, nearest first.
func after(c *config.Config, environment string) []string {
	var out []string
	for _, name := range c.EnvironmentNames() {
		if e := c.Environments[name]; e.Promote != nil && e.Promote.From == environment {
			out = append(append(out, name), after(c, name)...)
		}
	}
	return out
}

// newDemoRoad makes a key for each role that berth.yaml asks for.
func (a *app) newDemoRoad(p *pipelines.Pipeline, components, environments []string) (*demoRoad, error) {
	r := &demoRoad{app: a, components: components, people: map[string]demoPerson{}}
	dir := filepath.Join(".berth", demoState)
	if err := os.MkdirAll(filepath.Join(p.Project, dir), 0o755); err != nil {
		return nil, err
	}
	for _, environment := range environments {
		for _, role := range p.Config.Environments[environment].Promote.Approvals {
			if _, ok := r.people[role]; ok {
				continue
			}
			person := demoPerson{Approver: config.Approver{Name: "somebody", Role: role}}
			i := slices.IndexFunc(p.Config.Approvers, func(x config.Approver) bool { return x.Role == role })
			if i >= 0 {
				person.Name = p.Config.Approvers[i].Name
			}
			pair, err := attest.GeneratePair(nil)
			if err != nil {
				return nil, err
			}
			if person.signer, err = pipelines.Signer(role, pair.Private, noPassword); err != nil {
				return nil, err
			}
			person.Key = filepath.ToSlash(filepath.Join(dir, role+".pub"))
			if err := os.WriteFile(filepath.Join(p.Project, dir, role+".pub"), pair.Public, 0o644); err != nil {
				return nil, err
			}
			r.people[role] = person
		}
	}
	return r, nil
}

func noPassword() ([]byte, error) { return nil, nil }

// open opens the project anew, as the next command would, with the demo's approvers and an account that may write to
// the environment.
func (r *demoRoad) open(ctx context.Context, environment string) (*pipelines.Pipeline, error) {
	p, err := r.openBuilding()
	if err != nil {
		return nil, err
	}
	p.Config.Approvers = nil
	for _, role := range sortedRoles(r.people) {
		p.Config.Approvers = append(p.Config.Approvers, r.people[role].Approver)
	}
	r.standIn(p, environment)
	return p, r.reach(ctx, p)
}

func sortedRoles(people map[string]demoPerson) []string {
	var out []string
	for role := range people {
		out = append(out, role)
	}
	slices.Sort(out)
	return out
}

// standIn lets the demo be whoever may write to an environment.
func (a *app) standIn(p *pipelines.Pipeline, environment string) {
	a.boxAccount = sandbox.Username
	if writers := p.Config.WritersOf(environment); len(writers) > 0 {
		a.boxAccount = writers[0]
	}
}

// walk promotes to each environment. Before the last approval it shows the refusal.
func (r *demoRoad) walk(ctx context.Context, environments []string) error {
	for _, to := range environments {
		p, err := r.openBuilding()
		if err != nil {
			return err
		}
		roles := p.Config.Environments[to].Promote.Approvals
		for i, role := range roles {
			if i == len(roles)-1 {
				if err := r.refused(ctx, to); err != nil {
					return err
				}
			}
			if err := r.approve(ctx, to, role); err != nil {
				return err
			}
		}
		receipt, err := r.promote(ctx, to)
		if err != nil {
			return err
		}
		receipt.Sandbox = true
		if err := receipt.Text(r.process.Stdout); err != nil {
			return err
		}
	}
	return r.look(ctx, environments[len(environments)-1])
}

func (r *demoRoad) promote(ctx context.Context, to string) (promote.Receipt, error) {
	r.step("promote --to " + to + " --sandbox")
	p, err := r.open(ctx, to)
	if err != nil {
		return promote.Receipt{}, err
	}
	defer r.close()
	return p.Promote(ctx, pipelines.PromoteRequest{Request: promote.Request{To: to, Components: r.components}})
}

// refused shows that nothing comes to an environment without its approvals.
func (r *demoRoad) refused(ctx context.Context, to string) error {
	_, err := r.promote(ctx, to)
	if code := fault.CodeOf(err); code != fault.Refused {
		if err == nil {
			err = fault.New(fault.Failed, "environment "+to, "", "it took images without an approval")
		}
		return err
	}
	printError(r.process.Stdout, err)
	r.say("  exit code %d: %s", fault.CodeOf(err), fault.CodeOf(err).Meaning())
	return nil
}

func (r *demoRoad) approve(ctx context.Context, to, role string) error {
	person := r.people[role]
	r.step(fmt.Sprintf("approve --to %s --role %s --key %s.key --sandbox", to, role, strings.ToLower(person.Name)))
	p, err := r.open(ctx, "")
	if err != nil {
		return err
	}
	defer r.close()
	receipt, err := p.Approve(ctx, pipelines.ApproveRequest{
		Request:  promote.Request{To: to, Components: r.components},
		Approval: approve.Approval{Signer: person.signer, Role: role},
	})
	if err != nil {
		return err
	}
	return receipt.Text(r.process.Stdout)
}

// look shows the trail of the first component and the board.
func (r *demoRoad) look(ctx context.Context, environment string) error {
	p, err := r.open(ctx, environment)
	if err != nil {
		return err
	}
	defer r.close()
	first := p.Config.ComponentNames()[:1]
	if len(r.components) > 0 {
		first = r.components[:1]
	}
	r.step("audit --env " + environment + " --component " + first[0] + " --sandbox")
	trails, err := p.Audit(ctx, pipelines.LookRequest{Environment: environment, Components: first})
	if err != nil {
		return err
	}
	if err := trails.Text(r.process.Stdout); err != nil {
		return err
	}
	r.step("status --sandbox")
	board, err := p.Status(ctx, status.Request{Components: r.components})
	if err != nil {
		return err
	}
	return board.Text(r.process.Stdout)
}
