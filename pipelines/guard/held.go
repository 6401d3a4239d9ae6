package guard

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/Masterminds/semver/v3"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/berth-sh/berth/pipelines/image"
	"github.com/berth-sh/berth/pipelines/registry"
)

// held is what a tag names at the registry, as far as the image tells.
type held struct {
	// digest is empty when the tag does not exist.
	digest   string
	revision string
	version  *semver.Version
	created  time.Time
	// newer is true when its commit, of the same second as that of the candidate, descends from it.
	newer bool
}

// Said is what an image says of itself.
type Said struct {
	// Revision is the commit.
	Revision string
	// Version is nil when the image names none.
	Version *semver.Version
	// Created is the commit's time, or when the image was made; zero when it names neither.
	Created time.Time
}

// Read takes what an image says of itself from the annotations of its index, or of its only manifest. What is no JSON,
// or has other annotations, was put there by another tool, and nothing is known of it.
func Read(manifest []byte) Said {
	var m struct {
		Annotations map[string]string `json:"annotations"`
	}
	_ = json.Unmarshal(manifest, &m)
	s := Said{Revision: m.Annotations[ocispec.AnnotationRevision]}
	if v, err := semver.StrictNewVersion(m.Annotations[ocispec.AnnotationVersion]); err == nil {
		s.Version = v
	}
	when := m.Annotations[image.AnnotationCommitTime]
	if when == "" {
		when = m.Annotations[ocispec.AnnotationCreated]
	}
	if t, err := time.Parse(time.RFC3339, when); err == nil {
		s.Created = t
	}
	return s
}

// describe finds what decides about a tag: what its image says of itself, and for a commit of the same second, git.
func (g *Guard) describe(ctx context.Context, x *Candidate, digest string) (held, error) {
	h := held{digest: digest}
	raw, _, err := x.Target.Manifest(ctx, digest)
	if errors.Is(err, registry.ErrNotFound) {
		return h, nil // deleted meanwhile
	}
	if err != nil {
		return h, err
	}
	said := Read(raw)
	h.revision, h.version, h.created = said.Revision, said.Version, said.Created
	if x.Release && h.version != nil {
		// A branch build carries the version that its branch works towards, which is no release yet.
		released, err := released(ctx, x, h)
		if err != nil {
			return h, err
		}
		if !released {
			h.version = nil
		}
	}
	if !h.created.Equal(x.CommitTime) || h.revision == "" || h.revision == x.Commit {
		return h, nil
	}
	h.newer, err = g.descends(ctx, h.revision, x.Commit)
	return h, err
}

// released tells whether the image that a tag names is the release of its version: the version's own tag names it too.
func released(ctx context.Context, x *Candidate, h held) (bool, error) {
	for _, tag := range x.Wanted {
		name := tag.Of(h.version)
		if !tag.Release || name == "" {
			continue
		}
		digest, err := Resolve(ctx, x.Target, name)
		return digest == h.digest, err
	}
	return true, nil // the git tag alone names releases here, and nothing can be looked up by it
}
