package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// layerCases push an image with one layer of 1 GB out of an OCI layout: what counts is the memory.
func layerCases() []Case {
	return []Case{{
		Name: "layer-1GB", What: "push an image with one layer of 1 GB from an OCI layout",
		Rounds: 2, Limit: Limit{PeakMB: 100},
		Setup: func(ctx context.Context, l *Lab) (Setup, error) {
			project, err := newProject(ctx, l, "layer")
			if err != nil {
				return Setup{}, err
			}
			head, err := l.command(ctx, project.dir, nil, l.peers["git"], "rev-parse", "HEAD").Output()
			if err != nil {
				return Setup{}, err
			}
			layout := filepath.Join(l.dir, "layout")
			if err := bigLayout(layout, strings.TrimSpace(string(head))); err != nil {
				return Setup{}, err
			}
			at := l.target.host
			sides := []Side{{
				Name: "berth", Prepare: l.target.wipe,
				Run: func(ctx context.Context) *exec.Cmd {
					return l.command(ctx, project.dir, nil, l.berth, "publish", "--env", "dev", "--component", "builder",
						"--platform", "linux/amd64", "--from", layout, "--format", "json")
				},
				Check: func(ctx context.Context) error { return has(ctx, at, "berth/builder", "dev-latest") },
			}}
			for _, p := range []struct {
				name string
				args []string
			}{
				{"crane", []string{"push", "--index", layout, at + "/peer/crane:v1"}},
				{"regctl", []string{"image", "copy", "ocidir://" + layout + ":builder", at + "/peer/regctl:v1"}},
				{"skopeo", []string{
					"copy", "--all", "--preserve-digests", "--dest-tls-verify=false", "oci:" + layout + ":builder",
					"docker://" + at + "/peer/skopeo:v1",
				}},
			} {
				file := l.peers[p.name]
				if file == "" {
					continue
				}
				sides = append(sides, Side{
					Name: p.name, Prepare: l.target.wipe,
					Run:   func(ctx context.Context) *exec.Cmd { return l.command(ctx, l.dir, nil, file, p.args...) },
					Check: func(ctx context.Context) error { return has(ctx, at, "peer/"+p.name, "v1") },
				})
			}
			return Setup{Sides: sides}, nil
		},
	}}
}

// bigLayout writes an OCI layout with an index of one platform and one layer of 1 GB.
func bigLayout(dir, commit string) error {
	blobs := filepath.Join(dir, "blobs", "sha256")
	if err := os.MkdirAll(blobs, 0o755); err != nil {
		return err
	}
	content := noise{seed: 77, size: 1 << 30}
	layer, err := content.descriptor()
	if err != nil {
		return err
	}
	if err := saveBlob(blobs, layer, content.reader()); err != nil {
		return err
	}
	config, err := saveJSON(blobs, configType, map[string]any{
		"os": "linux", "architecture": "amd64", "created": "2026-01-02T03:04:05Z",
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{layer.Digest}},
	})
	if err != nil {
		return err
	}
	m, err := saveJSON(blobs, manifestType, manifest{
		SchemaVersion: 2, MediaType: manifestType, Config: &config, Layers: []descriptor{layer},
	})
	if err != nil {
		return err
	}
	m.Platform = &platform{OS: "linux", Architecture: "amd64"}
	index, err := saveJSON(blobs, indexType, manifest{
		SchemaVersion: 2, MediaType: indexType, Manifests: []descriptor{m},
		Annotations: map[string]string{
			"org.opencontainers.image.title": "builder", "org.opencontainers.image.version": "1.2.3",
			"org.opencontainers.image.revision": commit, "org.opencontainers.image.created": "2026-01-02T03:04:05Z",
			"org.opencontainers.image.source": "https://github.com/example/bench",
		},
	})
	if err != nil {
		return err
	}
	index.Annotations = map[string]string{
		"org.opencontainers.image.ref.name": "builder", "org.opencontainers.image.title": "builder",
	}
	top, err := json.Marshal(manifest{SchemaVersion: 2, MediaType: indexType, Manifests: []descriptor{index}})
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "index.json"), top, 0o644); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "oci-layout"), []byte(`{"imageLayoutVersion":"1.0.0"}`), 0o644); err != nil {
		return fmt.Errorf("oci-layout: %w", err)
	}
	return nil
}

func saveBlob(dir string, d descriptor, r io.Reader) error {
	f, err := os.Create(filepath.Join(dir, strings.TrimPrefix(d.Digest, "sha256:")))
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return err
}

func saveJSON(dir, mediaType string, v any) (descriptor, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return descriptor{}, err
	}
	d := describeBytes(mediaType, body)
	return d, saveBlob(dir, d, bytes.NewReader(body))
}
