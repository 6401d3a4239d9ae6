package main

import (
	"context"

	"github.com/berth-sh/berth/.dagger/internal/dagger"
	"github.com/berth-sh/berth/pipelines/plan"
)

// Show what publish would do, and why
//
// Example: dagger call plan --env dev
func (b *Berth) Plan(
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
	// How the result is written.
	// +default="table"
	format Format,
) (string, error) {
	return with(ctx, b, env, func(o *opened) (string, error) {
		pl, err := o.pipeline.Plan(ctx, plan.Request{Environment: env, Components: components, Platforms: names(platforms)})
		if err != nil {
			return "", err
		}
		text, err := write(format, pl, pl.Text)
		if err != nil {
			return "", err
		}
		for _, r := range pl.Refusals {
			if format == Table {
				text += "\nrefused: " + r.Subject + ": " + r.Reason + "\n  next: " + r.Next + "\n"
			}
		}
		return text, nil
	})
}

// Print the registry of this git ref, or of an environment
//
// Example: dagger call registry --env prd
func (b *Berth) Registry(
	ctx context.Context,
	// Environment of berth.yaml; default: the one whose refs match the git ref best.
	// +optional
	env string,
	// How the result is written.
	// +default="table"
	format Format,
) (string, error) {
	return with(ctx, b, env, func(o *opened) (string, error) {
		chosen, err := o.pipeline.Choose(ctx, env)
		if err != nil {
			return "", err
		}
		return write(format, chosen, line(chosen.Registry))
	})
}

// Print the image tags of this commit, the version tag first
//
// Example: dagger call tags --env dev
func (b *Berth) Tags(
	ctx context.Context,
	// Environment of berth.yaml; default: the one whose refs match the git ref best.
	// +optional
	env string,
	// How the result is written.
	// +default="table"
	format Format,
) (string, error) {
	return with(ctx, b, env, func(o *opened) (string, error) {
		tags, err := o.pipeline.Tags(ctx, env)
		if err != nil {
			return "", err
		}
		names := make([]string, 0, len(tags))
		for _, t := range tags {
			names = append(names, t.Name)
		}
		return write(format, tags, line(names...))
	})
}

// names are platforms as berth.yaml writes them.
func names(platforms []dagger.Platform) []string {
	out := make([]string, len(platforms))
	for i, p := range platforms {
		out[i] = string(p)
	}
	return out
}
