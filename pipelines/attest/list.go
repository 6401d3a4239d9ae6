package attest

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
	"oras.land/oras-go/v2/content"

	"github.com/berth-sh/berth/pipelines/registry"
)

// ErrOtherImage is the Err of a document that is attached to an image that it is not about.
var ErrOtherImage = errors.New("it is about another image")

// Attestation is a document that is attached to an image.
type Attestation struct {
	Document
	// Manifest is the referrer that carries the document.
	Manifest ocispec.Descriptor
	// Predicate is what the statement says: *[Approval], *[Revocation] or *[Promotion]; nil when Err is not.
	Predicate Predicate
	// Err says why the document cannot be used: it is damaged, of another form, or about another image. Such a
	// document is listed because somebody put it there, and it counts for nothing.
	Err error
}

// Made is when the statement was made, as it says itself; zero when it cannot be read.
func (a Attestation) Made() time.Time {
	if a.Predicate == nil {
		return time.Time{}
	}
	return a.Predicate.made()
}

// maxAttestations is the number of attestations of one image that are read, so that nobody can fill the memory.
const maxAttestations = 10_000

// concurrent is the number of attestations that are read at once.
const concurrent = 8

// List reads berth's attestations of an image, those of the predicate types, or all; the oldest first. A repository
// that does not exist gives an error that wraps [registry.ErrNotFound].
func List(ctx context.Context, r Reader, subject digest.Digest, predicateTypes ...string) ([]Attestation, error) {
	if len(predicateTypes) == 0 {
		predicateTypes = []string{ApprovalType, RevocationType, PromotionType}
	}
	types := map[string]string{}
	for _, predicate := range predicateTypes {
		types[artifactTypeOf(predicate)] = predicate
	}
	filter := ""
	if len(types) == 1 {
		filter = artifactTypeOf(predicateTypes[0])
	}
	listed, err := r.Referrers(ctx, subject.String(), filter)
	if err != nil {
		return nil, err
	}
	listed = slices.DeleteFunc(slices.Clone(listed), func(x ocispec.Descriptor) bool {
		return types[x.ArtifactType] == ""
	})
	if len(listed) > maxAttestations {
		return nil, fmt.Errorf("%s has %d attestations; at most %d are read", subject, len(listed), maxAttestations)
	}
	found := make([]Attestation, len(listed))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(concurrent)
	for i, desc := range listed {
		g.Go(func() (err error) {
			found[i], err = read(gctx, r, subject, desc, types[desc.ArtifactType])
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	slices.SortFunc(found, func(a, b Attestation) int {
		return cmp.Or(a.Made().Compare(b.Made()), strings.Compare(string(a.Manifest.Digest), string(b.Manifest.Digest)))
	})
	return found, nil
}

// read fetches one attestation. Only a registry that fails is an error; what is wrong with the attestation is in it.
func read(
	ctx context.Context, r Reader, subject digest.Digest, desc ocispec.Descriptor, predicateType string,
) (Attestation, error) {
	a := Attestation{Manifest: desc}
	raw, _, err := r.Manifest(ctx, desc.Digest.String())
	if errors.Is(err, registry.ErrNotFound) {
		return a.unusable(errors.New("it is listed, but is not there")), nil
	}
	if err != nil {
		return a, err
	}
	layer, err := onlyLayer(raw)
	if err != nil {
		return a.unusable(err), nil
	}
	data, err := content.FetchAll(ctx, r, layer)
	switch {
	case errors.Is(err, registry.ErrNotFound):
		return a.unusable(errors.New("its document is not there")), nil
	case errors.Is(err, content.ErrMismatchedDigest), errors.Is(err, content.ErrTrailingData):
		return a.unusable(errors.New("its document is damaged")), nil
	case err != nil:
		return a, err
	}
	a.Document, a.Err = ParseDocument(layer.MediaType, data)
	if a.Err == nil {
		a.Predicate, a.Err = understood(a.Statement, subject, predicateType)
	}
	return a, nil
}

func (a Attestation) unusable(err error) Attestation {
	a.Err = err
	return a
}

// onlyLayer is the layer with the document.
func onlyLayer(manifest []byte) (ocispec.Descriptor, error) {
	var m ocispec.Manifest
	if err := json.Unmarshal(manifest, &m); err != nil {
		return ocispec.Descriptor{}, fmt.Errorf("its manifest: %w", err)
	}
	if len(m.Layers) != 1 {
		return ocispec.Descriptor{}, fmt.Errorf("it has %d documents instead of one", len(m.Layers))
	}
	layer := m.Layers[0]
	if layer.Size < 0 || layer.Size > maxDocument {
		return ocispec.Descriptor{}, fmt.Errorf("its document has %d bytes; at most %d are read", layer.Size, maxDocument)
	}
	return layer, layer.Digest.Validate()
}

// understood reads the predicate of a statement about the image.
func understood(s Statement, subject digest.Digest, predicateType string) (Predicate, error) {
	if !s.About(subject) {
		return nil, ErrOtherImage
	}
	if s.PredicateType != predicateType {
		return nil, fmt.Errorf("it is a %q in the guise of a %q", s.PredicateType, predicateType)
	}
	return predicateOf(s)
}

// OfType tells whether the attestation was listed as one of the predicate type, readable or not.
func (a Attestation) OfType(predicateType string) bool {
	return a.Manifest.ArtifactType == artifactTypeOf(predicateType)
}
