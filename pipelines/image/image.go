package image

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/errdef"
)

// Blob is content that is addressed by its digest and can be opened any number of times.
type Blob struct {
	// Descriptor is the blob's media type, digest and size in bytes.
	Descriptor ocispec.Descriptor
	// Open returns the content from its start. A local blob's reader is also an [io.Seeker], so that an upload which
	// breaks off can be sent again.
	Open func(ctx context.Context) (io.ReadCloser, error)
}

// Index is a multi-platform image as a value: the index, its manifests, their configurations and layers. It is an oras
// content.ReadOnlyStorage, so that it can be copied into a registry or an OCI layout by the same code.
type Index struct {
	// Component is the name of the component in berth.yaml.
	Component string
	// Descriptor is that of the index itself. Its digest is the digest of the image.
	Descriptor ocispec.Descriptor
	// Manifest is the parsed index.
	Manifest ocispec.Index
	// Attestations are what the builder said about the images of the platforms. They are no part of the image and its
	// digest, but the Index holds their content too.
	Attestations []Attestation

	blobs map[digest.Digest]Blob
}

// Exists reports whether the image holds the blob.
func (x Index) Exists(_ context.Context, target ocispec.Descriptor) (bool, error) {
	_, ok := x.blobs[target.Digest]
	return ok, nil
}

// Fetch opens a blob of the image. Its error wraps [errdef.ErrNotFound] when the image has no such blob.
func (x Index) Fetch(ctx context.Context, target ocispec.Descriptor) (io.ReadCloser, error) {
	b, ok := x.blobs[target.Digest]
	if !ok {
		return nil, fmt.Errorf("%s: %s: %w", x.Component, target.Digest, errdef.ErrNotFound)
	}
	return b.Open(ctx)
}

// Platforms lists the platforms of the image in the order of the index, as "os/architecture[/variant]". Attestation
// children ("unknown/unknown") do not count.
func (x Index) Platforms() []string {
	return platformsOf(x.Manifest.Manifests)
}

// PlatformString writes a platform as "os/architecture[/variant]", normalised by [NormalizePlatform]: two platforms are
// the same when their strings are.
func PlatformString(p ocispec.Platform) string {
	p = NormalizePlatform(p)
	s := p.OS + "/" + p.Architecture
	if p.Variant != "" {
		s += "/" + p.Variant
	}
	return s
}

// NormalizePlatform writes the variant that an architecture has anyway in one way, as containerd does: arm64/v8 is
// arm64, amd64/v1 is amd64, and arm alone is arm/v7.
func NormalizePlatform(p ocispec.Platform) ocispec.Platform {
	switch {
	case p.Architecture == "arm64" && p.Variant == "v8", p.Architecture == "amd64" && p.Variant == "v1":
		p.Variant = ""
	case p.Architecture == "arm" && p.Variant == "":
		p.Variant = "v7"
	}
	return p
}

// ParsePlatform reads "os/architecture[/variant]" and normalises it by [NormalizePlatform].
func ParsePlatform(s string) (ocispec.Platform, error) {
	parts := strings.Split(s, "/")
	for _, part := range parts {
		if part == "" {
			return ocispec.Platform{}, fmt.Errorf("platform %q is not os/architecture[/variant]", s)
		}
	}
	switch len(parts) {
	case 2:
		return NormalizePlatform(ocispec.Platform{OS: parts[0], Architecture: parts[1]}), nil
	case 3:
		return NormalizePlatform(ocispec.Platform{OS: parts[0], Architecture: parts[1], Variant: parts[2]}), nil
	default:
		return ocispec.Platform{}, fmt.Errorf("platform %q is not os/architecture[/variant]", s)
	}
}
