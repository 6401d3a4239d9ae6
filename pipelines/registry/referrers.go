package registry

import (
	"context"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Referrers lists the manifests whose subject is the digest, such as signatures and records, in the registry's order.
// artifactType leaves only those of that type; "" means all. A registry without the referrers API is asked for the
// fallback tag of the distribution specification (section "Referrers Tag Schema"). None is no error, whether the digest
// is there or not; an unknown repository is one, which wraps [ErrNotFound].
func (r *Repository) Referrers(ctx context.Context, subject, artifactType string) ([]ocispec.Descriptor, error) {
	op := operation{verb: "list the referrers of", ref: subject}
	d, err := digest.Parse(subject)
	if err != nil {
		return nil, r.fault(ctx, op, err)
	}
	var found []ocispec.Descriptor
	err = r.remote.Referrers(ctx, ocispec.Descriptor{Digest: d}, artifactType,
		func(page []ocispec.Descriptor) error {
			found = append(found, page...)
			return nil
		})
	if err != nil {
		return nil, r.fault(ctx, op, err)
	}
	return found, nil
}

// HasReferrersAPI tells whether the registry lists referrers itself. Where it does not, each is noted in the index
// under a fallback tag, which two writers at once can spoil. The error wraps [ErrNotFound] when the repository does not
// exist, because registries then do not tell.
func (r *Repository) HasReferrersAPI(ctx context.Context) (bool, error) {
	err := r.remote.Referrers(ctx, ocispec.Descriptor{Digest: digest.FromString("")}, "",
		func([]ocispec.Descriptor) error { return nil })
	if err != nil {
		return false, r.fault(ctx, operation{verb: "ask for the referrers API of"}, err)
	}
	// What was found out is remembered and cannot be changed: the answer is whether "supported" still fits.
	return r.remote.SetReferrersCapability(true) == nil, nil
}
