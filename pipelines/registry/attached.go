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

// Attached is what is attached to manifests at the source of a copier: referrers, referrers of these, and what cosign
// keeps under tags.
type Attached struct {
	subjects []referred
	tagged   []tagged
}

// referred is a manifest and the referrers that it has.
type referred struct {
	ocispec.Descriptor
	referrers []referred
}

type tagged struct {
	ocispec.Descriptor
	tag string
}

// CopyAttached copies what is attached to manifests that are at the target, see [Copier.CopyFound].
func (c *Copier) CopyAttached(ctx context.Context, subjects []ocispec.Descriptor) (Uploaded, error) {
	found, err := c.FindAttached(ctx, subjects)
	if err != nil {
		return Uploaded{}, err
	}
	return c.CopyFound(ctx, found)
}

// FindAttached looks what is attached to manifests at the source. One list of tags answers for those that are kept
// under tags: cosign's, and referrers where there is no API for them.
func (c *Copier) FindAttached(ctx context.Context, subjects []ocispec.Descriptor) (Attached, error) {
	if c.from.String() == c.to.String() {
		return Attached{}, nil
	}
	tags, all, err := c.from.FirstTags(ctx)
	if err != nil {
		return Attached{}, err
	}
	f := &finding{Copier: c, has: func(tag string) bool { return !all || slices.Contains(tags, tag) }}
	out := Attached{subjects: make([]referred, len(subjects))}
	g, gctx := errgroup.WithContext(ctx)
	for i, subject := range subjects {
		g.Go(func() (err error) {
			out.subjects[i], err = f.referred(gctx, subject)
			return err
		})
		for _, suffix := range cosignSuffixes() {
			g.Go(func() error { return f.tagged(gctx, &out, asTag(subject.Digest)+suffix) })
		}
	}
	return out, g.Wait()
}

// asTag writes a digest as tags do that stand for one.
// Source: https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#referrers-tag-schema
func asTag(d digest.Digest) string { return strings.Replace(d.String(), ":", "-", 1) }

// finding is one run of FindAttached.
type finding struct {
	*Copier

	has func(tag string) bool // false when the source has no such tag for sure
}

func (f *finding) referred(ctx context.Context, desc ocispec.Descriptor) (referred, error) {
	out := referred{Descriptor: desc}
	found, err := f.from.referrersOf(ctx, desc.Digest, f.has)
	if err != nil {
		return out, err
	}
	out.referrers = make([]referred, len(found))
	g, gctx := errgroup.WithContext(ctx)
	for i, x := range found {
		g.Go(func() (err error) {
			out.referrers[i], err = f.referred(gctx, x)
			return err
		})
	}
	return out, g.Wait()
}

// referrersOf lists all referrers, without a request where the tags of the repository show that there are none.
func (r *Repository) referrersOf(
	ctx context.Context, subject digest.Digest, has func(tag string) bool,
) ([]ocispec.Descriptor, error) {
	if !has(asTag(subject)) && r.api.asked() {
		if err := r.api.wait(ctx); err != nil {
			return nil, err
		}
		if known, supported := r.api.state(); known && !supported {
			return nil, nil
		}
	}
	return r.Referrers(ctx, subject.String(), "")
}

func (f *finding) tagged(ctx context.Context, out *Attached, tag string) error {
	if !f.has(tag) {
		return nil
	}
	desc, err := f.from.Resolve(ctx, tag)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	out.tagged = append(out.tagged, tagged{desc, tag})
	return nil
}

// CopyFound copies what was found attached to manifests, which must be at the target by now. A tag of cosign that the
// target has already stays as it is there: it may hold more.
func (c *Copier) CopyFound(ctx context.Context, found Attached) (Uploaded, error) {
	s := &sending{Copier: c}
	for _, subject := range found.subjects {
		c.know(subject.Digest)
	}
	g, gctx := errgroup.WithContext(ctx)
	for _, subject := range found.subjects {
		g.Go(func() error { return s.referrers(gctx, subject) })
	}
	for _, x := range found.tagged {
		g.Go(func() error { return s.tagged(gctx, x) })
	}
	err := g.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	return s.sent, err
}

// sending is one run of CopyFound.
type sending struct {
	*Copier

	sent Uploaded
}

// referrers sends those of a manifest, each before its own.
func (s *sending) referrers(ctx context.Context, subject referred) error {
	if len(subject.referrers) == 0 {
		return nil
	}
	// What counts is that the target lists it: where the list is kept under a tag, a copy that broke off may have left a
	// manifest that is on no list.
	listed, err := s.to.Referrers(ctx, subject.Digest.String(), "")
	if err != nil {
		return err
	}
	// One after another: where the list is kept under a tag, two that are added to it at once can lose one.
	for _, x := range subject.referrers {
		if !slices.ContainsFunc(listed, func(y ocispec.Descriptor) bool { return y.Digest == x.Digest }) {
			if err := s.count(s.send(ctx, x.Descriptor)); err != nil {
				return err
			}
		}
		s.know(x.Digest)
		if err := s.referrers(ctx, x); err != nil {
			return err
		}
	}
	return nil
}

func (s *sending) tagged(ctx context.Context, x tagged) error {
	switch _, err := s.to.Resolve(ctx, x.tag); {
	case err == nil:
		return nil
	case !errors.Is(err, ErrNotFound):
		return err
	}
	if err := s.count(s.Copy(ctx, x.Descriptor)); err != nil {
		return err
	}
	raw, err := s.Read(ctx, x.Descriptor)
	if err != nil {
		return err
	}
	return s.to.Tag(ctx, raw, x.Descriptor, x.tag)
}

func (s *sending) count(sent Uploaded, err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent.Blobs += sent.Blobs
	s.sent.Bytes += sent.Bytes
	s.sent.Manifests += sent.Manifests
	return err
}
