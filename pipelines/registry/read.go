package registry

import (
	"context"
	"io"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Exists reports whether the repository has a manifest or blob. With [Repository.Fetch] it makes a repository a source
// to copy or build from.
func (r *Repository) Exists(ctx context.Context, desc ocispec.Descriptor) (bool, error) {
	ok, err := r.remote.Exists(ctx, desc)
	return ok, r.fault(ctx, operation{verb: "look up", ref: desc.Digest.String()}, err)
}

// Fetch opens a manifest or blob. The reader does not verify the content.
func (r *Repository) Fetch(ctx context.Context, desc ocispec.Descriptor) (io.ReadCloser, error) {
	body, err := r.remote.Fetch(ctx, desc)
	return body, r.fault(ctx, operation{verb: "read", ref: desc.Digest.String()}, err)
}
