package image

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"

	"github.com/berth-sh/berth/pipelines/fault"
)

const (
	// nonroot is the user that images run as when their base names none, by number, so that a cluster can check
	// runAsNonRoot without reading the image's files. The number is the one distroless images use.
	nonroot = "65532:65532"

	defaultPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
)

// Base is what a component's layer is put on. Make it once with [Static], [Scratch] or [FromStorage] and use it for
// every component: it is safe for concurrent use. The zero Base is Scratch.
type Base struct {
	// Name is the reference of the base image, as written into the image; empty for static and scratch.
	Name string
	// Digest is the digest of the base image, of its index when it has one; empty for static and scratch.
	Digest digest.Digest

	root func(ctx context.Context, p ocispec.Platform) (root, error)
}

// root is a base for one platform.
type root struct {
	layers  []Blob
	diffIDs []digest.Digest
	history []ocispec.History
	env     []string
	user    string
}

func (b Base) forPlatform(ctx context.Context, p ocispec.Platform) (root, error) {
	r := root{}
	if b.root != nil {
		var err error
		if r, err = b.root(ctx, p); err != nil {
			return root{}, err
		}
	}
	hasPath := slices.ContainsFunc(r.env, func(s string) bool { return strings.HasPrefix(s, "PATH=") })
	if !hasPath {
		r.env = append([]string{defaultPath}, r.env...)
	}
	if isRoot(r.user) {
		r.user = nonroot
	}
	return r, nil
}

// isRoot tells a base that runs as root, mostly because nobody chose, from one that chose its own user.
func isRoot(user string) bool {
	name, _, _ := strings.Cut(user, ":")
	return name == "" || name == "0" || name == "root"
}

// Scratch is the empty base: the image holds the binary and nothing else.
func Scratch() Base { return Base{} }

// FromStorage is a base image that lies in a registry, a layout or any other store: an index or a single manifest, OCI
// or Docker. Its layers are kept byte for byte and read from src when the image is copied. Of its configuration the
// environment and a user other than root are taken over; labels are not, for they describe another image. The name is
// the reference it was resolved from. Platforms are looked up when an image is assembled: a missing one is a fault with
// code [fault.Usage].
func FromStorage(ctx context.Context, name string, src content.ReadOnlyStorage, desc ocispec.Descriptor) (Base, error) {
	b := Base{Name: name, Digest: desc.Digest}
	if isManifest(desc.MediaType) {
		b.root = func(ctx context.Context, p ocispec.Platform) (root, error) {
			return readRoot(ctx, name, src, desc, p)
		}
		return b, nil
	}
	if !isIndex(desc.MediaType) {
		return Base{}, fault.New(fault.Usage, name, "name a container image as base",
			"media type %q is no image", desc.MediaType)
	}
	var index ocispec.Index
	if err := fetchJSON(ctx, src, desc, &index); err != nil {
		return Base{}, &fault.Error{Op: "read the base image", Subject: name, Err: err}
	}
	b.root = func(ctx context.Context, p ocispec.Platform) (root, error) {
		m, ok := pickPlatform(index.Manifests, p)
		if !ok {
			return root{}, missingPlatform(name, p, platformsOf(index.Manifests))
		}
		return readRoot(ctx, name, src, m, p)
	}
	return b, nil
}

// readRoot reads one manifest of a base image and its configuration.
func readRoot(ctx context.Context, name string, src content.ReadOnlyStorage, desc ocispec.Descriptor,
	want ocispec.Platform,
) (root, error) {
	var manifest ocispec.Manifest
	if err := fetchJSON(ctx, src, desc, &manifest); err != nil {
		return root{}, &fault.Error{Op: "read the base image", Subject: name, Err: err}
	}
	var config ocispec.Image
	if err := fetchJSON(ctx, src, manifest.Config, &config); err != nil {
		return root{}, &fault.Error{Op: "read the base image", Subject: name, Err: err}
	}
	if !slices.Contains(fallbacks(want), PlatformString(config.Platform)) {
		return root{}, missingPlatform(name, want, []string{PlatformString(config.Platform)})
	}
	if len(manifest.Layers) != len(config.RootFS.DiffIDs) {
		return root{}, fault.New(fault.Usage, name, "choose another base image",
			"the base image is broken: %d layers, but %d diff IDs", len(manifest.Layers), len(config.RootFS.DiffIDs))
	}
	r := root{
		diffIDs: config.RootFS.DiffIDs, history: config.History, env: config.Config.Env, user: config.Config.User,
	}
	for _, l := range manifest.Layers {
		media, ok := layerMediaType(l.MediaType)
		if !ok {
			return root{}, fault.New(fault.Usage, name, "choose another base image",
				"the base image has a layer of media type %q, which berth does not know", l.MediaType)
		}
		blob := fetchBlob(l, src)
		blob.Descriptor = ocispec.Descriptor{MediaType: media, Digest: l.Digest, Size: l.Size}
		r.layers = append(r.layers, blob)
	}
	return r, nil
}

// layerMediaType gives the OCI name of a layer's media type; Docker's names mean the same bytes. Layers that must not
// be distributed ("foreign") are not known: an image that needs them cannot be published.
func layerMediaType(s string) (string, bool) {
	switch s {
	case ocispec.MediaTypeImageLayer, ocispec.MediaTypeImageLayerGzip, ocispec.MediaTypeImageLayerZstd:
		return s, true
	case "application/vnd.docker.image.rootfs.diff.tar.gzip":
		return ocispec.MediaTypeImageLayerGzip, true
	case "application/vnd.docker.image.rootfs.diff.tar":
		return ocispec.MediaTypeImageLayer, true
	default:
		return "", false
	}
}

// pickPlatform finds the manifest that a machine of the platform would run, the closest variant first.
func pickPlatform(manifests []ocispec.Descriptor, want ocispec.Platform) (ocispec.Descriptor, bool) {
	for _, s := range fallbacks(want) {
		for _, m := range manifests {
			if m.Platform != nil && PlatformString(*m.Platform) == s {
				return m, true
			}
		}
	}
	return ocispec.Descriptor{}, false
}

// fallbacks lists the platforms whose files run on a platform: itself, then older variants of the architecture.
func fallbacks(p ocispec.Platform) []string {
	p = NormalizePlatform(p)
	out := []string{PlatformString(p)}
	var older []string
	switch p.Architecture {
	case "amd64":
		older = []string{"v4", "v3", "v2", ""}
	case "arm":
		older = []string{"v7", "v6", "v5"}
	case "arm64":
		older = []string{p.Variant, ""}
	}
	if i := slices.Index(older, p.Variant); i >= 0 {
		for _, v := range older[i+1:] {
			out = append(out, PlatformString(ocispec.Platform{OS: p.OS, Architecture: p.Architecture, Variant: v}))
		}
	}
	return out
}

// platformsOf lists the platforms of an index's manifests; attestations, which have none, do not count.
func platformsOf(manifests []ocispec.Descriptor) []string {
	var out []string
	for _, m := range manifests {
		if p := m.Platform; p != nil && p.OS != "unknown" {
			out = append(out, PlatformString(*p))
		}
	}
	return out
}

func missingPlatform(subject string, want ocispec.Platform, have []string) error {
	return fault.New(fault.Usage, subject, "choose an image that has it, or leave the platform out",
		"the image has no %s, it has %s", PlatformString(want), strings.Join(have, ", "))
}

func fetchJSON(ctx context.Context, src content.Fetcher, desc ocispec.Descriptor, into any) error {
	data, err := fetchSmall(ctx, src, desc)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, into)
}
