package pipelines

import (
	"context"
	"fmt"
	"slices"

	"github.com/berth-sh/berth/pipelines/image"
)

// Reproduced says whether a component's second build gave the same image.
type Reproduced struct {
	Component string `json:"component"`
	// First and Second are the digests of the builds.
	First  string `json:"first"`
	Second string `json:"second"`
	// Differences are none when the digests are the same.
	Differences []image.Difference `json:"differences"`
}

// Reproduce builds again what was built, without caches, and says what differs. That a component cannot be reproduced
// is no error here. Caches that a Dockerfile mounts itself (RUN --mount=type=cache) are used in both builds.
func (p *Pipeline) Reproduce(ctx context.Context, r BuildRequest, images []image.Index) ([]Reproduced, error) {
	r.NoCache = true
	again, release, err := p.Build(ctx, r)
	if err != nil {
		return nil, fmt.Errorf("build a second time: %w", err)
	}
	defer release()
	out := make([]Reproduced, 0, len(images))
	for _, first := range images {
		i := slices.IndexFunc(again, func(x image.Index) bool { return x.Component == first.Component })
		found, err := image.Compare(ctx, first, again[i])
		if err != nil {
			return nil, err
		}
		out = append(out, Reproduced{
			Component: first.Component, First: first.Descriptor.Digest.String(), Second: again[i].Descriptor.Digest.String(),
			Differences: append([]image.Difference{}, found...),
		})
	}
	return out, nil
}
