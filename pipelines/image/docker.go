package image

import (
	"archive/tar"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// WriteDockerArchive writes one platform of an image in the form that `docker load` and `podman load` read, under the
// references given ("repository:tag"; none is fine). Layers stay compressed. A missing platform is a fault with code
// [fault.Usage].
func WriteDockerArchive(ctx context.Context, w io.Writer, x Index, platform ocispec.Platform, refs []string) error {
	child, ok := pickPlatform(x.Manifest.Manifests, platform)
	if !ok {
		return missingPlatform(x.Component, platform, x.Platforms())
	}
	var manifest ocispec.Manifest
	if err := fetchJSON(ctx, x, child, &manifest); err != nil {
		return fmt.Errorf("%s: %w", x.Component, err)
	}
	archive := tar.NewWriter(w)
	written := map[digest.Digest]bool{}
	add := func(name string, d ocispec.Descriptor) error {
		if written[d.Digest] {
			return nil // some bases have the empty layer more than once
		}
		written[d.Digest] = true
		r, err := x.Fetch(ctx, d)
		if err != nil {
			return err
		}
		defer r.Close()
		return addFile(ctx, archive, name, d.Size, r)
	}
	list := struct {
		Config   string
		RepoTags []string
		Layers   []string
	}{Config: manifest.Config.Digest.Encoded() + ".json", RepoTags: append([]string{}, refs...), Layers: []string{}}
	if err := add(list.Config, manifest.Config); err != nil {
		return fmt.Errorf("%s: %w", x.Component, err)
	}
	for _, l := range manifest.Layers {
		name := l.Digest.Encoded() + ".tar.gz" // Docker looks at the bytes, not at the name
		if err := add(name, l); err != nil {
			return fmt.Errorf("%s: %w", x.Component, err)
		}
		list.Layers = append(list.Layers, name)
	}
	data, err := json.Marshal([]any{list})
	if err != nil {
		return err
	}
	if err := addFile(ctx, archive, "manifest.json", int64(len(data)), memoryReader(data)); err != nil {
		return fmt.Errorf("%s: %w", x.Component, err)
	}
	return archive.Close()
}

// containerdName is the annotation by which containerd, and Docker with its image store, know what to call an image.
// Source: https://github.com/containerd/containerd/blob/main/core/images/annotations.go
const containerdName = "io.containerd.image.name"

// WriteLayoutArchive writes an image with all its platforms as an OCI image layout in a tar archive, under the
// references given ("repository:tag"). `docker load` reads it where Docker has the image store of containerd, and the
// image keeps its digest there.
func WriteLayoutArchive(ctx context.Context, w io.Writer, x Index, refs []string) error {
	index := ocispec.Index{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex,
		Manifests: []ocispec.Descriptor{},
	}
	for _, ref := range refs {
		d := x.Descriptor
		d.Annotations = map[string]string{containerdName: ref}
		index.Manifests = append(index.Manifests, d)
	}
	archive := tar.NewWriter(w)
	for _, file := range []struct {
		name  string
		value any
	}{
		{ocispec.ImageLayoutFile, ocispec.ImageLayout{Version: ocispec.ImageLayoutVersion}},
		{ocispec.ImageIndexFile, index},
	} {
		data, err := json.Marshal(file.value)
		if err != nil {
			return err
		}
		if err := addFile(ctx, archive, file.name, int64(len(data)), memoryReader(data)); err != nil {
			return fmt.Errorf("%s: %w", x.Component, err)
		}
	}
	for _, b := range x.sorted() {
		if err := addBlob(ctx, archive, b); err != nil {
			return fmt.Errorf("%s: %w", x.Component, err)
		}
	}
	return archive.Close()
}

func addBlob(ctx context.Context, archive *tar.Writer, b Blob) error {
	r, err := b.Open(ctx)
	if err != nil {
		return err
	}
	defer r.Close()
	return addFile(ctx, archive, blobName(b.Descriptor.Digest), b.Descriptor.Size, r)
}

func addFile(ctx context.Context, archive *tar.Writer, name string, size int64, r io.Reader) error {
	header := &tar.Header{
		Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: size, ModTime: time.Unix(0, 0), Format: tar.FormatUSTAR,
	}
	if err := archive.WriteHeader(header); err != nil {
		return err
	}
	n, err := io.Copy(archive, contextReader{ctx, r})
	if err == nil && n != size {
		err = fmt.Errorf("%s: %d bytes where %d were expected: %w", name, n, size, io.ErrUnexpectedEOF)
	}
	return err
}
