package image_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/content/memory"

	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/image"
)

const (
	dockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	dockerList     = "application/vnd.docker.distribution.manifest.list.v2+json"
	dockerLayer    = "application/vnd.docker.image.rootfs.diff.tar.gzip"
	dockerConfig   = "application/vnd.docker.container.image.v1+json"
)

// shelf is a store with pulled images in it.
type shelf struct {
	t     testing.TB
	store *memory.Store
}

func newShelf(t testing.TB) shelf { return shelf{t, memory.New()} }

func (s shelf) put(mediaType string, value any) ocispec.Descriptor {
	s.t.Helper()
	data, ok := value.([]byte)
	if !ok {
		var err error
		if data, err = json.Marshal(value); err != nil {
			s.t.Fatal(err)
		}
	}
	d := content.NewDescriptorFromBytes(mediaType, data)
	if ok, err := s.store.Exists(s.t.Context(), d); ok || err != nil {
		return d
	}
	if err := s.store.Push(s.t.Context(), d, bytes.NewReader(data)); err != nil {
		s.t.Fatal(err)
	}
	return d
}

// image puts a manifest in Docker's own media types, with one layer.
func (s shelf) image(platformName, layerType string, config ocispec.ImageConfig) ocispec.Descriptor {
	s.t.Helper()
	p := platform(s.t, platformName)
	layer := s.put(layerType, []byte("layer of "+platformName))
	c := s.put(dockerConfig, ocispec.Image{
		Platform: p, Config: config,
		RootFS: ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{digest.FromString("tar of " + platformName)}},
	})
	d := s.put(dockerManifest, ocispec.Manifest{
		MediaType: dockerManifest, Config: c, Layers: []ocispec.Descriptor{layer},
	})
	d.Platform = &p
	return d
}

func (s shelf) list(manifests ...ocispec.Descriptor) ocispec.Descriptor {
	s.t.Helper()
	attestation := s.put(ocispec.MediaTypeImageManifest, ocispec.Manifest{
		Config: s.put(ocispec.MediaTypeImageConfig, ocispec.Image{}),
	})
	attestation.Platform = &ocispec.Platform{OS: "unknown", Architecture: "unknown"}
	return s.put(dockerList, ocispec.Index{
		MediaType: dockerList, Manifests: append([]ocispec.Descriptor{attestation}, manifests...),
	})
}

const baseName = "quay.io/team/base:1"

func fromShelf(t testing.TB, s shelf, d ocispec.Descriptor) image.Base {
	t.Helper()
	base, err := image.FromStorage(t.Context(), baseName, s.store, d)
	if err != nil {
		t.Fatal(err)
	}
	return base
}

func TestFromStorage(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	chosen := ocispec.ImageConfig{
		User: "1001", Env: []string{"PATH=/opt/bin", "TZ=UTC"}, Labels: map[string]string{"quay.expires-after": "1d"},
	}
	desc := s.list(s.image("linux/amd64", dockerLayer, chosen), s.image("linux/arm64", dockerLayer, chosen))
	x := assemble(t, spec(t, fromShelf(t, s, desc), "linux/arm64", "linux/amd64"))
	if got := x.Manifest.Annotations[ocispec.AnnotationBaseImageName]; got != baseName {
		t.Errorf("base name %q", got)
	}
	if got := x.Manifest.Annotations[ocispec.AnnotationBaseImageDigest]; got != desc.Digest.String() {
		t.Errorf("base digest %q", got)
	}
	manifest, config := parts(t, x, 1)
	if got := string(fetch(t, x, manifest.Layers[0])); got != "layer of linux/arm64" {
		t.Errorf("the base layer holds %q", got)
	}
	if got := manifest.Layers[0].MediaType; got != ocispec.MediaTypeImageLayerGzip {
		t.Errorf("the base layer has media type %q", got)
	}
	if got := config.RootFS.DiffIDs[0]; got != digest.FromString("tar of linux/arm64") {
		t.Errorf("diff ID %s", got)
	}
	if diff := cmp.Diff(chosen.Env, config.Config.Env); diff != "" {
		t.Error(diff)
	}
	if config.Config.User != "1001" {
		t.Errorf("user %q", config.Config.User)
	}
	if _, ok := config.Config.Labels["quay.expires-after"]; ok {
		t.Error("a label of the base became one of the image")
	}
}

func TestBaseThatRunsAsRoot(t *testing.T) {
	t.Parallel()
	for _, user := range []string{"", "0", "root", "0:0", "root:root"} {
		s := newShelf(t)
		base := fromShelf(t, s, s.image("linux/amd64", dockerLayer, ocispec.ImageConfig{User: user}))
		_, config := parts(t, assemble(t, spec(t, base, "linux/amd64")), 0)
		if config.Config.User != "65532:65532" {
			t.Errorf("base user %q gives %q", user, config.Config.User)
		}
	}
}

func TestBaseVariants(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ have, want, picked string }{
		{"linux/amd64 linux/amd64/v3", "linux/amd64/v3", "linux/amd64/v3"},
		{"linux/amd64 linux/amd64/v3", "linux/amd64/v4", "linux/amd64/v3"},
		{"linux/amd64", "linux/amd64/v2", "linux/amd64"},
		{"linux/amd64/v2", "linux/amd64", ""},
		{"linux/arm/v6", "linux/arm/v7", "linux/arm/v6"},
		{"linux/arm/v7", "linux/arm/v6", ""},
		{"linux/arm64/v8", "linux/arm64", "linux/arm64/v8"},
		{"linux/amd64", "linux/arm64", ""},
		{"windows/amd64", "linux/amd64", ""},
	} {
		s := newShelf(t)
		var manifests []ocispec.Descriptor
		for _, p := range strings.Fields(c.have) {
			manifests = append(manifests, s.image(p, dockerLayer, ocispec.ImageConfig{}))
		}
		x, err := image.Assemble(t.Context(), spec(t, fromShelf(t, s, s.list(manifests...)), c.want))
		if c.picked == "" {
			if fault.CodeOf(err) != fault.Usage || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s on %s: code %d, %v", c.want, c.have, fault.CodeOf(err), err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s on %s: %v", c.want, c.have, err)
			continue
		}
		manifest, _ := parts(t, x, 0)
		if got := string(fetch(t, x, manifest.Layers[0])); got != "layer of "+c.picked {
			t.Errorf("%s on %s: %s", c.want, c.have, got)
		}
	}
}

func TestBaseIsRefused(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	broken := s.put(ocispec.MediaTypeImageManifest, ocispec.Manifest{
		Config: s.put(ocispec.MediaTypeImageConfig, ocispec.Image{
			Platform: platform(t, "linux/amd64"), RootFS: ocispec.RootFS{DiffIDs: []digest.Digest{"sha256:1", "sha256:2"}},
		}),
		Layers: []ocispec.Descriptor{s.put(ocispec.MediaTypeImageLayerGzip, []byte("x"))},
	})
	foreign := "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
	for name, c := range map[string]struct {
		desc ocispec.Descriptor
		says string
	}{
		"not an image":   {s.put("text/plain", []byte("hello")), "no image"},
		"other platform": {s.image("linux/arm64", dockerLayer, ocispec.ImageConfig{}), "no linux/amd64"},
		"foreign layer":  {s.image("linux/amd64", foreign, ocispec.ImageConfig{}), "layer of media type"},
		"diff IDs":       {broken, "2 diff IDs"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			base, err := image.FromStorage(t.Context(), baseName, s.store, c.desc)
			if err == nil {
				_, err = image.Assemble(t.Context(), spec(t, base, "linux/amd64"))
			}
			if fault.CodeOf(err) != fault.Usage || !strings.Contains(err.Error(), c.says) ||
				!strings.Contains(err.Error(), baseName) {
				t.Errorf("code %d: %v", fault.CodeOf(err), err)
			}
		})
	}
}
