package publish

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/Masterminds/semver/v3"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/image"
	"github.com/berth-sh/berth/pipelines/plan"
	"github.com/berth-sh/berth/pipelines/registry"
)

// Observed is what the tags of a plan name at the registry before anything is sent: repository → tag → digest, "" for
// a tag that does not exist.
type Observed map[string]map[string]string

// Observe is the preflight: it refuses a plan with refusals and an account that may not write, then looks at every tag.
// It needs no image, so that it can run beside the build and stop it early.
func (p *Publisher) Observe(ctx context.Context, pl plan.Plan) (Observed, error) {
	if err := pl.Err(); err != nil {
		return nil, err
	}
	if err := p.checkWriters(ctx, pl); err != nil {
		return nil, err
	}
	seen := Observed{}
	for _, x := range pl.Images {
		seen[x.Repository] = map[string]string{}
	}
	var mu sync.Mutex
	g, gctx := errgroup.WithContext(ctx)
	for _, x := range pl.Images {
		target, err := p.open(x.Repository)
		if err != nil {
			return nil, err
		}
		for _, tag := range x.Tags {
			g.Go(func() error {
				digest, err := resolve(gctx, target, tag.Name)
				mu.Lock()
				defer mu.Unlock()
				seen[x.Repository][tag.Name] = digest
				return err
			})
		}
	}
	return seen, g.Wait()
}

// checkWriters holds the list of accounts that may write to the environment.
func (p *Publisher) checkWriters(ctx context.Context, pl plan.Plan) error {
	if len(pl.Writers) == 0 || len(pl.Images) == 0 {
		return nil
	}
	account, err := p.account(ctx, pl.Images[0].Repository)
	if err != nil {
		return err
	}
	if slices.Contains(pl.Writers, account) {
		return nil
	}
	if account == "" {
		account = "nobody (anonymous)"
	}
	return fault.New(fault.Refused, "environment "+pl.Environment,
		"log in as one of them: "+strings.Join(pl.Writers, ", "),
		"%s is not among the accounts that may write to it", account)
}

// resolve returns the digest of a tag, "" when the registry says that there is none. Only that answer means absent.
func resolve(ctx context.Context, t Target, tag string) (string, error) {
	desc, err := t.Resolve(ctx, tag)
	switch {
	case errors.Is(err, registry.ErrNotFound):
		return "", nil
	case err != nil:
		return "", err
	default:
		return desc.Digest.String(), nil
	}
}

// released tells whether the image that a tag names is the release of its version: the version's own tag names it too.
func (p *Publisher) released(ctx context.Context, pl plan.Plan, t Target, h held) (bool, error) {
	for _, tag := range pl.Images[0].Tags {
		name := tag.Of(h.version)
		if !tag.Release || name == "" {
			continue
		}
		digest, err := resolve(ctx, t, name)
		return digest == h.digest, err
	}
	return true, nil // the git tag alone names releases here, and nothing can be looked up by it
}

// describe finds what decides about a tag: what its image says of itself, and for a commit of the same second, git.
func (p *Publisher) describe(ctx context.Context, pl plan.Plan, t Target, digest string) (held, error) {
	h, err := describe(ctx, t, digest)
	if err == nil && pl.Release && h.version != nil {
		// A branch build carries the version that its branch works towards, which is no release yet.
		if released, lookErr := p.released(ctx, pl, t, h); lookErr != nil || !released {
			h.version, err = nil, lookErr
		}
	}
	if err != nil || !h.created.Equal(pl.CommitTime) || h.revision == "" || h.revision == pl.Commit {
		return h, err
	}
	h.newer, err = p.descends(ctx, h.revision)
	return h, err
}

// describe reads what an image says of itself: its index's annotations, or those of a single manifest. An image without
// any gives a held with a digest alone.
func describe(ctx context.Context, t Target, digest string) (held, error) {
	h := held{digest: digest}
	raw, _, err := t.Manifest(ctx, digest)
	if errors.Is(err, registry.ErrNotFound) {
		return h, nil // deleted meanwhile
	}
	if err != nil {
		return h, err
	}
	var m struct {
		Annotations map[string]string `json:"annotations"`
	}
	// What is no JSON, or has other annotations, was put there by another tool, and nothing is known of it.
	_ = json.Unmarshal(raw, &m)
	h.revision = m.Annotations[ocispec.AnnotationRevision]
	if v, err := semver.StrictNewVersion(m.Annotations[ocispec.AnnotationVersion]); err == nil {
		h.version = v
	}
	when := m.Annotations[image.AnnotationCommitTime]
	if when == "" {
		when = m.Annotations[ocispec.AnnotationCreated]
	}
	if t, err := time.Parse(time.RFC3339, when); err == nil {
		h.created = t
	}
	return h, nil
}
