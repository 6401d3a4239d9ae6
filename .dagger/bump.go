package main

import (
	"context"

	"github.com/berth-sh/berth/.dagger/internal/dagger"
)

// Rewrite the version in the files of version.bump, as changes to apply
//
// The git tag is made where the changes are committed: berth version tag --push
//
// Example: dagger call bump --to 1.1.0
func (b *Berth) Bump(
	ctx context.Context,
	// Version, or major, minor, patch or next.
	to string,
) (*dagger.Changeset, error) {
	return with(ctx, b, "", func(o *opened) (*dagger.Changeset, error) {
		files, err := o.pipeline.Rewritten(ctx, to)
		if err != nil {
			return nil, err
		}
		after := b.Source
		for name, content := range files {
			after = after.WithNewFile(name, string(content))
		}
		return after.Changes(b.Source), nil
	})
}
