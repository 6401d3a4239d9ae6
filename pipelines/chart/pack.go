package chart

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/Masterminds/semver/v3"
	"github.com/klauspost/compress/gzip"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/content/memory"

	"github.com/berth-sh/berth/pipelines/chart/wire"
)

// The media types of a chart in a registry.
// Source: https://helm.sh/docs/topics/registries/#helm-chart-manifest
const (
	configType = "application/vnd.cncf.helm.config.v1+json"
	layerType  = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
)

// Artifact is a packaged chart as it goes to a registry. Its digest depends on the chart's files alone.
type Artifact struct {
	Name     string
	Version  *semver.Version
	Manifest []byte
	// Descriptor of the manifest.
	Descriptor ocispec.Descriptor
	// Content holds manifest, configuration and archive.
	Content content.ReadOnlyStorage
	// Archive is the chart as `helm package` would write it.
	Archive []byte
}

// Pack makes the artifact from the files that berth-helm read.
func Pack(ctx context.Context, a wire.Answer) (Artifact, error) {
	v, err := semver.StrictNewVersion(a.Version)
	if err != nil {
		return Artifact{}, fmt.Errorf("version %q of the chart: %w", a.Version, err)
	}
	archive, err := tarball(a.Files)
	if err != nil {
		return Artifact{}, err
	}
	var meta struct{ Description string }
	if err := json.Unmarshal(a.Metadata, &meta); err != nil {
		return Artifact{}, fmt.Errorf("metadata of the chart: %w", err)
	}
	annotations := map[string]string{ocispec.AnnotationTitle: a.Chart, ocispec.AnnotationVersion: a.Version}
	if meta.Description != "" {
		annotations[ocispec.AnnotationDescription] = meta.Description
	}
	store := memory.New()
	add := func(mediaType string, data []byte) (ocispec.Descriptor, error) {
		d := ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}
		return d, store.Push(ctx, d, bytes.NewReader(data))
	}
	m := ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest, Annotations: annotations,
	}
	var layer ocispec.Descriptor
	var configErr, layerErr error
	m.Config, configErr = add(configType, a.Metadata)
	layer, layerErr = add(layerType, archive)
	if err := errors.Join(configErr, layerErr); err != nil {
		return Artifact{}, err
	}
	m.Layers = []ocispec.Descriptor{layer}
	raw, err := json.Marshal(m)
	if err != nil {
		return Artifact{}, err
	}
	d, err := add(ocispec.MediaTypeImageManifest, raw)
	return Artifact{
		Name: a.Chart, Version: v, Manifest: raw, Descriptor: d, Content: store, Archive: archive,
	}, err
}

// tag is the tag of a version: OCI knows no plus sign, and Helm writes an underscore for it.
func (a Artifact) tag() string { return strings.ReplaceAll(a.Version.String(), "+", "_") }

// tarball writes the archive with fixed owner, mode, time and compression.
func tarball(files []wire.File) ([]byte, error) {
	var out bytes.Buffer
	zip, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	w := tar.NewWriter(zip)
	for _, f := range files {
		header := &tar.Header{
			Typeflag: tar.TypeReg, Name: f.Name, Size: int64(len(f.Data)), Mode: 0o644, ModTime: time.Unix(0, 0).UTC(),
			Format: tar.FormatPAX,
		}
		if err := w.WriteHeader(header); err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name, err)
		}
		if _, err := w.Write(f.Data); err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name, err)
		}
	}
	if err := errors.Join(w.Close(), zip.Close()); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
