package image_test

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"

	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/image"
)

// These digests are a promise: who builds a commit again gets the image that is in the registry. A change here means
// new digests for everyone, and belongs into the changelog. The second holds the CA roots and time zones as well and
// changes with them.
const (
	goldenScratch = "sha256:277eecda1aa5e2952812f5162df129e4220238923fe722825e6966aca89ddedc"
	goldenStatic  = "sha256:ff27fd9130db5c6da10df61e40a6b24d8a7ffe8da224a3d01187d37ad326eb6c"
)

// program writes a file that compresses about like a program: the same bytes for the same seed.
func program(t testing.TB, seed uint64, size int) string {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, 1))
	data := make([]byte, size)
	for i := range data {
		data[i] = byte(random.IntN(1 + i%97))
	}
	path := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func platform(t testing.TB, s string) ocispec.Platform {
	t.Helper()
	p, err := image.ParsePlatform(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func spec(t testing.TB, base image.Base, platforms ...string) image.Spec {
	t.Helper()
	s := image.Spec{
		Component: "api", Title: "api", Source: "https://example.com/team/api",
		Revision: "0123456789abcdef0123456789abcdef01234567", Version: "1.2.3",
		Created: time.Unix(1_700_000_000, 123456789), Labels: map[string]string{"team": "harbour"},
		Base: base, WorkDir: t.TempDir(),
	}
	for i, p := range platforms {
		s.Binaries = append(s.Binaries, image.Binary{Platform: platform(t, p), Path: program(t, uint64(i), 200_000)})
	}
	return s
}

func assemble(t testing.TB, s image.Spec) image.Index {
	t.Helper()
	x, err := image.Assemble(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func fetch(t testing.TB, x content.Fetcher, d ocispec.Descriptor) []byte {
	t.Helper()
	data, err := content.FetchAll(t.Context(), x, d)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func decode[T any](t testing.TB, data []byte) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// parts gives manifest and configuration of a platform.
func parts(t testing.TB, x image.Index, i int) (ocispec.Manifest, ocispec.Image) {
	t.Helper()
	m := decode[ocispec.Manifest](t, fetch(t, x, x.Manifest.Manifests[i]))
	return m, decode[ocispec.Image](t, fetch(t, x, m.Config))
}

// untar reads a gzipped layer: headers by name, and the digest of the tar.
func untar(t testing.TB, data []byte) (map[string]*tar.Header, []string, digest.Digest) {
	t.Helper()
	zip, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(zip)
	if err != nil {
		t.Fatal(err)
	}
	headers, names := map[string]*tar.Header{}, []string(nil)
	for r := tar.NewReader(bytes.NewReader(plain)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return headers, names, digest.FromBytes(plain)
		}
		if err != nil {
			t.Fatal(err)
		}
		headers[h.Name] = h
		names = append(names, h.Name)
	}
}

func TestAssembleGolden(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, want string
		base       image.Base
	}{
		{"scratch", goldenScratch, image.Scratch()},
		{"static", goldenStatic, image.Static()},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			x := assemble(t, spec(t, c.base, "linux/amd64", "linux/arm64"))
			if got := x.Descriptor.Digest.String(); got != c.want {
				t.Errorf("digest %s, want %s", got, c.want)
			}
		})
	}
}

func TestAssembleDoesNotDependOnOrderFolderOrTime(t *testing.T) {
	t.Parallel()
	a := spec(t, image.Static(), "linux/amd64", "linux/arm64/v8", "linux/arm/v7")
	b := a
	b.WorkDir = t.TempDir()
	b.Base = image.Static()
	b.Created = a.Created.Truncate(time.Second).In(time.FixedZone("elsewhere", 3*3600))
	b.Binaries = []image.Binary{a.Binaries[2], a.Binaries[0], a.Binaries[1]}
	b.Binaries[2].Platform.Variant = "v8"
	later := time.Unix(1_800_000_000, 0)
	if err := os.Chtimes(b.Binaries[0].Path, later, later); err != nil {
		t.Fatal(err)
	}
	x, y := assemble(t, a), assemble(t, b)
	if x.Descriptor.Digest != y.Descriptor.Digest {
		t.Errorf("digests differ: %s and %s", x.Descriptor.Digest, y.Descriptor.Digest)
	}
	if diff := cmp.Diff([]string{"linux/amd64", "linux/arm/v7", "linux/arm64"}, x.Platforms()); diff != "" {
		t.Error(diff)
	}
	b.Revision = "another"
	if z := assemble(t, b); z.Descriptor.Digest == x.Descriptor.Digest {
		t.Error("another revision gave the same digest")
	}
}

func TestAssembleContent(t *testing.T) {
	t.Parallel()
	s := spec(t, image.Static(), "linux/amd64", "linux/arm64")
	x := assemble(t, s)
	standard := map[string]string{
		"org.opencontainers.image.title": "api", "org.opencontainers.image.source": "https://example.com/team/api",
		"org.opencontainers.image.revision": s.Revision, "org.opencontainers.image.version": "1.2.3",
		"org.opencontainers.image.created": "2023-11-14T22:13:20Z",
	}
	if diff := cmp.Diff(standard, x.Manifest.Annotations); diff != "" {
		t.Errorf("annotations: %s", diff)
	}
	if x.Manifest.SchemaVersion != 2 || x.Manifest.MediaType != ocispec.MediaTypeImageIndex ||
		x.Descriptor.MediaType != ocispec.MediaTypeImageIndex {
		t.Errorf("index: %+v, %+v", x.Manifest, x.Descriptor)
	}
	if got := digest.FromBytes(fetch(t, x, x.Descriptor)); got != x.Descriptor.Digest {
		t.Errorf("index has digest %s, descriptor says %s", got, x.Descriptor.Digest)
	}
	manifest, config := parts(t, x, 1)
	if len(manifest.Annotations) != 0 || len(manifest.Layers) != 2 {
		t.Errorf("manifest: %+v", manifest)
	}
	standard["team"] = "harbour"
	want := ocispec.ImageConfig{
		User: "65532:65532", Entrypoint: []string{"/app/api"}, WorkingDir: "/", Labels: standard,
		Env: []string{
			"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
			"SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt",
		},
	}
	if diff := cmp.Diff(want, config.Config); diff != "" {
		t.Errorf("config: %s", diff)
	}
	if config.Architecture != "arm64" || config.OS != "linux" || config.Author != "berth" ||
		!config.Created.Equal(time.Unix(1_700_000_000, 0)) || len(config.History) != 2 {
		t.Errorf("config: %+v", config)
	}
	headers, names, diffID := untar(t, fetch(t, x, manifest.Layers[1]))
	if diff := cmp.Diff([]string{"app/", "app/api"}, names); diff != "" {
		t.Error(diff)
	}
	h := headers["app/api"]
	if h.Mode != 0o755 || h.Uid != 0 || h.Gid != 0 || h.Size != 200_000 || h.ModTime.Unix() != 1_700_000_000 ||
		h.Format != tar.FormatUSTAR || h.Uname != "" {
		t.Errorf("app/api: %+v", h)
	}
	if config.RootFS.DiffIDs[1] != diffID {
		t.Errorf("diff ID %s, want %s", config.RootFS.DiffIDs[1], diffID)
	}
}

func TestStaticBase(t *testing.T) {
	t.Parallel()
	base := image.Static()
	one := spec(t, base, "linux/amd64")
	two := spec(t, image.Static(), "linux/arm64")
	two.Component, two.Created = "other", time.Unix(1_800_000_000, 0)
	first, _ := parts(t, assemble(t, one), 0)
	second, _ := parts(t, assemble(t, two), 0)
	if first.Layers[0].Digest != second.Layers[0].Digest {
		t.Error("the static layer depends on component, platform or commit")
	}
	headers, names, _ := untar(t, fetch(t, assemble(t, one), first.Layers[0]))
	for name, want := range map[string]struct{ mode, id int64 }{
		"etc/": {0o755, 0}, "etc/passwd": {0o644, 0}, "etc/group": {0o644, 0}, "etc/nsswitch.conf": {0o644, 0},
		"etc/ssl/certs/ca-certificates.crt": {0o644, 0}, "home/": {0o755, 0}, "home/nonroot/": {0o700, 65532},
		"tmp/": {0o1777, 0}, "usr/share/zoneinfo/Europe/Berlin": {0o644, 0}, "usr/share/zoneinfo/UTC": {0o644, 0},
	} {
		h := headers[name]
		if h == nil {
			t.Errorf("%s is missing", name)
			continue
		}
		if h.Mode != want.mode || int64(h.Uid) != want.id || int64(h.Gid) != want.id || h.ModTime.Unix() != 0 {
			t.Errorf("%s: %+v", name, h)
		}
	}
	if len(names) != len(headers) {
		t.Error("a name is there twice")
	}
	for i := 1; i < len(names); i++ {
		if names[i-1] >= names[i] {
			t.Errorf("%s comes before %s", names[i-1], names[i])
		}
	}
}

func TestScratchHasOnlyTheBinary(t *testing.T) {
	t.Parallel()
	manifest, config := parts(t, assemble(t, spec(t, image.Scratch(), "linux/amd64")), 0)
	if len(manifest.Layers) != 1 || len(config.RootFS.DiffIDs) != 1 {
		t.Errorf("layers: %+v", manifest.Layers)
	}
	for _, e := range config.Config.Env {
		if strings.HasPrefix(e, "SSL_CERT_FILE=") {
			t.Errorf("%s names a file that is not there", e)
		}
	}
}

func TestAssembleLeavesEmptyFactsOut(t *testing.T) {
	t.Parallel()
	s := spec(t, image.Scratch(), "linux/amd64")
	s.Title, s.Source, s.Revision, s.Version, s.Labels = "", "", "", "", nil
	want := map[string]string{"org.opencontainers.image.created": "2023-11-14T22:13:20Z"}
	x := assemble(t, s)
	if diff := cmp.Diff(want, x.Manifest.Annotations); diff != "" {
		t.Error(diff)
	}
	if _, config := parts(t, x, 0); !cmp.Equal(want, config.Config.Labels) {
		t.Errorf("labels: %v", config.Config.Labels)
	}
}

func TestLayersCanBeSentAgain(t *testing.T) {
	t.Parallel()
	x := assemble(t, spec(t, image.Static(), "linux/amd64"))
	manifest, _ := parts(t, x, 0)
	for _, d := range append(manifest.Layers, manifest.Config, x.Manifest.Manifests[0], x.Descriptor) {
		r, err := x.Fetch(t.Context(), d)
		if err != nil {
			t.Fatal(err)
		}
		seeker, ok := r.(io.Seeker)
		if !ok {
			t.Fatalf("%s cannot seek", d.MediaType)
		}
		for range 2 {
			if _, err := seeker.Seek(0, io.SeekStart); err != nil {
				t.Fatal(err)
			}
			if n, err := io.Copy(io.Discard, r); err != nil || n != d.Size {
				t.Errorf("%s: %d bytes of %d, %v", d.MediaType, n, d.Size, err)
			}
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestAssembleRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*image.Spec)
		code   fault.Code
		says   string
	}{
		"no platform":     {func(s *image.Spec) { s.Binaries = nil }, fault.Usage, "no platform"},
		"platform twice":  {func(s *image.Spec) { s.Binaries = append(s.Binaries, s.Binaries[0]) }, fault.Usage, "twice"},
		"path as name":    {func(s *image.Spec) { s.Component = "../api" }, fault.Usage, "name of a component"},
		"no time":         {func(s *image.Spec) { s.Created = time.Time{} }, fault.Usage, "before 1970"},
		"missing program": {func(s *image.Spec) { s.Binaries[0].Path += "x" }, fault.Failed, "no such file"},
		"folder":          {func(s *image.Spec) { s.Binaries[0].Path = s.WorkDir }, fault.Failed, "not a regular file"},
		"no work folder":  {func(s *image.Spec) { s.WorkDir += "/x" }, fault.Failed, "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := spec(t, image.Scratch(), "linux/amd64")
			c.change(&s)
			_, err := image.Assemble(t.Context(), s)
			if fault.CodeOf(err) != c.code || err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("code %d: %v", fault.CodeOf(err), err)
			}
		})
	}
}

func TestAssembleEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := image.Assemble(ctx, spec(t, image.Scratch(), "linux/amd64")); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestFetchOfAnotherBlob(t *testing.T) {
	t.Parallel()
	x := assemble(t, spec(t, image.Scratch(), "linux/amd64"))
	other := ocispec.Descriptor{Digest: digest.FromString("other")}
	if ok, err := x.Exists(t.Context(), other); ok || err != nil {
		t.Errorf("exists: %v, %v", ok, err)
	}
	if _, err := x.Fetch(t.Context(), other); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func BenchmarkAssemble(b *testing.B) {
	for _, c := range []struct {
		name string
		size int
	}{{"1MB", 1 << 20}, {"100MB", 100 << 20}} {
		b.Run(c.name, func(b *testing.B) {
			if testing.Short() && c.size > 10<<20 {
				b.Skip("takes seconds")
			}
			s := spec(b, image.Static())
			s.Binaries = []image.Binary{{Platform: platform(b, "linux/amd64"), Path: program(b, 1, c.size)}}
			assemble(b, s) // the static base is built once a process
			b.ReportAllocs()
			b.SetBytes(int64(c.size))
			for b.Loop() {
				assemble(b, s)
			}
		})
	}
}
