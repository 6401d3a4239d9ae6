package attest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/content/memory"

	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/registry"
)

// Reader is a repository, or an OCI layout, whose attestations are read.
type Reader interface {
	// Referrers lists the manifests with this subject; artifactType "" means all.
	Referrers(ctx context.Context, subject, artifactType string) ([]ocispec.Descriptor, error)
	// Manifest reads a manifest by tag or digest and verifies its digest.
	Manifest(ctx context.Context, ref string) ([]byte, ocispec.Descriptor, error)
	// Fetch opens a blob, without verifying it.
	Fetch(ctx context.Context, desc ocispec.Descriptor) (io.ReadCloser, error)
}

// Repository takes attestations, and gives them back.
type Repository interface {
	Reader
	Store
}

// attempts bounds how often an attestation is put again that another writer pushed out of the fallback tag.
const attempts = 5

// Attach attaches a document to the image subject, which the repository must have, and returns the manifest that
// carries it. When it returns without an error, the repository has listed the attestation.
func Attach(ctx context.Context, r Repository, subject ocispec.Descriptor, d Document) (ocispec.Descriptor, error) {
	store := memory.New()
	desc, err := pack(ctx, store, subject, d)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	if err := Put(ctx, r, withSubject{store, subject}, subject, desc); err != nil {
		return ocispec.Descriptor{}, err
	}
	return desc, nil
}

// Store is a repository that referrers are put into.
type Store interface {
	// Referrers lists the manifests with this subject; artifactType "" means all.
	Referrers(ctx context.Context, subject, artifactType string) ([]ocispec.Descriptor, error)
	// Push sends a graph by digest, and nothing that is there already.
	Push(ctx context.Context, src content.ReadOnlyStorage, root ocispec.Descriptor,
		o registry.PushOptions) (registry.Uploaded, error)
	// Tag puts a manifest under a tag, or under its digest again.
	Tag(ctx context.Context, manifest []byte, desc ocispec.Descriptor, tag string) error
}

// Put sends a referrer of src to a repository, and its subject where that is missing. When it returns without an error,
// the repository has listed the referrer.
func Put(ctx context.Context, r Store, src content.ReadOnlyStorage, subject, desc ocispec.Descriptor) error {
	if _, err := r.Push(ctx, src, desc, registry.PushOptions{}); err != nil {
		return err
	}
	manifest, err := content.FetchAll(ctx, src, desc)
	if err != nil {
		return err
	}
	// Without the referrers API the list is an index under a tag, which two writers at once replace by each other's. To
	// look again finds most of that; a writer that comes after the look is not seen.
	for range attempts {
		listed, err := r.Referrers(ctx, subject.Digest.String(), "")
		if err != nil {
			return err
		}
		if slices.ContainsFunc(listed, func(x ocispec.Descriptor) bool { return x.Digest == desc.Digest }) {
			return nil
		}
		if err := r.Tag(ctx, manifest, desc, desc.Digest.String()); err != nil {
			return err
		}
	}
	return &fault.Error{
		Op: "attach a statement to", Subject: subject.Digest.String(), Code: fault.Unavailable, Retryable: true,
		Err:  errors.New("the registry took it, but does not list it: somebody else writes there all the time"),
		Next: "run the same command again later",
	}
}

// Ahead sends what every attestation has in common, so that the first one of a repository takes fewer steps later. It
// changes nothing that anybody sees.
func Ahead(ctx context.Context, r Repository) error {
	store := memory.New()
	empty := ocispec.DescriptorEmptyJSON
	if err := store.Push(ctx, empty, bytes.NewReader(empty.Data)); err != nil {
		return err
	}
	_, err := r.Push(ctx, store, empty, registry.PushOptions{})
	return err
}

// withSubject lets the subject pass for a part of the source: it is never read, as the repository has it.
type withSubject struct {
	content.ReadOnlyStorage
	subject ocispec.Descriptor
}

// Fetch implements content.ReadOnlyStorage.
func (s withSubject) Fetch(ctx context.Context, target ocispec.Descriptor) (io.ReadCloser, error) {
	if target.Digest == s.subject.Digest {
		return nil, fmt.Errorf("the repository does not have the image %s", target.Digest)
	}
	return s.ReadOnlyStorage.Fetch(ctx, target)
}

// pack makes the manifest that carries a document. It depends on the document alone.
func pack(
	ctx context.Context, store *memory.Store, subject ocispec.Descriptor, d Document,
) (ocispec.Descriptor, error) {
	artifact := artifactTypeOf(d.Statement.PredicateType)
	if artifact == "" {
		return ocispec.Descriptor{}, fmt.Errorf("predicate type %q has no artifact type", d.Statement.PredicateType)
	}
	layer := content.NewDescriptorFromBytes(d.MediaType(), d.bytes)
	if err := store.Push(ctx, layer, bytes.NewReader(d.bytes)); err != nil {
		return ocispec.Descriptor{}, err
	}
	said, err := predicateOf(d.Statement)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	// Only what addresses the subject goes in: the same image may be known by other annotations elsewhere.
	image := ocispec.Descriptor{MediaType: subject.MediaType, Digest: subject.Digest, Size: subject.Size}
	return oras.PackManifest(ctx, store, oras.PackManifestVersion1_1, artifact, oras.PackManifestOptions{
		Subject: &image,
		Layers:  []ocispec.Descriptor{layer},
		ManifestAnnotations: map[string]string{
			ocispec.AnnotationCreated: said.made().UTC().Format(time.RFC3339),
		},
	})
}
