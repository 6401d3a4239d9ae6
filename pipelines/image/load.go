package image

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"

	"github.com/berth-sh/berth/pipelines/fault"
)

const (
	dockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	dockerIndex    = "application/vnd.docker.distribution.manifest.list.v2+json"

	// maxManifest is the largest manifest that is read into memory, the limit that registries set as well. Sizes come
	// from outside.
	maxManifest = 4 << 20
	// maxDepth bounds indexes inside indexes.
	maxDepth = 4
)

func isManifest(mediaType string) bool {
	return mediaType == ocispec.MediaTypeImageManifest || mediaType == dockerManifest
}

func isIndex(mediaType string) bool {
	return mediaType == ocispec.MediaTypeImageIndex || mediaType == dockerIndex
}

// Load reads the image of an index that lies in another store: all manifests now, verified, configurations and layers
// when they are opened. An image without an index, or one of which a child is missing, is a fault with code
// [fault.Usage].
func Load(ctx context.Context, component string, src content.ReadOnlyStorage, desc ocispec.Descriptor) (Index, error) {
	if !isIndex(desc.MediaType) {
		return Index{}, fault.New(fault.Usage, component,
			"build it as a multi-platform image: an image index, even if it lists one platform",
			"%s is no image index but %q", desc.Digest, desc.MediaType)
	}
	desc = ocispec.Descriptor{MediaType: desc.MediaType, Digest: desc.Digest, Size: desc.Size}
	x := Index{Component: component, Descriptor: desc, blobs: map[digest.Digest]Blob{}}
	if err := x.load(ctx, src, desc, maxDepth); err != nil {
		return Index{}, &fault.Error{
			Op: "read the image", Subject: component, Err: err, Code: fault.Usage, Next: "build or copy the image again",
		}
	}
	r, err := x.blobs[desc.Digest].Open(ctx)
	if err != nil {
		return Index{}, err
	}
	defer r.Close()
	if err := json.NewDecoder(r).Decode(&x.Manifest); err != nil {
		return Index{}, fmt.Errorf("%s: %w", desc.Digest, err)
	}
	return x, nil
}

// load adds a manifest or index and all it refers to. The subject of a manifest is another image and is left alone.
func (x Index) load(ctx context.Context, src content.ReadOnlyStorage, desc ocispec.Descriptor, depth int) error {
	if _, ok := x.blobs[desc.Digest]; ok {
		return nil
	}
	if depth == 0 {
		return fmt.Errorf("%s: indexes are nested more than %d deep", desc.Digest, maxDepth)
	}
	data, err := fetchSmall(ctx, src, desc)
	if err != nil {
		return err
	}
	x.blobs[desc.Digest] = memoryBlob(desc.MediaType, data)
	var refers struct {
		Manifests []ocispec.Descriptor `json:"manifests"`
		Config    *ocispec.Descriptor  `json:"config"`
		Layers    []ocispec.Descriptor `json:"layers"`
	}
	if err := json.Unmarshal(data, &refers); err != nil {
		return fmt.Errorf("%s: %w", desc.Digest, err)
	}
	if isIndex(desc.MediaType) {
		for _, m := range refers.Manifests {
			if !isIndex(m.MediaType) && !isManifest(m.MediaType) {
				return fmt.Errorf("%s: media type %q is neither manifest nor index", m.Digest, m.MediaType)
			}
			if err := x.load(ctx, src, m, depth-1); err != nil {
				return err
			}
		}
		return nil
	}
	if refers.Config == nil {
		return fmt.Errorf("%s: the manifest has no configuration", desc.Digest)
	}
	for _, d := range append([]ocispec.Descriptor{*refers.Config}, refers.Layers...) {
		if err := x.refer(ctx, src, d); err != nil {
			return err
		}
	}
	return nil
}

// refer adds content that stays in src.
func (x Index) refer(ctx context.Context, src content.ReadOnlyStorage, d ocispec.Descriptor) error {
	if err := d.Digest.Validate(); err != nil {
		return fmt.Errorf("%q: %w", d.Digest, err)
	}
	ok, err := src.Exists(ctx, d)
	if err != nil {
		return fmt.Errorf("%s: %w", d.Digest, err)
	}
	if !ok {
		return fmt.Errorf("%s is missing", d.Digest)
	}
	x.blobs[d.Digest] = fetchBlob(d, src)
	return nil
}

// fetchSmall reads a manifest or configuration into memory, verified.
func fetchSmall(ctx context.Context, src content.Fetcher, desc ocispec.Descriptor) ([]byte, error) {
	if desc.Size > maxManifest {
		return nil, fmt.Errorf("%s: %d bytes is more than a manifest may have (%d)", desc.Digest, desc.Size, maxManifest)
	}
	data, err := content.FetchAll(ctx, src, desc)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", desc.Digest, err)
	}
	return data, nil
}
