package pipelines

import (
	"context"

	"github.com/berth-sh/berth/pipelines/approve"
	"github.com/berth-sh/berth/pipelines/attest"
	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/guard"
	"github.com/berth-sh/berth/pipelines/promote"
	"github.com/berth-sh/berth/pipelines/sandbox"
)

// roadTo lists the environments by which images come to one, itself last.
func (p *Pipeline) roadTo(environment string) []string {
	road := []string{environment}
	for e := p.Config.Environments[environment]; e.Promote != nil; e = p.Config.Environments[e.Promote.From] {
		road = append([]string{e.Promote.From}, road...)
	}
	return road
}

// promoteTwice rehearses a promotion. Approvals are not rehearsed, as nobody has given any; neither is the key.
func (p *Pipeline) promoteTwice(
	ctx context.Context, box *sandbox.Sandbox, to string, components []string, out *Rehearsed,
) error {
	promoter, err := p.promoter(ctx, p.rehearsalClient(box, to), PromoteRequest{Request: promote.Request{To: to}})
	if err != nil {
		return err
	}
	promoter.Approved = func(context.Context, promote.Subject) (approve.Verdict, error) { return approve.Verdict{}, nil }
	promoter.Chart = nil // no chart is pushed in a rehearsal
	if p.Config.Environments[to].Promote.Signed {
		if promoter.Signer, err = passingSigner(); err != nil {
			return err
		}
	}
	out.Tags = []string{}
	for _, again := range []bool{false, true} {
		work, err := promoter.Prepare(ctx, promote.Request{To: to, Components: components})
		if err != nil {
			return err
		}
		receipt, err := p.applyPromotion(ctx, promoter, work, SandboxRepositories(box))
		if err != nil {
			return err
		}
		for _, x := range receipt.Images {
			for _, t := range x.Tags {
				if again && (t.Action == guard.ActionCreated || t.Action == guard.ActionMoved) {
					return fault.New(fault.Failed, "environment "+to, "", "the second promotion %s %s", t.Action, t.Name)
				}
				if !again && x.Component == receipt.Images[0].Component {
					out.Tags = append(out.Tags, t.Name)
				}
			}
		}
	}
	out.Outcome, out.Reason = OutcomePromoted, "from "+p.Config.Environments[to].Promote.From+
		", without asking for approvals; the second promotion changed nothing"
	return nil
}

// passingSigner is a key that nobody keeps.
func passingSigner() (*attest.Signer, error) {
	pair, err := attest.GeneratePair(nil)
	if err != nil {
		return nil, err
	}
	return attest.ParsePrivateKey(pair.Private, func() ([]byte, error) { return nil, nil })
}
