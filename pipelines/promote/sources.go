package promote

import (
	"context"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/berth-sh/berth/pipelines/guard"
	"github.com/berth-sh/berth/pipelines/registry"
)

// Source is the image of a component that a promotion would take.
type Source struct {
	Component  string
	Repository *registry.Repository
	Descriptor ocispec.Descriptor
	// Tag is the one by which it was found, "" for a digest.
	Tag string
	// Said is what the image says of itself.
	Said guard.Said
}

// Sources finds the images that a promotion would take, without looking at the target. Approvals are given to these.
func (p *Promoter) Sources(ctx context.Context, r Request) ([]Source, error) {
	checked, err := p.route(r)
	if err != nil {
		return nil, err
	}
	w := &Work{route: checked}
	for _, name := range checked.components {
		j := &job{component: name}
		if j.source, err = p.Open(p.Config.FullRepositoryOf(checked.from, name)); err != nil {
			return nil, err
		}
		j.copier = registry.NewCopier(j.source, j.source, p.mounts) // only reads
		w.jobs = append(w.jobs, j)
	}
	if err := p.pickAll(ctx, w); err != nil {
		return nil, err
	}
	err = each(ctx, w.jobs, func(ctx context.Context, j *job) error {
		raw, err := j.copier.Read(ctx, j.picked.desc)
		j.found.said = guard.Read(raw)
		return err
	})
	var out []Source
	for _, j := range w.jobs {
		out = append(out, Source{
			Component: j.component, Repository: j.source, Descriptor: j.picked.desc, Tag: j.picked.tag, Said: j.found.said,
		})
	}
	return out, err
}
