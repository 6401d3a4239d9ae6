package image_test

import (
	"archive/tar"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/image"
)

// layoutDir writes what a builder would: blobs by digest, and an index.json over the manifests.
type layoutDir struct {
	t     testing.TB
	dir   string
	index ocispec.Index
}

func newLayoutDir(t testing.TB) *layoutDir {
	t.Helper()
	return &layoutDir{t: t, dir: t.TempDir()}
}

func (l *layoutDir) blob(mediaType string, data []byte) ocispec.Descriptor {
	l.t.Helper()
	d := ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}
	dir := filepath.Join(l.dir, "blobs", "sha256")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		l.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, d.Digest.Encoded()), data, 0o600); err != nil {
		l.t.Fatal(err)
	}
	return d
}

func (l *layoutDir) json(mediaType string, v any) ocispec.Descriptor {
	l.t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		l.t.Fatal(err)
	}
	return l.blob(mediaType, data)
}

// image adds an image with a configuration as BuildKit writes it.
func (l *layoutDir) image(config, layer string) ocispec.Descriptor {
	l.t.Helper()
	d := l.blob("application/vnd.docker.image.rootfs.diff.tar.gzip", []byte(layer))
	d.Annotations = map[string]string{"buildkit/rewritten-timestamp": "1", "org.example": "kept"}
	return l.json("application/vnd.docker.distribution.manifest.v2+json", ocispec.Manifest{
		Config: l.blob("application/vnd.docker.container.image.v1+json", []byte(config)),
		Layers: []ocispec.Descriptor{d, d},
	})
}

func (l *layoutDir) write(manifests ...ocispec.Descriptor) string {
	l.t.Helper()
	l.index.Manifests = manifests
	data, err := json.Marshal(l.index)
	if err != nil {
		l.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(l.dir, "index.json"), data, 0o600); err != nil {
		l.t.Fatal(err)
	}
	return l.dir
}

// packed is the layout as a tar archive.
func (l *layoutDir) packed() string {
	l.t.Helper()
	name := filepath.Join(l.t.TempDir(), "layout.tar")
	file, err := os.Create(name)
	if err != nil {
		l.t.Fatal(err)
	}
	w := tar.NewWriter(file)
	if err := w.AddFS(os.DirFS(l.dir)); err != nil {
		l.t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		l.t.Fatal(err)
	}
	return name
}

const buildkitConfig = `{"architecture":"ARCH","os":"linux","created":"2030-01-01T00:00:00Z","config":{"Env":["A=b"],
"Labels":{"org.opencontainers.image.title":"the base's","own":"kept"},"Healthcheck":{"Test":["CMD","/x"]}},
"history":[{"created":"2001-01-01T00:00:00Z"},{"created":"2030-01-01T00:00:00.5Z","created_by":"RUN x"}],
"rootfs":{"type":"layers","diff_ids":[]}}`

func configFor(arch string) string { return strings.ReplaceAll(buildkitConfig, "ARCH", arch) }

func adoptSpec() image.Spec {
	return image.Spec{
		Component: "api", Title: "api", Version: "1.2.3", Created: time.Unix(1_700_000_000, 0),
		Labels: map[string]string{"team": "harbour"},
	}
}

func TestAdopt(t *testing.T) {
	t.Parallel()
	l := newLayoutDir(t)
	attestation := l.image(configFor("amd64"), "a document")
	attestation.Platform = &ocispec.Platform{OS: "unknown", Architecture: "unknown"}
	nested := l.json(ocispec.MediaTypeImageIndex, ocispec.Index{
		Manifests: []ocispec.Descriptor{l.image(configFor("arm64"), "arm"), attestation},
	})
	dir := l.write(l.image(configFor("amd64"), "amd"), nested)
	platforms := []ocispec.Platform{platform(t, "linux/arm64/v8"), platform(t, "linux/amd64")}
	x, err := image.Adopt(t.Context(), adoptSpec(), platforms, dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"linux/amd64", "linux/arm64"}, x.Platforms()); diff != "" {
		t.Fatal(diff)
	}
	manifest, _ := parts(t, x, 1)
	if manifest.MediaType != ocispec.MediaTypeImageManifest || manifest.Config.MediaType != ocispec.MediaTypeImageConfig {
		t.Errorf("%+v", manifest)
	}
	layer := manifest.Layers[0]
	if layer.MediaType != ocispec.MediaTypeImageLayerGzip || !cmp.Equal(layer.Annotations, map[string]string{"org.example": "kept"}) {
		t.Errorf("%+v", layer)
	}
	if got := string(fetch(t, x, layer)); got != "arm" {
		t.Errorf("layer %q", got)
	}
	var config struct {
		Created time.Time
		Config  struct {
			Labels      map[string]string
			Healthcheck any
		}
		History []ocispec.History
	}
	if err := json.Unmarshal(fetch(t, x, manifest.Config), &config); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"own": "kept", "team": "harbour", ocispec.AnnotationTitle: "api", ocispec.AnnotationVersion: "1.2.3",
		ocispec.AnnotationCreated: "2023-11-14T22:13:20Z",
	}
	if diff := cmp.Diff(want, config.Config.Labels); diff != "" {
		t.Error(diff)
	}
	if config.Config.Healthcheck == nil || !config.Created.Equal(adoptSpec().Created) ||
		config.History[0].Created.Year() != 2001 || !config.History[1].Created.Equal(adoptSpec().Created) {
		t.Errorf("%+v", config)
	}

	packed, err := image.Adopt(t.Context(), adoptSpec(), platforms, l.packed())
	if err != nil {
		t.Fatal(err)
	}
	if packed.Descriptor.Digest != x.Descriptor.Digest || string(fetch(t, packed, layer)) != "arm" {
		t.Errorf("the archive gives %s, the folder %s", packed.Descriptor.Digest, x.Descriptor.Digest)
	}
	if err := image.WriteLayout(t.Context(), filepath.Join(t.TempDir(), "out"), []image.Index{packed}); err != nil {
		t.Error(err)
	}
}

// An image names what it stands on, and not what that stands on.
func TestAdoptNamesTheBase(t *testing.T) {
	t.Parallel()
	platforms := []ocispec.Platform{platform(t, "linux/amd64"), platform(t, "linux/arm64")}
	inherited := `{"config":{"Labels":{"org.opencontainers.image.base.name":"below","org.opencontainers.image.base.digest":"sha256:00"}},` +
		`"os":"linux","architecture":"ARCH"}`
	l := newLayoutDir(t)
	dir := l.write(l.image(strings.ReplaceAll(inherited, "ARCH", "amd64"), "x"), l.image(strings.ReplaceAll(inherited, "ARCH", "arm64"), "x"))
	pinned := image.Base{Name: "docker.io/library/alpine:3", Digest: digest.FromString("alpine")}
	tagged := image.Base{Name: "docker.io/library/alpine:3"}
	for name, c := range map[string]struct {
		bases     map[string]image.Base
		index     image.Base
		platforms [2]image.Base
	}{
		"pinned":      {map[string]image.Base{"linux/amd64": pinned, "linux/arm64": pinned}, pinned, [2]image.Base{pinned, pinned}},
		"tagged":      {map[string]image.Base{"linux/amd64": tagged, "linux/arm64": tagged}, tagged, [2]image.Base{tagged, tagged}},
		"by platform": {map[string]image.Base{"linux/amd64": tagged, "linux/arm64": pinned}, image.Base{}, [2]image.Base{tagged, pinned}},
		"not known":   {nil, image.Base{}, [2]image.Base{{Name: "below", Digest: "sha256:00"}, {Name: "below", Digest: "sha256:00"}}},
	} {
		s := adoptSpec()
		s.Bases = c.bases
		x, err := image.Adopt(t.Context(), s, platforms, dir)
		if err != nil {
			t.Fatal(err)
		}
		check := func(what string, said map[string]string, want image.Base) {
			if said[ocispec.AnnotationBaseImageName] != want.Name || said[ocispec.AnnotationBaseImageDigest] != want.Digest.String() {
				t.Errorf("%s: %s says %v, want %s %s", name, what, said, want.Name, want.Digest)
			}
		}
		check("the index", x.Manifest.Annotations, c.index)
		for i := range platforms {
			_, config := parts(t, x, i)
			check("a platform", config.Config.Labels, c.platforms[i])
		}
	}
}

func TestAdoptFails(t *testing.T) {
	t.Parallel()
	amd64 := []ocispec.Platform{platform(t, "linux/amd64")}
	for name, c := range map[string]struct {
		layout func(l *layoutDir) string
		want   string
	}{
		"another platform": {func(l *layoutDir) string { return l.write(l.image(configFor("arm64"), "x")) }, "no image for it, but for linux/arm64"},
		"a bad config":     {func(l *layoutDir) string { return l.write(l.image("[]", "x")) }, "cannot unmarshal"},
		"no config":        {func(l *layoutDir) string { return l.write(l.json(ocispec.MediaTypeImageManifest, ocispec.Manifest{})) }, "digest"},
		"null labels": {func(l *layoutDir) string {
			return l.write(l.image(`{"architecture":"amd64","os":"linux","config":{"Labels":7}}`, "x"))
		}, "Labels"},
		"not a layout": {func(l *layoutDir) string { return l.dir }, "index.json"},
		"not there":    {func(l *layoutDir) string { return filepath.Join(l.dir, "nope") }, "no such file"},
		"an artifact":  {func(l *layoutDir) string { return l.write(l.blob("text/plain", []byte("x"))) }, "neither manifest nor index"},
		"no archive": {func(l *layoutDir) string {
			name := filepath.Join(l.dir, "x.tar")
			if err := os.WriteFile(name, []byte(strings.Repeat("x", 1024)), 0o600); err != nil {
				l.t.Fatal(err)
			}
			return name
		}, "no tar archive"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := image.Adopt(t.Context(), adoptSpec(), amd64, c.layout(newLayoutDir(t)))
			if fault.CodeOf(err) != fault.Failed || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

// Configurations come from a builder's image, which may come from anywhere.
func TestAdoptOddConfigurations(t *testing.T) {
	t.Parallel()
	for _, config := range []string{
		`{"architecture":"amd64","os":"linux"}`,
		`{"architecture":"amd64","os":"linux","config":null,"history":null}`,
		`{"architecture":"amd64","os":"linux","config":{"Labels":null},"history":[{}]}`,
	} {
		l := newLayoutDir(t)
		x, err := image.Adopt(t.Context(), adoptSpec(), []ocispec.Platform{platform(t, "linux/amd64")}, l.write(l.image(config, "x")))
		if err != nil {
			t.Fatalf("%s: %v", config, err)
		}
		if _, c := parts(t, x, 0); c.Config.Labels["team"] != "harbour" {
			t.Errorf("%s: %+v", config, c)
		}
	}
}

func FuzzAdopt(f *testing.F) {
	for _, seed := range []string{
		configFor("amd64"), `{"architecture":"amd64","os":"linux","config":null,"history":[null]}`, `{"architecture":"amd64","os":"linux","config":{"Labels":{"a":"b"}}}`, `[]`,
	} {
		f.Add(seed)
	}
	amd64 := []ocispec.Platform{{OS: "linux", Architecture: "amd64"}}
	f.Fuzz(func(t *testing.T, config string) {
		l := newLayoutDir(t)
		dir := l.write(l.image(config, "x"))
		x, err := image.Adopt(t.Context(), adoptSpec(), amd64, dir)
		if err != nil {
			return
		}
		again, err := image.Adopt(t.Context(), adoptSpec(), amd64, dir)
		if err != nil || again.Descriptor.Digest != x.Descriptor.Digest {
			t.Fatalf("%v, %s and %s", err, x.Descriptor.Digest, again.Descriptor.Digest)
		}
		if _, c := parts(t, x, 0); c.Config.Labels["team"] != "harbour" {
			t.Fatalf("%+v", c)
		}
	})
}
