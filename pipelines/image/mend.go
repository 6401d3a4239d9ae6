package image

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Mending is what is put right in an image whose builder knows nothing of SOURCE_DATE_EPOCH.
type Mending struct {
	// Platform of the image.
	Platform ocispec.Platform
	// Created is the time of the image.
	Created time.Time
	// Files is the time of all files.
	Files time.Time
	// Base tells the layers of the base image, which are kept byte for byte, by what the builder says of them in the
	// history.
	Base func(said string) bool
	// Env tells which variables, as NAME=value, the image keeps.
	Env func(variable string) bool
}

// Mend reads the one image of an OCI layout, a folder or a tar archive, and writes it as the layout dir, with one
// time for all files in layers that are not the base's: which time a builder gives them depends on its caches. The
// history is one line a layer, for the same reason.
func Mend(ctx context.Context, layout, dir string, m Mending) error {
	found := newFindings()
	if err := findBuilt(ctx, layout, found); err != nil {
		return err
	}
	if len(found.images) != 1 {
		return fmt.Errorf("%s holds %d images instead of one", layout, len(found.images))
	}
	for _, b := range found.images {
		if err := m.mend(ctx, b, dir); err != nil {
			return err
		}
	}
	return nil
}

func (m Mending) mend(ctx context.Context, b built, dir string) error {
	var config struct {
		RootFS  ocispec.RootFS    `json:"rootfs"`
		History []ocispec.History `json:"history"`
	}
	if err := json.Unmarshal(b.config, &config); err != nil {
		return err
	}
	if len(config.RootFS.DiffIDs) != len(b.manifest.Layers) {
		return fmt.Errorf("%d layers, but %d in the configuration", len(b.manifest.Layers), len(config.RootFS.DiffIDs))
	}
	blobs := filepath.Join(dir, filepath.FromSlash(ocispec.ImageBlobsDir), digest.SHA256.String())
	if err := os.MkdirAll(blobs, 0o755); err != nil {
		return err
	}
	said := slices.DeleteFunc(config.History, func(h ocispec.History) bool { return h.EmptyLayer })
	x := Index{blobs: map[digest.Digest]Blob{}}
	for i, desc := range b.manifest.Layers {
		keep := i < len(said) && m.Base(said[i].CreatedBy)
		blob, diffID, err := m.layer(ctx, b, desc, config.RootFS.DiffIDs[i], keep, blobs)
		if err != nil {
			return fmt.Errorf("layer %s: %w", desc.Digest, err)
		}
		b.manifest.Layers[i], config.RootFS.DiffIDs[i] = blob.Descriptor, diffID
		x.blobs[blob.Descriptor.Digest] = blob
	}
	top, err := m.configured(b, config.RootFS)
	if err != nil {
		return err
	}
	b.manifest.Versioned, b.manifest.MediaType = specs.Versioned{SchemaVersion: 2}, ocispec.MediaTypeImageManifest
	b.manifest.Config = top.Descriptor
	manifest, err := jsonBlob(ocispec.MediaTypeImageManifest, b.manifest)
	if err != nil {
		return err
	}
	x.blobs[top.Descriptor.Digest], x.blobs[manifest.Descriptor.Digest] = top, manifest
	x.Descriptor = manifest.Descriptor
	return writeLayout(ctx, dir, []Index{x})
}

// configured is the configuration of the mended image.
func (m Mending) configured(b built, layers ocispec.RootFS) (Blob, error) {
	all := object{}
	if err := json.Unmarshal(b.config, &all); err != nil {
		return Blob{}, err
	}
	var settings object
	if err := all.get("config", &settings); err != nil {
		return Blob{}, err
	}
	var env []string
	if err := settings.get("Env", &env); err != nil {
		return Blob{}, err
	}
	if env != nil {
		if err := settings.set("Env", slices.DeleteFunc(env, func(v string) bool { return !m.Env(v) })); err != nil {
			return Blob{}, err
		}
		if err := all.set("config", settings); err != nil {
			return Blob{}, err
		}
	}
	p := NormalizePlatform(m.Platform)
	history := make([]ocispec.History, len(b.manifest.Layers))
	for i := range history {
		history[i].Created = &m.Created
	}
	delete(all, "variant")
	if p.Variant != "" {
		if err := all.set("variant", p.Variant); err != nil {
			return Blob{}, err
		}
	}
	for _, field := range []struct {
		name  string
		value any
	}{
		{"os", p.OS}, {"architecture", p.Architecture}, {"created", m.Created}, {"rootfs", layers}, {"history", history},
	} {
		if err := all.set(field.name, field.value); err != nil {
			return Blob{}, err
		}
	}
	return jsonBlob(ocispec.MediaTypeImageConfig, all)
}

// layer is a layer of the mended image: the builder's own, or a copy with the one time among the blobs.
func (m Mending) layer(
	ctx context.Context, b built, desc ocispec.Descriptor, diffID digest.Digest, keep bool, blobs string,
) (Blob, digest.Digest, error) {
	same := fetchBlob(desc, b.from)
	if keep {
		return same, diffID, nil
	}
	if media, ok := layerMediaType(desc.MediaType); !ok || media != ocispec.MediaTypeImageLayerGzip {
		return Blob{}, "", fmt.Errorf("the times in a layer of media type %q cannot be set", desc.MediaType)
	}
	file, err := os.CreateTemp(blobs, ".layer-*")
	if err != nil {
		return Blob{}, "", err
	}
	made, err := m.rewrite(ctx, same, file)
	if err = errors.Join(err, file.Close()); err != nil {
		return Blob{}, "", errors.Join(err, os.Remove(file.Name()))
	}
	path := filepath.Join(blobs, made.digest.Encoded())
	d := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayerGzip, Digest: made.digest, Size: made.size}
	return fileBlob(d, path), made.diffID, os.Rename(file.Name(), path)
}

// read hands on each entry of a layer.
func (m Mending) read(ctx context.Context, b Blob, each func(*tar.Header, io.Reader) error) error {
	r, err := b.Open(ctx)
	if err != nil {
		return err
	}
	defer r.Close()
	plain, err := gzip.NewReader(contextReader{ctx, r})
	if err != nil {
		return err
	}
	defer func() { _ = plain.Close() }() // reading has told all there is to tell
	for entries := tar.NewReader(plain); ; {
		header, err := entries.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := each(header, entries); err != nil {
			return fmt.Errorf("/%s: %w", header.Name, err)
		}
	}
}

// rewrite packs a layer anew.
func (m Mending) rewrite(ctx context.Context, b Blob, w io.Writer) (layer, error) {
	return packLayer(w, func(archive *tar.Writer) error {
		return m.read(ctx, b, func(h *tar.Header, content io.Reader) error {
			if err := archive.WriteHeader(m.header(h)); err != nil {
				return err
			}
			_, err := io.Copy(archive, content)
			return err
		})
	})
}

// header is that of an entry, with the one time. Extended attributes stay.
func (m Mending) header(h *tar.Header) *tar.Header {
	out := *h
	out.Format = tar.FormatUnknown // the oldest that holds what the entry has
	out.AccessTime, out.ChangeTime = time.Time{}, time.Time{}
	out.ModTime = m.Files
	out.PAXRecords = nil
	for key, value := range h.PAXRecords {
		if strings.HasPrefix(key, "SCHILY.xattr.") {
			if out.PAXRecords == nil {
				out.PAXRecords = map[string]string{}
			}
			out.PAXRecords[key] = value
		}
	}
	return &out
}
