package image_test

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/berth-sh/berth/pipelines/image"
)

type packed struct {
	name, content string
	mode          int64
	at            int64
}

func tarOf(t testing.TB, files ...packed) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: f.name, Size: int64(len(f.content)), Mode: 0o644 | f.mode, ModTime: time.Unix(f.at, 0)}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(f.content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gzipOf(t testing.TB, data []byte, level int) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, level)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// imageOf is an image for one platform with a layer of the media type's compression, and a variable.
func imageOf(t testing.TB, variable, mediaType string, layer []byte) image.Index {
	t.Helper()
	l := newLayoutDir(t)
	config, err := json.Marshal(ocispec.Image{
		Platform: platform(t, "linux/amd64"), Config: ocispec.ImageConfig{Env: []string{variable}},
	})
	if err != nil {
		t.Fatal(err)
	}
	manifest := l.json(ocispec.MediaTypeImageManifest, ocispec.Manifest{
		Config: l.blob(ocispec.MediaTypeImageConfig, config), Layers: []ocispec.Descriptor{l.blob(mediaType, layer)},
	})
	x, err := image.Adopt(t.Context(), adoptSpec(), []ocispec.Platform{platform(t, "linux/amd64")}, l.write(manifest))
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func TestCompare(t *testing.T) {
	t.Parallel()
	plain := func(files ...packed) image.Index {
		return imageOf(t, "A=b", ocispec.MediaTypeImageLayer, tarOf(t, files...))
	}
	one := packed{name: "etc/one", content: "1", at: 5}
	two := packed{name: "./two", content: "22"}
	encoder, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		a, b image.Index
		want string
	}{
		"the same": {plain(one, two), plain(one, two), ""},
		"mtime": {
			plain(one, two), plain(packed{name: "etc/one", content: "1", at: 6}, two),
			"linux/amd64 layer 1 /etc/one: modification time 1970-01-01T00:00:05Z and 1970-01-01T00:00:06Z",
		},
		"size":    {plain(one), plain(packed{name: "etc/one", content: "1111", at: 5}), "linux/amd64 layer 1 /etc/one: size 1 and 4"},
		"content": {plain(one), plain(packed{name: "etc/one", content: "2", at: 5}), "linux/amd64 layer 1 /etc/one: content sha256:6b86b273ff34 and sha256:d4735e3a265e"},
		"mode":    {plain(two), plain(packed{name: "two", content: "22", mode: 0o111}), "linux/amd64 layer 1 /two: mode 0644 and 0755"},
		"missing": {plain(one, two), plain(two), "linux/amd64 layer 1 /etc/one: only the first build has it"},
		"added":   {plain(one), plain(one, two), "linux/amd64 layer 1 /two: only the second build has it"},
		"order":   {plain(one, two), plain(two, one), "linux/amd64 layer 1: the same files in another order"},
		"compression": {
			imageOf(t, "A=b", ocispec.MediaTypeImageLayerGzip, gzipOf(t, tarOf(t, one), 1)),
			imageOf(t, "A=b", ocispec.MediaTypeImageLayerZstd, encoder.EncodeAll(tarOf(t, one), nil)),
			"linux/amd64 layer 1: the same files, packed in another way",
		},
		"configuration": {
			plain(one), imageOf(t, "A=c", ocispec.MediaTypeImageLayer, tarOf(t, one)),
			`linux/amd64 configuration config.Env[0]: "A=b" and "A=c"`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found, err := image.Compare(t.Context(), c.a, c.b)
			if err != nil {
				t.Fatal(err)
			}
			var lines []string
			for _, d := range found {
				lines = append(lines, d.String())
			}
			if diff := cmp.Diff(c.want, strings.Join(lines, "\n")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestComparePlatforms(t *testing.T) {
	t.Parallel()
	a := assemble(t, spec(t, image.Scratch(), "linux/amd64", "linux/arm64"))
	b := assemble(t, spec(t, image.Scratch(), "linux/amd64"))
	found, err := image.Compare(t.Context(), a, b)
	if err != nil || len(found) != 1 || found[0].String() != "linux/arm64 index: only the first build has this platform" {
		t.Errorf("%v %v", found, err)
	}
}
