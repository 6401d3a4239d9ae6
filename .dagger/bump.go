package main

import (
	"context"
	"path"
	"path/filepath"

	"github.com/berth-sh/berth/.dagger/internal/dagger"
	"github.com/berth-sh/berth/pipelines/fault"
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
		// Changes are applied in the folder in which the caller stands.
		place := path.Clean(b.Settings.Place)
		before := b.Source.Directory(place)
		after := before
		for name, content := range files {
			rel, err := filepath.Rel(place, name)
			if err != nil || !filepath.IsLocal(rel) {
				return nil, fault.New(fault.Usage, name, "call it from the root of the repository",
					"it is not below %s, the folder to which the changes would be applied", place)
			}
			after = after.WithNewFile(rel, string(content))
		}
		return after.Changes(before), nil
	})
}
