package pipelines

import (
	"context"
	"fmt"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/image"
	"github.com/berth-sh/berth/pipelines/plan"
	"github.com/berth-sh/berth/pipelines/publish"
	"github.com/berth-sh/berth/pipelines/registry"
)

// PublishRequest says what to publish, and where from.
type PublishRequest struct {
	plan.Request
	// From is an OCI layout that `berth build --output` wrote; empty builds first.
	From string
}

// Publish builds the images of a plan, or reads them from a layout, and publishes them.
func (p *Pipeline) Publish(ctx context.Context, r PublishRequest) (publish.Receipt, error) {
	pl, err := p.Plan(ctx, r.Request)
	if err != nil {
		return publish.Receipt{}, err
	}
	if err := pl.Err(); err != nil {
		return publish.Receipt{}, err // before any work, and before a registry is asked
	}
	if r.From == "" {
		if err := p.CanBuild(BuildRequest{Components: r.Components, Platforms: r.Platforms}); err != nil {
			return publish.Receipt{}, err
		}
	}
	missing := p.missingRepositories(pl, p.repositories)
	publisher := p.publisher(p.client, missing)
	var (
		images  []image.Index
		seen    publish.Observed
		release = func() {}
	)
	// The registry is asked beside the build, so that wrong credentials stop it early.
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		seen, err = publisher.Observe(gctx, pl)
		return err
	})
	g.Go(func() error { return missing.look(gctx) })
	g.Go(func() (err error) {
		if r.From != "" {
			images, err = p.fromLayout(ctx, r.From)
			return err
		}
		images, release, err = p.Build(gctx, BuildRequest{Components: r.Components, Platforms: r.Platforms})
		return err
	})
	err = g.Wait()
	if release != nil {
		defer release()
	}
	if err != nil {
		return publish.Receipt{}, err
	}
	return publisher.Apply(ctx, pl, seen, images)
}

func (p *Pipeline) publisher(client *registry.Client, missing *missing) *publish.Publisher {
	return publish.New(
		func(name string) (publish.Target, error) {
			repository, err := client.Repository(name)
			return creating{repository, missing}, err
		},
		func(ctx context.Context, name string) (string, error) {
			repository, err := client.Repository(name)
			if err != nil {
				return "", err
			}
			return repository.Account(ctx)
		},
		p.repository.Descends,
		p.options.Progress,
	)
}

// fromLayout reads images that were built before. They must be of the commit that is checked out, because tags are
// computed from it.
func (p *Pipeline) fromLayout(ctx context.Context, dir string) ([]image.Index, error) {
	s, err := p.read(ctx)
	if err != nil {
		return nil, err
	}
	images, err := image.ReadLayout(ctx, abs(p.options.Dir, dir))
	if err != nil {
		return nil, err
	}
	want := builder{state: s}.revision()
	for _, x := range images {
		said := x.Manifest.Annotations
		if got := said[ocispec.AnnotationRevision]; got != want {
			return nil, fault.New(fault.Usage, "--from "+dir, "check out that commit, or build again: berth build --output "+dir,
				"%s was built from commit %s, but %s is checked out", x.Component, got, want)
		}
		if got := said[ocispec.AnnotationVersion]; got != s.base.String() {
			return nil, fault.New(fault.Usage, "--from "+dir,
				fmt.Sprintf("set VERSION=%s, or build again: berth build --output %s", got, dir),
				"%s was built as version %s, but this is version %s", x.Component, got, s.base)
		}
	}
	return images, nil
}
