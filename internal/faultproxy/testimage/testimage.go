// Package testimage makes small multi-platform images for tests of registries. They are no runnable images, but valid
// graphs: an index, two manifests, two configurations, one layer of each manifest's own and one that they share.
package testimage

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"testing"

	"github.com/opencontainers/go-digest"
	specs "github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content/memory"
)

// Blobs is the number of different blobs of an image, manifests apart.
const Blobs = 5

// Image is a test image in memory.
type Image struct {
	*memory.Store
	// Root is the descriptor of the index.
	Root ocispec.Descriptor
	// Index is the content of Root.
	Index []byte
	// Shared is the layer that both manifests have, and every image made with the same shared seed.
	Shared ocispec.Descriptor
	// Bytes is the size of all blobs, manifests apart.
	Bytes int64
}

// New makes the image. The same name and size give the same image; the shared layer depends on the size alone. size is
// that of each layer in bytes.
func New(t *testing.T, name string, size int) Image {
	t.Helper()
	x := Image{Store: memory.New()}
	x.Shared = x.add(t, ocispec.MediaTypeImageLayerGzip, noise("shared", size))
	x.Bytes = x.Shared.Size
	index := ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex}
	for _, arch := range []string{"amd64", "arm64"} {
		platform := ocispec.Platform{OS: "linux", Architecture: arch}
		config := x.add(t, ocispec.MediaTypeImageConfig, encode(t, ocispec.Image{Author: name, Platform: platform}))
		own := x.add(t, ocispec.MediaTypeImageLayerGzip, noise(name+arch, size))
		x.Bytes += config.Size + own.Size
		m := x.add(t, ocispec.MediaTypeImageManifest, encode(t, ocispec.Manifest{
			Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
			Config: config, Layers: []ocispec.Descriptor{x.Shared, own},
		}))
		m.Platform = &platform
		index.Manifests = append(index.Manifests, m)
	}
	x.Index = encode(t, index)
	x.Root = x.add(t, ocispec.MediaTypeImageIndex, x.Index)
	return x
}

func (x Image) add(t *testing.T, mediaType string, body []byte) ocispec.Descriptor {
	t.Helper()
	desc := ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(body), Size: int64(len(body))}
	if err := x.Push(t.Context(), desc, bytes.NewReader(body)); err != nil {
		t.Fatal(err)
	}
	return desc
}

func encode(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// noise is incompressible content that depends on the name alone.
func noise(name string, size int) []byte {
	var seed [32]byte
	copy(seed[:], digest.FromString(name).Encoded())
	b := make([]byte, size)
	_, _ = rand.NewChaCha8(seed).Read(b)
	return b
}
