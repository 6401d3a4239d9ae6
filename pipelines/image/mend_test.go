package image_test

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/berth-sh/berth/pipelines/image"
)

var (
	mendTime = time.Unix(1_700_000_000, 0).UTC()
	fileTime = time.Unix(315_532_800, 0).UTC()
	before   = mendTime.Add(-time.Hour)
	after    = mendTime.Add(time.Hour + time.Millisecond)
)

// packed is a gzipped tar.
func tarball(t *testing.T, headers ...*tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	zip := gzip.NewWriter(&b)
	w := tar.NewWriter(zip)
	for _, h := range headers {
		if h.Typeflag == tar.TypeReg {
			h.Size = int64(len(h.Name))
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			if _, err := io.WriteString(w, h.Name); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := errors.Join(w.Close(), zip.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func unpacked(t *testing.T, data []byte) (headers []*tar.Header, diffID digest.Digest) {
	t.Helper()
	zip, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(zip)
	if err != nil {
		t.Fatal(err)
	}
	for r := tar.NewReader(bytes.NewReader(plain)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return headers, digest.FromBytes(plain)
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil || h.Typeflag == tar.TypeReg && string(content) != h.Name {
			t.Fatalf("%s: %q %v", h.Name, content, err)
		}
		headers = append(headers, h)
	}
}

// exported is an image as the Dagger engine exports it: with the wrong platform, leaking variables, and a history of its
// own.
func exported(t *testing.T, layers map[string][]byte, order ...string) string {
	t.Helper()
	l := newLayoutDir(t)
	m := ocispec.Manifest{}
	config := ocispec.Image{Platform: ocispec.Platform{OS: "linux", Architecture: "amd64"}}
	config.Config.Env = []string{"PATH=/bin", "TOKEN=leaked"}
	config.Config.WorkingDir = "/w"
	config.Created = &after
	for _, said := range order {
		data := layers[said]
		_, diffID := unpacked(t, data)
		m.Layers = append(m.Layers, l.blob(ocispec.MediaTypeImageLayerGzip, data))
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, diffID)
		config.History = append(config.History, ocispec.History{CreatedBy: said, Created: &after}, ocispec.History{EmptyLayer: true})
	}
	config.RootFS.Type = "layers"
	m.Config = l.json(ocispec.MediaTypeImageConfig, config)
	l.write(l.json(ocispec.MediaTypeImageManifest, m))
	return l.packed()
}

func mending(t *testing.T) image.Mending {
	t.Helper()
	return image.Mending{
		Platform: platform(t, "linux/arm64"), Created: mendTime, Files: fileTime,
		Base: func(said string) bool { return strings.HasPrefix(said, "import ") },
		Env:  func(v string) bool { return !strings.HasPrefix(v, "TOKEN=") },
	}
}

func TestMendSetsTheTimesOfWhatWasBuilt(t *testing.T) {
	t.Parallel()
	layers := map[string][]byte{
		"import base": tarball(t, &tar.Header{Typeflag: tar.TypeReg, Name: "base", ModTime: after}),
		"COPY":        tarball(t, &tar.Header{Typeflag: tar.TypeReg, Name: "old", ModTime: before}),
		"RUN": tarball(t,
			&tar.Header{Typeflag: tar.TypeDir, Name: "d/", Mode: 0o750, Uid: 7, ModTime: after},
			&tar.Header{
				Typeflag: tar.TypeReg, Name: "d/new", Mode: 0o4755, ModTime: after, AccessTime: after, Format: tar.FormatPAX,
				PAXRecords: map[string]string{"SCHILY.xattr.security.capability": "cap", "BUILDER.note": "chance"},
			},
			&tar.Header{Typeflag: tar.TypeReg, Name: "d/older", ModTime: before.Add(time.Millisecond), Format: tar.FormatPAX},
			&tar.Header{Typeflag: tar.TypeLink, Name: "d/hard", Linkname: "d/new", ModTime: after},
			&tar.Header{Typeflag: tar.TypeSymlink, Name: "d/soft", Linkname: "new", ModTime: after},
			&tar.Header{Typeflag: tar.TypeReg, Name: "d/.wh.gone", ModTime: after}),
	}
	from := exported(t, layers, "import base", "COPY", "RUN")
	dir := filepath.Join(t.TempDir(), "out")
	if err := image.Mend(t.Context(), from, dir, mending(t)); err != nil {
		t.Fatal(err)
	}
	x, err := image.Adopt(t.Context(), adoptSpec(), []ocispec.Platform{platform(t, "linux/arm64")}, dir)
	if err != nil {
		t.Fatal(err)
	}
	manifest, config := parts(t, x, 0)
	if got := fetch(t, x, manifest.Layers[0]); !bytes.Equal(got, layers["import base"]) {
		t.Error("the base's layer is not the builder's")
	}
	if copied, _ := unpacked(t, fetch(t, x, manifest.Layers[1])); !copied[0].ModTime.Equal(fileTime) {
		t.Errorf("copied: %+v", copied[0])
	}
	headers, diffID := unpacked(t, fetch(t, x, manifest.Layers[2]))
	if len(config.RootFS.DiffIDs) != 3 || config.RootFS.DiffIDs[2] != diffID {
		t.Errorf("diff IDs %v, want %s at last", config.RootFS.DiffIDs, diffID)
	}
	want := []*tar.Header{
		{Typeflag: tar.TypeDir, Name: "d/", Mode: 0o750, Uid: 7, ModTime: fileTime, Format: tar.FormatUSTAR},
		{
			Typeflag: tar.TypeReg, Name: "d/new", Mode: 0o4755, Size: 5, ModTime: fileTime, Format: tar.FormatPAX,
			PAXRecords: map[string]string{"SCHILY.xattr.security.capability": "cap"},
			Xattrs:     map[string]string{"security.capability": "cap"},
		},
		{Typeflag: tar.TypeReg, Name: "d/older", Size: 7, ModTime: fileTime, Format: tar.FormatUSTAR},
		{Typeflag: tar.TypeLink, Name: "d/hard", Linkname: "d/new", ModTime: fileTime, Format: tar.FormatUSTAR},
		{Typeflag: tar.TypeSymlink, Name: "d/soft", Linkname: "new", ModTime: fileTime, Format: tar.FormatUSTAR},
		{Typeflag: tar.TypeReg, Name: "d/.wh.gone", Size: 10, ModTime: fileTime, Format: tar.FormatUSTAR},
	}
	if diff := cmp.Diff(want, headers); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if diff := cmp.Diff([]string{"PATH=/bin"}, config.Config.Env); diff != "" || config.Config.WorkingDir != "/w" {
		t.Errorf("%s %+v", diff, config.Config)
	}
	history, err := json.Marshal(config.History)
	if err != nil || strings.Contains(string(history), "import") || len(config.History) != 3 {
		t.Errorf("history %s: %v", history, err)
	}

	// Again: the same bytes.
	again := filepath.Join(t.TempDir(), "again")
	if err := image.Mend(t.Context(), from, again, mending(t)); err != nil {
		t.Fatal(err)
	}
	second, err := image.Adopt(t.Context(), adoptSpec(), []ocispec.Platform{platform(t, "linux/arm64")}, again)
	if err != nil || second.Descriptor.Digest != x.Descriptor.Digest {
		t.Errorf("%s, then %s: %v", x.Descriptor.Digest, second.Descriptor.Digest, err)
	}
}

func TestMendFails(t *testing.T) {
	t.Parallel()
	good := tarball(t, &tar.Header{Typeflag: tar.TypeReg, Name: "f", ModTime: after})
	for name, c := range map[string]struct {
		layout func(l *layoutDir) string
		want   string
	}{
		"two images": {func(l *layoutDir) string {
			return l.write(l.image(configFor("amd64"), "x"), l.image(configFor("arm64"), "y"))
		}, "2 images instead of one"},
		"no image":   {func(l *layoutDir) string { return l.write() }, "0 images instead of one"},
		"no diff ID": {func(l *layoutDir) string { return l.write(l.image(configFor("amd64"), "x")) }, "2 layers, but 0"},
		"zstd": {func(l *layoutDir) string {
			return l.write(l.json(ocispec.MediaTypeImageManifest, ocispec.Manifest{
				Config: l.blob(ocispec.MediaTypeImageConfig, []byte(`{"os":"linux","architecture":"amd64","rootfs":{"diff_ids":["a"]}}`)),
				Layers: []ocispec.Descriptor{l.blob(ocispec.MediaTypeImageLayerZstd, []byte("x"))},
			}))
		}, "cannot be set"},
		"a broken layer": {func(l *layoutDir) string {
			return l.write(l.json(ocispec.MediaTypeImageManifest, ocispec.Manifest{
				Config: l.blob(ocispec.MediaTypeImageConfig, []byte(`{"os":"linux","architecture":"amd64","rootfs":{"diff_ids":["a"]}}`)),
				Layers: []ocispec.Descriptor{l.blob(ocispec.MediaTypeImageLayerGzip, good[:len(good)-20])},
			}))
		}, "unexpected EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := image.Mend(t.Context(), c.layout(newLayoutDir(t)), t.TempDir(), mending(t))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}
