package main

import (
	"context"
	"strings"

	"github.com/berth-sh/berth/.dagger/internal/dagger"
	"github.com/berth-sh/berth/pipelines"
	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/report"
	"github.com/berth-sh/berth/pipelines/retention"
)

// Show every tag of an environment with its verdict, or delete those that have served their time
//
// Example: dagger call retention --env dev
//
// +cache="never"
func (b *Berth) Retention(
	ctx context.Context,
	// Environment of berth.yaml.
	env string,
	// Delete what is shown as expired. Every tag is judged again first.
	// +optional
	apply bool,
	// Components; default: all.
	// +optional
	components []string,
	// File with images that run somewhere and stay: digests, references, or the JSON of pods.
	// +optional
	inUse *dagger.File,
	// How the result is written.
	// +default="table"
	format Format,
) (string, error) {
	return with(ctx, b, env, func(o *opened) (string, error) {
		r := pipelines.RetentionRequest{
			Environment: env, Components: components, OwnAPIs: !b.Settings.Sandbox && b.Settings.RegistryService == nil,
		}
		if inUse != nil {
			text, err := inUse.Contents(ctx)
			if err != nil {
				return "", fault.New(fault.Usage, "--in-use", "name a file that can be read", "%w", err)
			}
			if r.InUse, err = retention.ParseInUse("--in-use", []byte(text)); err != nil {
				return "", err
			}
		}
		if apply {
			done, err := o.pipeline.ApplyRetention(ctx, r)
			if err != nil {
				return "", err
			}
			return write(format, done, done.Text)
		}
		judged, err := o.pipeline.PlanRetention(ctx, r)
		if err != nil {
			return "", err
		}
		return write(format, judged, judged.Text)
	})
}

// Print the retention of an environment as the registry's own policy: of ECR, Quay or Artifact Registry
//
// Example: dagger call retention-policy --env dev
func (b *Berth) RetentionPolicy(
	ctx context.Context,
	// Environment of berth.yaml.
	env string,
) (string, error) {
	return with(ctx, b, env, func(o *opened) (string, error) {
		rendered, err := o.pipeline.RenderRetention(env)
		if err != nil {
			return "", err
		}
		var text strings.Builder
		if err := report.JSON(&text, rendered.Policy); err != nil {
			return "", err
		}
		return text.String(), nil
	})
}
