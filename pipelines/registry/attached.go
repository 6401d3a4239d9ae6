package registry

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
)

// cosignSuffixes are the tags that cosign gives signatures, attestations and SBOMs of a digest, sha256-<hex> first.
// Source: https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md#storage
func cosignSuffixes() []string { return []string{".sig", ".att", ".sbom"} }

// FirstTags lists the tags of the first page, and tells whether that is all of them. No repository is no tags.
func (r *Repository) FirstTags(ctx context.Context) (tags []string, all bool, err error) {
	enough := errors.New("one page is enough")
	pages := 0
	err = r.remote.Tags(ctx, "", func(page []string) error {
		if pages++; pages > 1 {
			return enough
		}
		tags = page
		return nil
	})
	if errors.Is(err, enough) {
		return tags, false, nil
	}
	err = r.fault(ctx, operation{verb: "list the tags of"}, err)
	if errors.Is(err, ErrNotFound) {
		return nil, true, nil
	}
	return tags, err == nil, err
}

// CopyAttached copies what is attached to manifests that are at the target: their referrers, those of these, and
// what cosign keeps under tags. A tag of cosign that the target has already stays as it is there: it may hold more.
func (c *Copier) CopyAttached(ctx context.Context, subjects []ocispec.Descriptor) (Uploaded, error) {
	if c.from.String() == c.to.String() {
		return Uploaded{}, nil
	}
	tags, all, err := c.from.FirstTags(ctx)
	if err != nil {
		return Uploaded{}, err
	}
	a := &attached{Copier: c, has: func(tag string) bool { return !all || slices.Contains(tags, tag) }}
	g, gctx := errgroup.WithContext(ctx)
	for _, subject := range subjects {
		c.know(subject.Digest)
	}
	for _, subject := range subjects {
		g.Go(func() error { return a.referrers(gctx, subject.Digest) })
		for _, suffix := range cosignSuffixes() {
			g.Go(func() error { return a.tagged(gctx, strings.Replace(subject.Digest.String(), ":", "-", 1)+suffix) })
		}
	}
	err = g.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	return a.sent, err
}

// attached is one run of CopyAttached.
type attached struct {
	*Copier

	has  func(tag string) bool // false when the source has no such tag for sure
	sent Uploaded
}

func (a *attached) referrers(ctx context.Context, subject digest.Digest) error {
	found, err := a.from.Referrers(ctx, subject.String(), "")
	if err != nil || len(found) == 0 {
		return err
	}
	// What counts is that the target lists it: where the list is kept under a tag, a copy that broke off may have left a
	// manifest that is on no list.
	listed, err := a.to.Referrers(ctx, subject.String(), "")
	if err != nil {
		return err
	}
	g, gctx := errgroup.WithContext(ctx)
	for _, desc := range found {
		g.Go(func() error {
			if !slices.ContainsFunc(listed, func(x ocispec.Descriptor) bool { return x.Digest == desc.Digest }) {
				if err := a.count(a.send(gctx, desc)); err != nil {
					return err
				}
			}
			a.know(desc.Digest)
			return a.referrers(gctx, desc.Digest)
		})
	}
	return g.Wait()
}

func (a *attached) tagged(ctx context.Context, tag string) error {
	if !a.has(tag) {
		return nil
	}
	desc, err := a.from.Resolve(ctx, tag)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	switch _, err := a.to.Resolve(ctx, tag); {
	case err == nil:
		return nil
	case !errors.Is(err, ErrNotFound):
		return err
	}
	if err := a.count(a.Copy(ctx, desc)); err != nil {
		return err
	}
	raw, err := a.Read(ctx, desc)
	if err != nil {
		return err
	}
	return a.to.Tag(ctx, raw, desc, tag)
}

func (a *attached) count(sent Uploaded, err error) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sent.Blobs += sent.Blobs
	a.sent.Bytes += sent.Bytes
	a.sent.Manifests += sent.Manifests
	return err
}
