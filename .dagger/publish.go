package main

import (
	"context"

	"github.com/berth-sh/berth/.dagger/internal/dagger"
	"github.com/berth-sh/berth/pipelines"
	"github.com/berth-sh/berth/pipelines/plan"
)

// Build, push and tag the images of an environment
//
// All images are pushed by digest first, and only when all are up the tags are set. The same call again sends nothing,
// and finishes what was interrupted.
//
// Example: dagger call publish --env dev
//
// +cache="never"
func (b *Berth) Publish(
	ctx context.Context,
	// Environment of berth.yaml; default: the one whose refs match the git ref best.
	// +optional
	env string,
	// Components; default: all.
	// +optional
	components []string,
	// Platforms; default: all of berth.yaml.
	// +optional
	platforms []dagger.Platform,
	// Only show the plan.
	// +optional
	dryRun bool,
	// How the result is written.
	// +default="table"
	format Format,
) (string, error) {
	request := plan.Request{Environment: env, Components: components, Platforms: names(platforms)}
	return with(ctx, b, env, func(o *opened) (string, error) {
		if dryRun {
			pl, err := o.pipeline.Plan(ctx, request)
			if err != nil {
				return "", err
			}
			if err := pl.Err(); err != nil {
				return "", err
			}
			return write(format, pl, pl.Text)
		}
		receipt, err := o.pipeline.Publish(ctx, pipelines.PublishRequest{Request: request})
		if err != nil {
			return "", err
		}
		receipt.Sandbox = b.Settings.Sandbox
		return write(format, receipt, receipt.Text)
	})
}

// Publish to every environment in registries that exist for the rehearsal only
//
// Example: dagger call rehearse
//
// +cache="never"
func (b *Berth) Rehearse(
	ctx context.Context,
	// How the result is written.
	// +default="table"
	format Format,
) (string, error) {
	return with(ctx, b, "", func(o *opened) (string, error) {
		rehearsal, err := o.pipeline.Rehearse(ctx, pipelines.BuildRequest{})
		if err != nil {
			return "", err
		}
		return write(format, rehearsal, rehearsal.Text)
	})
}
