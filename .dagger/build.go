package main

import (
	"context"
	"os"
	"path/filepath"

	"github.com/berth-sh/berth/.dagger/internal/dagger"
	"github.com/berth-sh/berth/pipelines"
	"github.com/berth-sh/berth/pipelines/image"
)

// Build the images without publishing them, as an OCI image layout
//
// Example: dagger call build export --path images
func (b *Berth) Build(
	ctx context.Context,
	// Components; default: all.
	// +optional
	components []string,
	// Platforms; default: all of berth.yaml.
	// +optional
	platforms []dagger.Platform,
) (*dagger.Directory, error) {
	return b.layout(ctx, pipelines.BuildRequest{Components: components, Platforms: names(platforms)})
}

// Build one component for one platform, as a container
//
// Example: dagger call container --component web up --use-entrypoint --ports 8080:8080
func (b *Berth) Container(
	ctx context.Context,
	// Component of berth.yaml.
	component string,
	// Platform; default: that of the engine.
	// +optional
	platform dagger.Platform,
) (*dagger.Container, error) {
	if platform == "" {
		own, err := dag.DefaultPlatform(ctx)
		if err != nil {
			return nil, err
		}
		platform = own
	}
	return with(ctx, b, "", func(o *opened) (*dagger.Container, error) {
		images, release, err := o.pipeline.Build(ctx, pipelines.BuildRequest{
			Components: []string{component}, Platforms: []string{string(platform)},
		})
		if err != nil {
			return nil, err
		}
		defer release()
		wanted, err := image.ParsePlatform(string(platform))
		if err != nil {
			return nil, err
		}
		f, err := os.Create(component + ".tar")
		if err != nil {
			return nil, err
		}
		if err := image.WriteDockerArchive(ctx, f, images[0], wanted, []string{component + ":latest"}); err != nil {
			return nil, err
		}
		if err := f.Close(); err != nil {
			return nil, err
		}
		archive := dag.CurrentModule().WorkdirFile(component + ".tar")
		return dag.Container(dagger.ContainerOpts{Platform: platform}).Import(archive).Sync(ctx)
	})
}

// layout builds into an OCI layout in the module's working folder, which the engine can read.
func (b *Berth) layout(ctx context.Context, r pipelines.BuildRequest) (*dagger.Directory, error) {
	return with(ctx, b, "", func(o *opened) (*dagger.Directory, error) {
		if err := o.pipeline.CanBuild(r); err != nil {
			return nil, err
		}
		images, release, err := o.pipeline.Build(ctx, r)
		if err != nil {
			return nil, err
		}
		defer release()
		dir, err := filepath.Abs("images")
		if err != nil {
			return nil, err
		}
		if err := image.WriteLayout(ctx, dir, images); err != nil {
			return nil, err
		}
		return dag.CurrentModule().Workdir("images").Sync(ctx)
	})
}
