package registries

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/opencontainers/go-digest"
	specs "github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content/memory"

	"github.com/berth-sh/berth/pipelines/registry"
)

// attach pushes a record whose subject is the image.
func attach(t *testing.T, r *registry.Repository, subject ocispec.Descriptor) ocispec.Descriptor {
	t.Helper()
	store := memory.New()
	add := func(mediaType string, body []byte) ocispec.Descriptor {
		d := ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(body), Size: int64(len(body))}
		if err := store.Push(t.Context(), d, bytes.NewReader(body)); err != nil {
			t.Fatal(err)
		}
		return d
	}
	body, err := json.Marshal(ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
		ArtifactType: "application/vnd.acme.record", Config: add(ocispec.MediaTypeEmptyJSON, []byte("{}")),
		Layers: []ocispec.Descriptor{add("text/plain", []byte("record"))}, Subject: &subject,
	})
	if err != nil {
		t.Fatal(err)
	}
	desc := add(ocispec.MediaTypeImageManifest, body)
	if _, err := r.Push(t.Context(), store, desc, registry.PushOptions{}); err != nil {
		t.Fatal(err)
	}
	return desc
}
