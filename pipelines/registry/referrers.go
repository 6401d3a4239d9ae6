package registry

import (
	"context"
	"sync"

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
	first := r.api.first()
	if !first {
		if err := r.api.wait(ctx); err != nil {
			return nil, err
		}
	}
	if known, supported := r.api.state(); known {
		_ = r.remote.SetReferrersCapability(supported) // what this repository itself has answered stands
	}
	var found []ocispec.Descriptor
	err = r.remote.Referrers(ctx, ocispec.Descriptor{Digest: d}, artifactType,
		func(page []ocispec.Descriptor) error {
			found = append(found, page...)
			return nil
		})
	// An answer settles it for the repository, and cannot be changed then: what is asked is whether "supported" fits.
	r.api.answer(first, err == nil, err == nil && r.remote.SetReferrersCapability(true) == nil)
	if err != nil {
		return nil, r.fault(ctx, op, err)
	}
	return found, nil
}

// referrersAPI is whether the repositories under one path, such as the components of an environment, list referrers
// themselves. The first one that is asked tells it for all: registries of different software may share a host, but not
// the path.
type referrersAPI struct {
	mu       sync.Mutex
	begun    bool
	answered chan struct{} // closed after the first question, whatever came of it

	known, supported bool
}

// first tells whether nobody has asked yet: then the caller does, and must call answer.
func (a *referrersAPI) first() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	first := !a.begun
	a.begun = true
	return first
}

// asked tells whether somebody has asked, or does so just now.
func (a *referrersAPI) asked() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.begun
}

// wait waits while somebody else asks the first question.
func (a *referrersAPI) wait(ctx context.Context) error {
	select {
	case <-a.answered:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (a *referrersAPI) answer(first, known, supported bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if known {
		a.known, a.supported = true, supported
	}
	if first {
		close(a.answered)
	}
}

func (a *referrersAPI) state() (known, supported bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.known, a.supported
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
