package chart

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"

	"github.com/berth-sh/berth/pipelines/chart/wire"
)

func packed(body string) wire.Answer {
	return wire.Answer{
		Chart: "shop", Version: "1.2.3+build.4", Metadata: []byte(`{"name":"shop","description":"A shop"}`),
		Files: []wire.File{{Name: "shop/Chart.yaml", Data: []byte("name: shop\n")}, {Name: "shop/templates/a.yaml", Data: []byte(body)}},
	}
}

// TestPack reads the artifact back with other code than wrote it, as a client of the registry does.
func TestPack(t *testing.T) {
	t.Parallel()
	a, err := Pack(t.Context(), packed("a: 1\n"))
	if err != nil {
		t.Fatal(err)
	}
	again, err := Pack(t.Context(), packed("a: 1\n"))
	if err != nil || again.Descriptor.Digest != a.Descriptor.Digest {
		t.Errorf("two runs: %s and %s, %v", a.Descriptor.Digest, again.Descriptor.Digest, err)
	}
	other, err := Pack(t.Context(), packed("a: 2\n"))
	if err != nil || other.Descriptor.Digest == a.Descriptor.Digest {
		t.Errorf("another chart has the same digest, %v", err)
	}
	if a.tag() != "1.2.3_build.4" {
		t.Errorf("tag %s", a.tag())
	}
	if kind := a.Descriptor.MediaType; kind != ocispec.MediaTypeImageManifest {
		t.Errorf("media type %s", kind)
	}
	raw, err := content.FetchAll(t.Context(), a.Content, a.Descriptor)
	if err != nil || !bytes.Equal(raw, a.Manifest) {
		t.Errorf("manifest %s, %v", raw, err)
	}
	want := map[string]string{"shop/Chart.yaml": "name: shop\n", "shop/templates/a.yaml": "a: 1\n"}
	if diff := cmp.Diff(want, unpack(t, a.Archive)); diff != "" {
		t.Errorf("archive (-want +got):\n%s", diff)
	}
}

func unpack(t *testing.T, archive []byte) map[string]string {
	t.Helper()
	zip, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for r := tar.NewReader(zip); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		out[h.Name] = string(data)
	}
}
