package pipelines

import (
	"context"

	"github.com/berth-sh/berth/pipelines/status"
)

// Status reads what is where: components × environments.
func (p *Pipeline) Status(ctx context.Context, r status.Request) (status.Board, error) {
	s, err := p.read(ctx)
	if err != nil {
		return status.Board{}, err
	}
	return status.Reader{
		Config:   p.Config,
		Open:     func(name string) (status.Repository, error) { return p.client.Repository(name) },
		Head:     s.facts.Commit,
		Distance: p.repository.Distance,
		Now:      p.options.Now,
	}.Read(ctx, r)
}
