package publish

import (
	"context"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/berth-sh/berth/pipelines/guard"
	"github.com/berth-sh/berth/pipelines/plan"
)

// Observed is what the tags of a plan name at the registry before anything is sent: repository → tag → digest, "" for
// a tag that does not exist.
type Observed map[string]guard.Seen

// Observe is the preflight: it refuses a plan with refusals and an account that may not write, then looks at every tag.
// It needs no image, so that it can run beside the build and stop it early.
func (p *Publisher) Observe(ctx context.Context, pl plan.Plan) (Observed, error) {
	if err := pl.Err(); err != nil {
		return nil, err
	}
	if err := p.checkWriters(ctx, pl); err != nil {
		return nil, err
	}
	seen := Observed{}
	var mu sync.Mutex
	g, gctx := errgroup.WithContext(ctx)
	for _, x := range pl.Images {
		target, err := p.open(x.Repository)
		if err != nil {
			return nil, err
		}
		var names []string
		for _, tag := range x.Tags {
			names = append(names, tag.Name)
		}
		g.Go(func() error {
			found, err := guard.Look(gctx, target, names)
			mu.Lock()
			defer mu.Unlock()
			seen[x.Repository] = found
			return err
		})
	}
	return seen, g.Wait()
}

// checkWriters holds the list of accounts that may write to the environment.
func (p *Publisher) checkWriters(ctx context.Context, pl plan.Plan) error {
	if len(pl.Writers) == 0 || len(pl.Images) == 0 {
		return nil
	}
	account, err := p.account(ctx, pl.Images[0].Repository)
	if err != nil {
		return err
	}
	return guard.Writers(pl.Environment, pl.Writers, account)
}
