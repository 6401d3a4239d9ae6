package main

import (
	"context"

	"github.com/berth-sh/berth/pipelines"
	"github.com/berth-sh/berth/pipelines/fault"
)

// Tell what happened to images: built, approved, promoted, rolled back, and who signed it
//
// Example: dagger call audit --env production
//
// +cache="never"
func (b *Berth) Audit(
	ctx context.Context,
	// Images: REPOSITORY:TAG, REPOSITORY@DIGEST, or COMPONENT:TAG with --env; default: the components of --env.
	// +optional
	refs []string,
	// Environment of berth.yaml.
	// +optional
	env string,
	// Components; default: all of --env.
	// +optional
	components []string,
	// Version of the images of --env; default: what is there now.
	// +optional
	release string,
	// How the result is written.
	// +default="table"
	format Format,
) (string, error) {
	return with(ctx, b, env, func(o *opened) (string, error) {
		r, err := look(refs, env, release, components)
		if err != nil {
			return "", err
		}
		trails, err := o.pipeline.Audit(ctx, r)
		if err != nil {
			return "", err
		}
		return write(format, trails, trails.Text)
	})
}

// Check images: their bytes, platforms, approvals, record and signatures
//
// Example: dagger call verify --env production
//
// +cache="never"
func (b *Berth) Verify(
	ctx context.Context,
	// Images: REPOSITORY:TAG, REPOSITORY@DIGEST, or COMPONENT:TAG with --env; default: the components of --env.
	// +optional
	refs []string,
	// Environment of berth.yaml.
	// +optional
	env string,
	// Components; default: all of --env.
	// +optional
	components []string,
	// Version of the images of --env; default: what is there now.
	// +optional
	release string,
	// How the result is written.
	// +default="table"
	format Format,
) (string, error) {
	return with(ctx, b, env, func(o *opened) (string, error) {
		r, err := look(refs, env, release, components)
		if err != nil {
			return "", err
		}
		found, err := o.pipeline.Verify(ctx, r, "")
		if err != nil {
			return "", err
		}
		if err := found.Err(); err != nil {
			return "", err
		}
		return write(format, found, found.Text)
	})
}

// look says which images are meant.
func look(refs []string, env, release string, components []string) (pipelines.LookRequest, error) {
	r := pipelines.LookRequest{Refs: refs, Environment: env, Components: components}
	if len(refs) == 0 && env == "" {
		return r, fault.New(fault.Usage, "", "name an environment, --env ENV, or images: --refs REPOSITORY:TAG",
			"neither --env nor --refs says which images are meant")
	}
	picked, err := picked("", release, nil)
	r.Version = picked.Version
	return r, err
}
