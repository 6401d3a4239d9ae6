package audit

import (
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
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/content/oci"
	"oras.land/oras-go/v2/errdef"

	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/registry"
)

// Layout is an OCI image layout with images and what is attached to them, as `berth verify --save`, `oras copy -r
// --to-oci-layout` and `regctl image copy --referrers` write it. No network is needed to read one.
type Layout struct {
	dir   string
	store *oci.ReadOnlyStore
	index ocispec.Index
}

// OpenLayout reads the index of a layout and every manifest in it. One that is damaged is a refusal.
func OpenLayout(ctx context.Context, dir string) (*Layout, error) {
	raw, err := os.ReadFile(filepath.Join(dir, ocispec.ImageIndexFile))
	if err != nil {
		return nil, fault.New(fault.Usage, dir, "name a folder that `berth build --output`, `berth verify --save` or "+
			"`oras copy --to-oci-layout` wrote", "it is no OCI image layout: %w", err)
	}
	l := &Layout{dir: dir}
	if err := json.Unmarshal(raw, &l.index); err != nil {
		return nil, fault.New(fault.Usage, dir, "write the layout again", "%s: %w", ocispec.ImageIndexFile, err)
	}
	if l.store, err = oci.NewFromFS(ctx, os.DirFS(dir)); err != nil {
		return nil, l.broken(ctx, err)
	}
	return l, nil
}

// Images lists the images of the layout by their names, or by their digests where they have none. What is attached to
// another one is no image.
func (l *Layout) Images(ctx context.Context) ([]string, error) {
	var out []string
	for _, desc := range l.index.Manifests {
		name := desc.Annotations[ocispec.AnnotationRefName]
		if _, ok := fallbackTag(name); ok {
			continue
		}
		attached, err := l.attached(ctx, desc)
		if err != nil {
			return nil, err
		}
		parents, err := l.store.Predecessors(ctx, desc)
		if err != nil {
			return nil, err
		}
		if attached || name == "" && len(parents) > 0 && !l.onlyReferrers(ctx, parents) {
			continue // a child of an index, which some tools list as well
		}
		if name == "" {
			name = desc.Digest.String()
		}
		if !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	named := slices.ContainsFunc(out, func(s string) bool { return !strings.Contains(s, "sha256:") })
	if named { // an image that is listed by its digest as well
		out = slices.DeleteFunc(out, func(s string) bool { return strings.HasPrefix(s, "sha256:") })
	}
	slices.Sort(out)
	return out, nil
}

func (l *Layout) onlyReferrers(ctx context.Context, parents []ocispec.Descriptor) bool {
	return !slices.ContainsFunc(parents, func(d ocispec.Descriptor) bool {
		attached, err := l.attached(ctx, d)
		return err != nil || !attached
	})
}

func (l *Layout) attached(ctx context.Context, desc ocispec.Descriptor) (bool, error) {
	m, err := l.read(ctx, desc)
	return m.Subject != nil, err
}

// fallbackTag reads the tag under which tools keep referrers where there is no list of them.
func fallbackTag(name string) (digest.Digest, bool) {
	d := digest.Digest(strings.Replace(name, "-", ":", 1))
	return d, d.Validate() == nil && !strings.Contains(name, ":")
}

// manifest is what decides about a referrer.
type manifest struct {
	MediaType    string              `json:"mediaType"`
	ArtifactType string              `json:"artifactType"`
	Config       ocispec.Descriptor  `json:"config"`
	Subject      *ocispec.Descriptor `json:"subject"`
	Annotations  map[string]string   `json:"annotations"`
}

func (l *Layout) read(ctx context.Context, desc ocispec.Descriptor) (manifest, error) {
	var m manifest
	raw, err := content.FetchAll(ctx, l, desc)
	if err == nil {
		err = json.Unmarshal(raw, &m)
	}
	if err != nil {
		return m, l.broken(ctx, fmt.Errorf("%s: %w", desc.Digest, err))
	}
	return m, nil
}

// broken is the refusal of a layout that is damaged.
func (l *Layout) broken(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fault.New(fault.Refused, l.dir, "copy the images again, from a source that you trust",
		"the layout does not hold: %w", err)
}

// Manifest implements Source.
func (l *Layout) Manifest(ctx context.Context, ref string) ([]byte, ocispec.Descriptor, error) {
	desc, err := l.store.Resolve(ctx, ref)
	if err != nil && errors.Is(err, errdef.ErrNotFound) {
		return nil, desc, fmt.Errorf("%s: %s: %w", l.dir, ref, registry.ErrNotFound)
	}
	if err != nil {
		return nil, desc, err
	}
	if desc.Size > maxManifest {
		return nil, desc, fmt.Errorf("%s: %s has %d bytes; at most %d are read", l.dir, ref, desc.Size, maxManifest)
	}
	raw, err := content.FetchAll(ctx, l, desc)
	return raw, desc, err
}

// maxManifest is the largest manifest that is read, in bytes; registries agree on 4 MiB.
const maxManifest = 4 << 20

// Referrers implements Source.
func (l *Layout) Referrers(ctx context.Context, subject, artifactType string) ([]ocispec.Descriptor, error) {
	_, desc, err := l.Manifest(ctx, subject)
	if err != nil {
		return nil, err
	}
	// The store knows its nodes by media type, digest and size. A digest alone is resolved without the first.
	for _, listed := range l.index.Manifests {
		if listed.Digest == desc.Digest {
			desc.MediaType, desc.Size = listed.MediaType, listed.Size
		}
	}
	parents, err := l.store.Predecessors(ctx, ocispec.Descriptor{
		MediaType: desc.MediaType, Digest: desc.Digest, Size: desc.Size,
	})
	if err != nil {
		return nil, err
	}
	var out []ocispec.Descriptor
	for _, d := range parents {
		m, err := l.read(ctx, d)
		if err != nil {
			return nil, err
		}
		if m.Subject == nil || m.Subject.Digest != desc.Digest {
			continue
		}
		if d.ArtifactType = m.ArtifactType; d.ArtifactType == "" {
			d.ArtifactType = m.Config.MediaType
		}
		d.Annotations = m.Annotations
		if artifactType == "" || d.ArtifactType == artifactType {
			out = append(out, d)
		}
	}
	slices.SortFunc(out, func(a, b ocispec.Descriptor) int { return strings.Compare(string(a.Digest), string(b.Digest)) })
	return out, nil
}

// Fetch implements Source. A file of another size than it should have is damaged, not an answer that broke off.
func (l *Layout) Fetch(ctx context.Context, desc ocispec.Descriptor) (io.ReadCloser, error) {
	r, err := l.store.Fetch(ctx, desc)
	if errors.Is(err, errdef.ErrNotFound) {
		return nil, fmt.Errorf("%s: %s: %w", l.dir, desc.Digest, registry.ErrNotFound)
	}
	file, ok := r.(fs.File)
	if err != nil || !ok {
		return r, err
	}
	if info, err := file.Stat(); err != nil || info.Size() != desc.Size {
		_ = file.Close()
		return nil, fmt.Errorf("%s: %s: %w", l.dir, desc.Digest, errors.Join(content.ErrMismatchedDigest, err))
	}
	return r, nil
}

// Exists implements Source.
func (l *Layout) Exists(ctx context.Context, desc ocispec.Descriptor) (bool, error) {
	return l.store.Exists(ctx, desc)
}

// Save copies an image with everything that is attached to it into an OCI layout, under a name. What the layout has
// already stays.
func Save(ctx context.Context, x Image, d digest.Digest, dir, name string) error {
	store, err := oci.NewWithContext(ctx, dir)
	if err != nil {
		return fault.New(fault.Usage, dir, "name a folder that does not exist, or an OCI image layout",
			"cannot write the layout: %w", err)
	}
	_, root, err := x.Source.Manifest(ctx, d.String())
	if err != nil {
		return err
	}
	if err := saveGraph(ctx, x.Source, store, root, maxAttached); err != nil {
		return fmt.Errorf("save %s: %w", x.subject(), err)
	}
	return store.Tag(ctx, root, name)
}

// maxAttached bounds what is attached to what is attached.
const maxAttached = 8

func saveGraph(ctx context.Context, from Source, to *oci.Store, root ocispec.Descriptor, depth int) error {
	if err := oras.CopyGraph(ctx, from, to, root, oras.DefaultCopyGraphOptions); err != nil {
		return err
	}
	listed, err := from.Referrers(ctx, root.Digest.String(), "")
	if err != nil || depth == 0 {
		return err
	}
	for _, desc := range listed {
		desc = ocispec.Descriptor{MediaType: desc.MediaType, Digest: desc.Digest, Size: desc.Size}
		if err := saveGraph(ctx, from, to, desc, depth-1); err != nil {
			return err
		}
	}
	return nil
}
