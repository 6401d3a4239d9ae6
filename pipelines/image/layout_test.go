package image_test

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content/oci"

	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/image"
)

// tree reads all files below a folder.
func tree(t testing.TB, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		out[filepath.ToSlash(name)] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func named(t testing.TB, component, revision string) image.Index {
	t.Helper()
	s := spec(t, image.Static(), "linux/amd64", "linux/arm64")
	s.Component, s.Revision = component, revision
	return assemble(t, s)
}

func mustWrite(t testing.TB, dir string, images ...image.Index) {
	t.Helper()
	if err := image.WriteLayout(t.Context(), dir, images); err != nil {
		t.Fatal(err)
	}
}

func TestLayoutRoundTrip(t *testing.T) {
	t.Parallel()
	a, b := named(t, "a", "1"), named(t, "b", "1")
	dir, other := filepath.Join(t.TempDir(), "new", "layout"), t.TempDir()
	mustWrite(t, dir, b, a)
	mustWrite(t, other, a, b)
	if diff := cmp.Diff(tree(t, other), tree(t, dir)); diff != "" {
		t.Errorf("the same images give different files: %s", diff)
	}
	images, err := image.ReadLayout(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(images) != 2 || images[0].Component != "a" || images[1].Component != "b" {
		t.Fatalf("%d images: %+v", len(images), images)
	}
	for i, want := range []image.Index{a, b} {
		if diff := cmp.Diff(want.Descriptor, images[i].Descriptor); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(want.Platforms(), images[i].Platforms()); diff != "" {
			t.Error(diff)
		}
	}
	third := t.TempDir()
	mustWrite(t, third, images...)
	if diff := cmp.Diff(tree(t, dir), tree(t, third)); diff != "" {
		t.Errorf("reading and writing changes files: %s", diff)
	}
}

// Another tool's reader finds each image by its component, complete.
func TestLayoutIsReadByOthers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	x := named(t, "api", "1")
	mustWrite(t, dir, x)
	store, err := oci.New(dir)
	if err != nil {
		t.Fatal(err)
	}
	copied, err := oras.Copy(t.Context(), store, "api", newShelf(t).store, "api", oras.DefaultCopyOptions)
	if err != nil || copied.Digest != x.Descriptor.Digest {
		t.Errorf("%s, %v", copied.Digest, err)
	}
}

func TestLayoutIsReplaced(t *testing.T) {
	t.Parallel()
	dir, fresh := t.TempDir(), t.TempDir()
	mustWrite(t, dir, named(t, "a", "1"), named(t, "gone", "1"))
	x := named(t, "a", "2")
	// What a run that was killed leaves behind.
	for _, name := range []string{"ingest/half", ".index.json-123", "blobs/sha256/" + strings.Repeat("0", 64)} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, nil, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	mustWrite(t, dir, x)
	mustWrite(t, fresh, x)
	if diff := cmp.Diff(tree(t, fresh), tree(t, dir)); diff != "" {
		t.Error(diff)
	}
}

func TestLayoutMendsBrokenBlobs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	x := named(t, "a", "1")
	mustWrite(t, dir, x)
	want := tree(t, dir)
	breakBlob(t, dir, x.Manifest.Manifests[0].Digest)
	mustWrite(t, dir, x)
	if diff := cmp.Diff(want, tree(t, dir)); diff != "" {
		t.Error(diff)
	}
}

// breakBlob changes a blob and keeps its size.
func breakBlob(t testing.TB, dir string, d digest.Digest) {
	t.Helper()
	path := filepath.Join(dir, "blobs", "sha256", d.Encoded())
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 1
	if err := errors.Join(os.Chmod(path, 0o600), os.WriteFile(path, data, 0o600)); err != nil {
		t.Fatal(err)
	}
}

// A run that breaks off leaves no layout where there was none, and the old one where there was one.
func TestLayoutOfABrokenRun(t *testing.T) {
	t.Parallel()
	good, s := named(t, "a", "1"), spec(t, image.Scratch(), "linux/amd64")
	bad := assemble(t, s)
	if err := os.Remove(filepath.Join(s.WorkDir, "api_linux_amd64.tar.gz")); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := image.WriteLayout(t.Context(), dir, []image.Index{good, bad}); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("got %v", err)
	}
	if _, err := image.ReadLayout(t.Context(), dir); err == nil {
		t.Error("half a layout can be read")
	}
	mustWrite(t, dir, good)
	if err := image.WriteLayout(t.Context(), dir, []image.Index{named(t, "a", "2"), bad}); err == nil {
		t.Fatal("a missing layer is no error")
	}
	images, err := image.ReadLayout(t.Context(), dir)
	if err != nil || len(images) != 1 || images[0].Descriptor.Digest != good.Descriptor.Digest {
		t.Errorf("the old layout is gone: %v, %v", images, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := image.WriteLayout(ctx, t.TempDir(), []image.Index{good}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestWriteLayoutRefuses(t *testing.T) {
	t.Parallel()
	x := named(t, "a", "1")
	for name, files := range map[string]map[string]string{
		"other files":    {"README.md": "mine"},
		"files beside":   {"oci-layout": `{"imageLayoutVersion":"1.0.0"}`, "notes": "mine"},
		"blobs alone":    {"blobs/x": "mine"},
		"foreign layout": {"oci-layout": `{"imageLayoutVersion":"1.0.0"}`, "index.json": `{"schemaVersion":2}`},
		"other version":  {"oci-layout": `{"imageLayoutVersion":"2.0.0"}`, "index.json": `{}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for name, data := range files {
				path := filepath.Join(dir, name)
				err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(data), 0o600))
				if err != nil {
					t.Fatal(err)
				}
			}
			err := image.WriteLayout(t.Context(), dir, []image.Index{x})
			if fault.CodeOf(err) != fault.Usage || fault.NextOf(err) == "" {
				t.Errorf("code %d: %v", fault.CodeOf(err), err)
			}
			if diff := cmp.Diff(files, tree(t, dir)); diff != "" {
				t.Errorf("the folder was changed: %s", diff)
			}
		})
	}
	if err := image.WriteLayout(t.Context(), t.TempDir(), []image.Index{x, x}); fault.CodeOf(err) != fault.Usage {
		t.Errorf("one component twice: %v", err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := image.WriteLayout(t.Context(), file, []image.Index{x}); fault.CodeOf(err) != fault.Usage {
		t.Errorf("a file: %v", err)
	}
}

func TestReadLayoutRefuses(t *testing.T) {
	t.Parallel()
	x := named(t, "api", "1")
	manifest, _ := parts(t, x, 0)
	remove := func(name string) func(testing.TB, string) {
		return func(t testing.TB, dir string) {
			if err := os.Remove(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	harm := func(d digest.Digest) func(testing.TB, string) {
		return func(t testing.TB, dir string) { breakBlob(t, dir, d) }
	}
	top := func(change func(*ocispec.Index)) func(testing.TB, string) {
		return func(t testing.TB, dir string) {
			path := filepath.Join(dir, "index.json")
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			index := decode[ocispec.Index](t, data)
			change(&index)
			if data, err = json.Marshal(index); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, c := range map[string]struct {
		change func(testing.TB, string)
		says   string
	}{
		"no index.json":    {remove("index.json"), "index.json"},
		"no oci-layout":    {remove("oci-layout"), "oci-layout"},
		"index missing":    {remove("blobs/sha256/" + x.Descriptor.Digest.Encoded()), "not found"},
		"config missing":   {remove("blobs/sha256/" + manifest.Config.Digest.Encoded()), "is missing"},
		"layer missing":    {remove("blobs/sha256/" + manifest.Layers[1].Digest.Encoded()), "is missing"},
		"manifest changed": {harm(x.Manifest.Manifests[0].Digest), "mismatched digest"},
		"layer changed":    {harm(manifest.Layers[0].Digest), "mismatched digest"},
		"no name":          {top(func(i *ocispec.Index) { i.Manifests[0].Annotations = nil }), "has the name"},
		"one name twice":   {top(func(i *ocispec.Index) { i.Manifests = append(i.Manifests, i.Manifests[0]) }), "two images"},
		"wrong size":       {top(func(i *ocispec.Index) { i.Manifests[0].Size++ }), "size"},
		"huge size":        {top(func(i *ocispec.Index) { i.Manifests[0].Size = 1 << 62 }), "more than a manifest may have"},
		"no multi-platform index": {top(func(i *ocispec.Index) {
			d := x.Manifest.Manifests[0]
			d.Annotations = i.Manifests[0].Annotations
			i.Manifests[0] = d
		}), "no image index"},
		"bad digest": {top(func(i *ocispec.Index) { i.Manifests[0].Digest = "sha256:../../x" }), "invalid"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			mustWrite(t, dir, x)
			c.change(t, dir)
			_, err := image.ReadLayout(t.Context(), dir)
			if fault.CodeOf(err) != fault.Usage || !strings.Contains(err.Error(), c.says) {
				t.Errorf("code %d: %v", fault.CodeOf(err), err)
			}
		})
	}
}

func FuzzReadLayout(f *testing.F) {
	dir := f.TempDir()
	mustWrite(f, dir, assemble(f, spec(f, image.Scratch(), "linux/amd64")))
	files := tree(f, dir)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if len(files[name]) < 2000 {
			f.Add([]byte(files["index.json"]), []byte(files[name]))
		}
	}
	f.Fuzz(func(t *testing.T, index, blob []byte) {
		dir := t.TempDir()
		d := digest.FromBytes(blob)
		err := errors.Join(
			os.MkdirAll(filepath.Join(dir, "blobs", "sha256"), 0o700),
			os.WriteFile(filepath.Join(dir, "oci-layout"), []byte(`{"imageLayoutVersion":"1.0.0"}`), 0o600),
			os.WriteFile(filepath.Join(dir, "index.json"), index, 0o600),
			os.WriteFile(filepath.Join(dir, "blobs", "sha256", d.Encoded()), blob, 0o600),
		)
		if err != nil {
			t.Fatal(err)
		}
		images, err := image.ReadLayout(t.Context(), dir)
		if err != nil {
			if fault.CodeOf(err) != fault.Usage {
				t.Errorf("code %d: %v", fault.CodeOf(err), err)
			}
			return
		}
		for _, x := range images {
			if got := digest.FromBytes(fetch(t, x, x.Descriptor)); got != x.Descriptor.Digest {
				t.Errorf("%s is read as %s", x.Descriptor.Digest, got)
			}
		}
	})
}
