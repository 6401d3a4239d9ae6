package image_test

import (
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/berth-sh/berth/pipelines/cache"
	"github.com/berth-sh/berth/pipelines/image"
)

// kept is a specification with a store, whose binaries' digests are known.
func kept(t *testing.T) (image.Spec, string) {
	t.Helper()
	dir := t.TempDir()
	c, err := cache.Open(dir, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	s := spec(t, image.Scratch(), "linux/amd64", "linux/arm64")
	s.Store = c
	for i, b := range s.Binaries {
		sum, err := cache.Sum(b.Path)
		if err != nil {
			t.Fatal(err)
		}
		s.Binaries[i].Digest = digest.NewDigestFromBytes(digest.SHA256, sum[:])
	}
	return s, dir
}

// written counts the layers that were compressed.
func written(t *testing.T, s image.Spec) int {
	t.Helper()
	layers, err := filepath.Glob(filepath.Join(s.WorkDir, "*.tar.gz"))
	if err != nil {
		t.Fatal(err)
	}
	return len(layers)
}

func TestLayersComeOutOfTheStore(t *testing.T) {
	t.Parallel()
	s, in := kept(t)
	without := s
	without.Store, without.WorkDir = nil, t.TempDir()
	want := assemble(t, without).Descriptor
	for _, count := range []int{2, 0} {
		s.WorkDir = t.TempDir()
		x := assemble(t, s)
		if x.Descriptor.Digest != want.Digest {
			t.Errorf("%s with the store, %s without", x.Descriptor.Digest, want.Digest)
		}
		if n := written(t, s); n != count {
			t.Errorf("%d layers were compressed, want %d", n, count)
		}
		if err := image.WriteLayout(t.Context(), t.TempDir(), []image.Index{x}); err != nil {
			t.Error(err)
		}
	}
	// Damage is noticed and mended: half of the files get other bytes of the same size.
	files, err := filepath.Glob(filepath.Join(in, "??", "*-d"))
	if err != nil || len(files) != 4 {
		t.Fatalf("%v %v", files, err)
	}
	for _, f := range files {
		info, err := os.Stat(f)
		if err := errors.Join(err, os.WriteFile(f, make([]byte, info.Size()), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	for _, count := range []int{2, 0} {
		s.WorkDir = t.TempDir()
		if x := assemble(t, s); x.Descriptor.Digest != want.Digest || written(t, s) != count {
			t.Errorf("%s, %d layers compressed, want %s and %d", x.Descriptor.Digest, written(t, s), want.Digest, count)
		}
	}
}

func TestAnotherLayerIsNotTaken(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(s *image.Spec){
		"time":    func(s *image.Spec) { s.Created = s.Created.Add(time.Second) },
		"name":    func(s *image.Spec) { s.Component = "other" },
		"program": func(s *image.Spec) { s.Binaries[0].Digest = digest.FromString("other") },
		"unknown": func(s *image.Spec) { s.Binaries[0].Digest = "" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _ := kept(t)
			assemble(t, s)
			s.WorkDir = t.TempDir()
			change(&s)
			assemble(t, s)
			if written(t, s) == 0 {
				t.Error("a layer that is made of something else was taken")
			}
		})
	}
}

// swapped hands out the layer of another key, as a store would that somebody tampered with.
type swapped struct{ *cache.Cache }

func (s swapped) File([sha256.Size]byte) (string, [sha256.Size]byte, bool) {
	return "/dev/null", sha256.Sum256(nil), true
}

func TestALayerIsWhatItsDigestSays(t *testing.T) {
	t.Parallel()
	s, _ := kept(t)
	want := assemble(t, s).Descriptor.Digest
	c, _ := s.Store.(*cache.Cache)
	s.Store, s.WorkDir = swapped{c}, t.TempDir()
	if x := assemble(t, s); x.Descriptor.Digest != want || written(t, s) != 2 {
		t.Errorf("%s with %d layers compressed", x.Descriptor.Digest, written(t, s))
	}
}
