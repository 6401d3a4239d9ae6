package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
)

// The media types and documents of the OCI image specification, as far as the cases make them.
const (
	indexType    = "application/vnd.oci.image.index.v1+json"
	manifestType = "application/vnd.oci.image.manifest.v1+json"
	configType   = "application/vnd.oci.image.config.v1+json"
	layerType    = "application/vnd.oci.image.layer.v1.tar"
)

type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int64             `json:"size"`
	Platform    *platform         `json:"platform,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

type platform struct {
	OS           string `json:"os"`
	Architecture string `json:"architecture"`
}

type manifest struct {
	SchemaVersion int               `json:"schemaVersion"`
	MediaType     string            `json:"mediaType"`
	Config        *descriptor       `json:"config,omitempty"`
	Layers        []descriptor      `json:"layers,omitempty"`
	Manifests     []descriptor      `json:"manifests,omitempty"`
	Annotations   map[string]string `json:"annotations,omitempty"`
}

// noise is incompressible content that depends on the seed only.
type noise struct {
	seed uint64
	size int64
}

func (n noise) reader() io.Reader {
	var seed [32]byte
	seed[0], seed[1], seed[2], seed[3] = byte(n.seed), byte(n.seed>>8), byte(n.seed>>16), byte(n.seed>>24)
	return io.LimitReader(rand.NewChaCha8(seed), n.size)
}

func (n noise) descriptor() (descriptor, error) {
	h := sha256.New()
	if _, err := io.Copy(h, n.reader()); err != nil {
		return descriptor{}, err
	}
	return descriptor{MediaType: layerType, Digest: fmt.Sprintf("sha256:%x", h.Sum(nil)), Size: n.size}, nil
}

func describeBytes(mediaType string, body []byte) descriptor {
	return descriptor{MediaType: mediaType, Digest: fmt.Sprintf("sha256:%x", sha256.Sum256(body)), Size: int64(len(body))}
}

// uploader puts content into one repository.
type uploader struct {
	host, repository string
}

func (u uploader) do(
	ctx context.Context, method, address, mediaType string, body io.Reader, size int64,
) (string, error) {
	q, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		return "", err
	}
	if mediaType != "" {
		q.Header.Set("Content-Type", mediaType)
	}
	q.ContentLength = size
	resp, err := http.DefaultClient.Do(q)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, _ := io.ReadAll(resp.Body)
	if resp.StatusCode >= 300 {
		return "", fmt.Errorf("%s %s: %s %s", method, address, resp.Status, answer)
	}
	return resp.Header.Get("Location"), nil
}

func (u uploader) blob(ctx context.Context, d descriptor, body io.Reader) error {
	location, err := u.do(ctx, http.MethodPost, "http://"+u.host+"/v2/"+u.repository+"/blobs/uploads/", "", nil, 0)
	if err != nil {
		return err
	}
	joint := "?"
	if strings.Contains(location, "?") {
		joint = "&"
	}
	_, err = u.do(ctx, http.MethodPut, location+joint+"digest="+d.Digest, "application/octet-stream", body, d.Size)
	return err
}

func (u uploader) manifest(ctx context.Context, m manifest, tags ...string) (descriptor, error) {
	body, err := json.Marshal(m)
	if err != nil {
		return descriptor{}, err
	}
	d := describeBytes(m.MediaType, body)
	for _, ref := range append(tags, d.Digest) {
		_, err := u.do(ctx, http.MethodPut, "http://"+u.host+"/v2/"+u.repository+"/manifests/"+ref, m.MediaType,
			bytes.NewReader(body), d.Size)
		if err != nil {
			return descriptor{}, err
		}
	}
	return d, nil
}

// image puts an index of two platforms, each with these layers, and returns the index's digest.
func (u uploader) image(ctx context.Context, layers map[string][]noise, annotations map[string]string,
	tags ...string,
) (string, error) {
	index := manifest{SchemaVersion: 2, MediaType: indexType, Annotations: annotations}
	for _, arch := range []string{"amd64", "arm64"} {
		m := manifest{SchemaVersion: 2, MediaType: manifestType}
		var diffs []string
		for _, n := range layers[arch] {
			d, err := n.descriptor()
			if err != nil {
				return "", err
			}
			if err := u.blob(ctx, d, n.reader()); err != nil {
				return "", err
			}
			m.Layers = append(m.Layers, d)
			diffs = append(diffs, d.Digest)
		}
		config, err := json.Marshal(map[string]any{
			"os": "linux", "architecture": arch, "created": "2026-01-02T03:04:05Z", "config": map[string]any{},
			"rootfs": map[string]any{"type": "layers", "diff_ids": diffs},
		})
		if err != nil {
			return "", err
		}
		c := describeBytes(configType, config)
		if err := u.blob(ctx, c, bytes.NewReader(config)); err != nil {
			return "", err
		}
		m.Config = &c
		d, err := u.manifest(ctx, m)
		if err != nil {
			return "", err
		}
		d.Platform = &platform{OS: "linux", Architecture: arch}
		index.Manifests = append(index.Manifests, d)
	}
	d, err := u.manifest(ctx, index, tags...)
	return d.Digest, err
}

// has fails when a registry does not have a manifest.
func has(ctx context.Context, host, repository, ref string) error {
	q, err := http.NewRequestWithContext(ctx, http.MethodHead, "http://"+host+"/v2/"+repository+"/manifests/"+ref, nil)
	if err != nil {
		return err
	}
	q.Header.Set("Accept", indexType+", "+manifestType)
	resp, err := http.DefaultClient.Do(q)
	if err != nil {
		return err
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s/%s:%s: %s", host, repository, ref, resp.Status)
	}
	return nil
}
