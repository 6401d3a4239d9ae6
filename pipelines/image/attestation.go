package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
)

const (
	// StatementMediaType is that of an in-toto statement without a signature, and the artifact type of a referrer that
	// carries such statements.
	// Source: https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md
	StatementMediaType = "application/vnd.in-toto+json"

	// AnnotationPredicateType names what kind of statement a layer or a referrer carries. BuildKit and Docker's own
	// images use it.
	// Source: https://docs.docker.com/build/metadata/attestations/attestation-storage/
	AnnotationPredicateType = "in-toto.io/predicate-type"

	annotationReference = "vnd.docker.reference.digest"

	// maxStatement is the size in bytes of the largest statement that is read into memory: SBOMs of large images have
	// some millions.
	maxStatement = 64 << 20
)

// Attestation is a referrer that carries what a builder said about the image of one platform: in-toto statements of one
// predicate type, such as its provenance or its SBOM. They name the machine and the hour, and differ from build to
// build.
type Attestation struct {
	// Descriptor is that of the referrer's manifest, with its artifact type and annotations.
	Descriptor ocispec.Descriptor
	// Subject is the manifest of the platform's image.
	Subject ocispec.Descriptor
	// Platform of the image, as [PlatformString] writes it.
	Platform string
	// PredicateType is a URI such as https://slsa.dev/provenance/v1.
	PredicateType string
}

// IsAttestation tells BuildKit's provenance and SBOM documents, which stand beside the images in its index.
// Source: https://docs.docker.com/build/metadata/attestations/attestation-storage/
func IsAttestation(d ocispec.Descriptor) bool {
	return d.Annotations["vnd.docker.reference.type"] == "attestation-manifest" ||
		(d.Platform != nil && d.Platform.OS == "unknown")
}

// statements are those of one attestation manifest of a builder.
type statements struct {
	from   *archive
	layers []ocispec.Descriptor
}

// findStatements adds the statements of an attestation manifest. What is no in-toto statement is passed over, as the
// format wants it.
func (a *archive) findStatements(ctx context.Context, d ocispec.Descriptor, found *findings) error {
	if !isManifest(d.MediaType) {
		return nil
	}
	var manifest ocispec.Manifest
	if err := fetchJSON(ctx, a, d, &manifest); err != nil {
		return err
	}
	about := digest.Digest(d.Annotations[annotationReference])
	if about == "" && manifest.Subject != nil {
		about = manifest.Subject.Digest
	}
	one := statements{from: a}
	for _, layer := range manifest.Layers {
		if layer.MediaType == StatementMediaType && layer.Annotations[AnnotationPredicateType] != "" {
			one.layers = append(one.layers, layer)
		}
	}
	if about != "" && len(one.layers) > 0 {
		found.statements[about] = append(found.statements[about], one)
	}
	return nil
}

// attested is an attestation with its content.
type attested struct {
	Attestation
	blobs []Blob
}

func (x *Index) attach(a attested) {
	for _, b := range a.blobs {
		x.blobs[b.Descriptor.Digest] = b
	}
	x.Attestations = append(x.Attestations, a.Attestation)
}

// attest makes a referrer for each predicate type of what a builder said about an image, which is subject now: labels
// were added to what it built.
func (s Spec) attest(
	ctx context.Context, p ocispec.Platform, subject ocispec.Descriptor, b built, said []statements,
) ([]attested, error) {
	layers := map[string][]Blob{}
	var types []string
	for _, one := range said {
		for _, d := range one.layers {
			kind := d.Annotations[AnnotationPredicateType]
			blob, err := s.statement(ctx, one.from, d, b.digest, subject.Digest)
			if err != nil {
				return nil, fmt.Errorf("statement %s: %w", kind, err)
			}
			if !slices.Contains(types, kind) {
				types = append(types, kind)
			}
			layers[kind] = append(layers[kind], blob)
		}
	}
	slices.Sort(types)
	out := make([]attested, 0, len(types))
	for _, kind := range types {
		one, err := s.referrer(p, subject, kind, layers[kind])
		if err != nil {
			return nil, err
		}
		out = append(out, one)
	}
	return out, nil
}

// referrer is the manifest that carries statements of one type.
func (s Spec) referrer(
	p ocispec.Platform, subject ocispec.Descriptor, predicateType string, layers []Blob,
) (attested, error) {
	subject = ocispec.Descriptor{MediaType: subject.MediaType, Digest: subject.Digest, Size: subject.Size}
	annotations := map[string]string{
		AnnotationPredicateType: predicateType, ocispec.AnnotationCreated: s.Created.Format(time.RFC3339),
	}
	manifest := ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
		ArtifactType: StatementMediaType, Config: ocispec.DescriptorEmptyJSON, Subject: &subject,
		Annotations: annotations,
	}
	for _, l := range layers {
		d := l.Descriptor
		d.Annotations = map[string]string{AnnotationPredicateType: predicateType}
		manifest.Layers = append(manifest.Layers, d)
	}
	top, err := jsonBlob(ocispec.MediaTypeImageManifest, manifest)
	if err != nil {
		return attested{}, err
	}
	d := top.Descriptor
	d.ArtifactType, d.Annotations = StatementMediaType, annotations
	return attested{
		Attestation: Attestation{
			Descriptor: d, Subject: subject, Platform: PlatformString(p), PredicateType: predicateType,
		},
		blobs: append([]Blob{top, memoryBlob(ocispec.MediaTypeEmptyJSON, ocispec.DescriptorEmptyJSON.Data)}, layers...),
	}, nil
}

// statement writes a builder's statement into a file, with the image that is published as its subject.
func (s Spec) statement(
	ctx context.Context, from content.Fetcher, d ocispec.Descriptor, built, published digest.Digest,
) (Blob, error) {
	if d.Size > maxStatement {
		return Blob{}, fmt.Errorf("it has %d bytes; at most %d are read", d.Size, maxStatement)
	}
	data, err := content.FetchAll(ctx, from, d)
	if err != nil {
		return Blob{}, err
	}
	if data, err = s.about(data, built, published); err != nil {
		return Blob{}, err
	}
	out := content.NewDescriptorFromBytes(StatementMediaType, data)
	path := filepath.Join(s.WorkDir, s.Component+"_"+out.Digest.Encoded()+".json")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		return Blob{}, err
	}
	return fileBlob(out, path), nil
}

// subject is what a statement is about.
type subject struct {
	Name   string            `json:"name"`
	Digest map[string]string `json:"digest"`
}

// about puts the published image in the place of the built one among the subjects of a statement. A builder that was
// not told a name leaves the subjects empty.
func (s Spec) about(data []byte, built, published digest.Digest) ([]byte, error) {
	all := object{}
	if err := json.Unmarshal(data, &all); err != nil {
		return nil, err
	}
	var subjects []subject
	if err := all.get("subject", &subjects); err != nil {
		return nil, err
	}
	if len(subjects) == 0 {
		subjects = []subject{{Digest: map[string]string{built.Algorithm().String(): built.Encoded()}}}
	}
	for i, one := range subjects {
		if one.Digest[built.Algorithm().String()] == built.Encoded() {
			subjects[i] = subject{
				Name: s.Component, Digest: map[string]string{published.Algorithm().String(): published.Encoded()},
			}
		}
	}
	if err := all.set("subject", subjects); err != nil {
		return nil, err
	}
	return json.Marshal(all)
}

// readAttestation adds a referrer that a layout lists to the image that it belongs to, and returns its content.
func readAttestation(
	ctx context.Context, images []Index, src content.ReadOnlyStorage, d ocispec.Descriptor,
) ([]Blob, error) {
	var manifest ocispec.Manifest
	if err := fetchJSON(ctx, src, d, &manifest); err != nil {
		return nil, err
	}
	if manifest.Subject == nil {
		return nil, errors.New("it has no subject")
	}
	kind := manifest.Annotations[AnnotationPredicateType]
	if kind == "" {
		return nil, errors.New("it has no annotation " + AnnotationPredicateType)
	}
	for i := range images {
		at := slices.IndexFunc(images[i].Manifest.Manifests, func(m ocispec.Descriptor) bool {
			return m.Digest == manifest.Subject.Digest
		})
		if at < 0 {
			continue
		}
		one := attested{Attestation: Attestation{
			Descriptor: ocispec.Descriptor{
				MediaType: d.MediaType, Digest: d.Digest, Size: d.Size, ArtifactType: manifest.ArtifactType,
				Annotations: manifest.Annotations,
			},
			Subject: *manifest.Subject, PredicateType: kind,
		}}
		if p := images[i].Manifest.Manifests[at].Platform; p != nil {
			one.Platform = PlatformString(*p)
		}
		for _, b := range append([]ocispec.Descriptor{d, manifest.Config}, manifest.Layers...) {
			if err := b.Digest.Validate(); err != nil {
				return nil, fmt.Errorf("%q: %w", b.Digest, err)
			}
			one.blobs = append(one.blobs, fetchBlob(b, src))
		}
		images[i].attach(one)
		return one.blobs, nil
	}
	return nil, fmt.Errorf("it is about %s, which is no image of the layout", manifest.Subject.Digest)
}

// compareAttestations orders them by platform and predicate type.
func compareAttestations(a, b Attestation) int {
	if c := strings.Compare(a.Platform, b.Platform); c != 0 {
		return c
	}
	return strings.Compare(a.PredicateType, b.PredicateType)
}
