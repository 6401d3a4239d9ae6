package image

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/content/oci"

	"github.com/berth-sh/berth/pipelines/fault"
)

// layoutMark is an annotation of index.json by which berth knows its own layouts, which it may replace.
const layoutMark = "sh.berth.layout"

// oras keeps half-written blobs here.
const ingestDir = "ingest"

// WriteLayout writes images as an OCI image layout, each named by its component; the bytes depend on the images alone.
// The folder may be absent or empty, or hold a layout that berth wrote, which is replaced; anything else in it is a
// fault with code [fault.Usage] and stays untouched. Blobs come first and index.json last, in one step: whenever the
// run breaks off, a reader sees the old layout, the new one or none.
func WriteLayout(ctx context.Context, dir string, images []Index) error {
	images = slices.SortedFunc(slices.Values(images), byComponent)
	for i := 1; i < len(images); i++ {
		if images[i].Component == images[i-1].Component {
			return fault.New(fault.Usage, dir, "", "component %s is there twice", images[i].Component)
		}
	}
	if err := mayReplace(dir); err != nil {
		return err
	}
	if err := writeLayout(ctx, dir, images); err != nil {
		return &fault.Error{Op: "write the OCI layout", Subject: dir, Err: err, Code: fault.CodeOf(err)}
	}
	return nil
}

func byComponent(a, b Index) int { return cmp.Compare(a.Component, b.Component) }

func writeLayout(ctx context.Context, dir string, images []Index) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	version, err := json.Marshal(ocispec.ImageLayout{Version: ocispec.ImageLayoutVersion})
	if err != nil {
		return err
	}
	if err := replaceFile(filepath.Join(dir, ocispec.ImageLayoutFile), version); err != nil {
		return err
	}
	index := ocispec.Index{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex,
		Manifests: []ocispec.Descriptor{}, Annotations: map[string]string{layoutMark: "1"},
	}
	keep := map[digest.Digest]bool{}
	for _, x := range images {
		if err := writeBlobs(ctx, dir, x, keep); err != nil {
			return err
		}
		d := x.Descriptor
		d.Annotations = map[string]string{ocispec.AnnotationRefName: x.Component}
		index.Manifests = append(index.Manifests, d)
	}
	for _, x := range images {
		for _, a := range x.Attestations {
			index.Manifests = append(index.Manifests, a.Descriptor)
		}
	}
	data, err := json.Marshal(index)
	if err != nil {
		return err
	}
	if err := replaceFile(filepath.Join(dir, ocispec.ImageIndexFile), data); err != nil {
		return err
	}
	return prune(dir, keep)
}

// writeBlobs adds the blobs of an image to a layout. One that is there and whole is kept.
func writeBlobs(ctx context.Context, dir string, x Index, keep map[digest.Digest]bool) error {
	store, err := oci.NewStorage(dir)
	if err != nil {
		return err
	}
	for _, b := range x.sorted() {
		if keep[b.Descriptor.Digest] {
			continue
		}
		keep[b.Descriptor.Digest] = true
		path := blobPath(dir, b.Descriptor.Digest)
		switch err := verifyFile(ctx, path, b.Descriptor); {
		case err == nil:
			continue
		case ctx.Err() != nil:
			return ctx.Err()
		case !errors.Is(err, fs.ErrNotExist):
			if err := os.Remove(path); err != nil {
				return err
			}
		}
		if err := pushBlob(ctx, store, b); err != nil {
			return err
		}
	}
	return nil
}

func pushBlob(ctx context.Context, store *oci.Storage, b Blob) error {
	r, err := b.Open(ctx)
	if err != nil {
		return err
	}
	defer r.Close()
	return store.Push(ctx, b.Descriptor, contextReader{ctx, r})
}

// sorted lists the blobs by digest.
func (x Index) sorted() []Blob {
	out := make([]Blob, 0, len(x.blobs))
	for _, b := range x.blobs {
		out = append(out, b)
	}
	slices.SortFunc(out, func(a, b Blob) int { return cmp.Compare(a.Descriptor.Digest, b.Descriptor.Digest) })
	return out
}

func blobPath(dir string, d digest.Digest) string {
	return filepath.Join(dir, ocispec.ImageBlobsDir, d.Algorithm().String(), d.Encoded())
}

// verifyFile reads a blob's file and compares size and digest.
func verifyFile(ctx context.Context, path string, desc ocispec.Descriptor) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	checked := content.NewVerifyReader(contextReader{ctx, file}, desc)
	if _, err := io.Copy(io.Discard, checked); err != nil {
		return fmt.Errorf("%s: %w", desc.Digest, err)
	}
	if err := checked.Verify(); err != nil {
		return fmt.Errorf("%s: %w", desc.Digest, err)
	}
	return nil
}

// replaceFile writes a file in one step: a reader sees the old content or the new.
func replaceFile(path string, data []byte) (err error) {
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(file.Name()) // the first error is the one to report
		}
	}()
	if _, err = file.Write(data); err != nil {
		_ = file.Close()
		return err
	}
	if err = file.Close(); err != nil {
		return err
	}
	if err = os.Chmod(file.Name(), 0o644); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}

// leftover tells a file that replaceFile could not rename any more, because the process was killed.
func leftover(name string) bool {
	return strings.HasPrefix(name, "."+ocispec.ImageLayoutFile+"-") ||
		strings.HasPrefix(name, "."+ocispec.ImageIndexFile+"-")
}

// prune removes blobs that no image refers to: those of an older layout or of a run that broke off.
func prune(dir string, keep map[digest.Digest]bool) error {
	if err := os.RemoveAll(filepath.Join(dir, ingestDir)); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if leftover(e.Name()) {
			if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	blobs := filepath.Join(dir, ocispec.ImageBlobsDir)
	return filepath.WalkDir(blobs, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && path == blobs {
			return nil // a layout without images
		}
		if err != nil || d.IsDir() {
			return err
		}
		name := digest.NewDigestFromEncoded(digest.Algorithm(filepath.Base(filepath.Dir(path))), d.Name())
		if keep[name] {
			return nil
		}
		return os.Remove(path)
	})
}

// mayReplace refuses a folder with something in it that berth did not write.
func mayReplace(dir string) error {
	refuse := func(format string, args ...any) error {
		return &fault.Error{
			Op: "write the OCI layout", Subject: dir, Err: fmt.Errorf(format, args...), Code: fault.Usage,
			Next: "name a folder that does not exist or is empty",
		}
	}
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || (err == nil && len(entries) == 0) {
		return nil
	}
	if err != nil {
		return refuse("%w", err)
	}
	hasIndex := false
	for _, e := range entries {
		switch name := e.Name(); name {
		case ocispec.ImageLayoutFile, ocispec.ImageBlobsDir, ingestDir:
		case ocispec.ImageIndexFile:
			hasIndex = true
		default:
			if !leftover(name) {
				return refuse("the folder is not empty: it holds %s", name)
			}
		}
	}
	if !hasIndex {
		if _, err := os.Stat(filepath.Join(dir, ocispec.ImageLayoutFile)); err != nil {
			return refuse("the folder is not empty and is no OCI layout")
		}
		return nil // a run of ours broke off; without index.json nobody can have used it
	}
	index, err := readIndexFile(dir)
	if err != nil {
		return refuse("%w", err)
	}
	if index.Annotations[layoutMark] == "" {
		return refuse("the folder holds an OCI layout that berth did not write")
	}
	return nil
}

// ReadLayout reads the images of an OCI image layout, by berth or another tool, in the order of their names. Each must
// be an image index and carry a name, which becomes its component; beside them may stand attestations of their
// platforms. All blobs are read and compared with their size and digest. What is wrong with the layout is a fault with
// code [fault.Usage].
func ReadLayout(ctx context.Context, dir string) ([]Index, error) {
	bad := func(err error, next string) error {
		return &fault.Error{Op: "read the OCI layout", Subject: dir, Err: err, Code: fault.Usage, Next: next}
	}
	index, err := readIndexFile(dir)
	if err != nil {
		return nil, bad(err, "Name a folder that `build --output` wrote, or another OCI image layout.")
	}
	r := layoutReader{dir: dir, store: oci.NewStorageFromFS(os.DirFS(dir)), checked: map[digest.Digest]bool{}}
	var referrers []ocispec.Descriptor
	for _, d := range index.Manifests {
		name := d.Annotations[ocispec.AnnotationRefName]
		if name == "" && d.ArtifactType == StatementMediaType {
			referrers = append(referrers, d)
			continue
		}
		if !componentName.MatchString(name) {
			return nil, bad(fmt.Errorf("image %s has the name %q, not that of a component", d.Digest, name),
				"Set the annotation "+ocispec.AnnotationRefName+" of each image to its component.")
		}
		if slices.ContainsFunc(r.images, func(x Index) bool { return x.Component == name }) {
			return nil, bad(fmt.Errorf("two images have the name %s", name), "Keep one of them.")
		}
		x, err := Load(ctx, name, r.store, d)
		if err != nil {
			return nil, bad(err, fault.NextOf(err))
		}
		if err := r.verify(ctx, x.sorted()); err != nil {
			return nil, bad(fmt.Errorf("%s: %w", name, err), "Write the layout again.")
		}
		r.images = append(r.images, x)
	}
	for _, d := range referrers {
		blobs, err := readAttestation(ctx, r.images, r.store, d)
		if err == nil {
			err = r.verify(ctx, blobs)
		}
		if err != nil {
			return nil, bad(fmt.Errorf("attestation %s: %w", d.Digest, err), "Write the layout again.")
		}
	}
	for i := range r.images {
		slices.SortStableFunc(r.images[i].Attestations, compareAttestations)
	}
	slices.SortFunc(r.images, byComponent)
	return r.images, nil
}

// layoutReader reads one layout.
type layoutReader struct {
	dir     string
	store   *oci.ReadOnlyStorage
	images  []Index
	checked map[digest.Digest]bool
}

// verify reads blobs, each once, and compares them with their size and digest.
func (r layoutReader) verify(ctx context.Context, blobs []Blob) error {
	for _, b := range blobs {
		if r.checked[b.Descriptor.Digest] {
			continue
		}
		if err := verifyFile(ctx, blobPath(r.dir, b.Descriptor.Digest), b.Descriptor); err != nil {
			return err
		}
		r.checked[b.Descriptor.Digest] = true
	}
	return nil
}

// readIndexFile reads oci-layout and index.json.
func readIndexFile(dir string) (ocispec.Index, error) {
	var layout ocispec.ImageLayout
	if err := readJSONFile(filepath.Join(dir, ocispec.ImageLayoutFile), &layout); err != nil {
		return ocispec.Index{}, err
	}
	if layout.Version != ocispec.ImageLayoutVersion {
		return ocispec.Index{}, fmt.Errorf("layout version %q is not %s", layout.Version, ocispec.ImageLayoutVersion)
	}
	var index ocispec.Index
	if err := readJSONFile(filepath.Join(dir, ocispec.ImageIndexFile), &index); err != nil {
		return ocispec.Index{}, err
	}
	return index, nil
}

func readJSONFile(path string, into any) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	return decodeJSON(file, path, into)
}

// decodeJSON reads a document of at most the size of a manifest. The name is for errors.
func decodeJSON(r io.Reader, name string, into any) error {
	data, err := io.ReadAll(io.LimitReader(r, maxManifest+1))
	if err != nil {
		return err
	}
	if len(data) > maxManifest {
		return fmt.Errorf("%s is larger than %d bytes", name, maxManifest)
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}
