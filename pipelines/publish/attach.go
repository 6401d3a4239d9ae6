package publish

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/berth-sh/berth/pipelines/attest"
	"github.com/berth-sh/berth/pipelines/image"
)

// attach puts what the builders said about the images beside them. Such statements differ from build to build of the
// same image, so that one which has a statement of a type keeps it: publishing twice adds nothing.
func (p *Publisher) attach(ctx context.Context, jobs []*job) error {
	g, gctx := errgroup.WithContext(ctx)
	for _, j := range jobs {
		if len(j.image.Attestations) > 0 {
			g.Go(func() error { return p.attachTo(gctx, j) })
		}
	}
	return g.Wait()
}

// attachTo goes one by one: where a registry keeps the list under a tag, two at once would replace each other's.
func (p *Publisher) attachTo(ctx context.Context, j *job) error {
	there := map[digest.Digest]map[string]digest.Digest{}
	for _, a := range j.image.Attestations {
		if there[a.Subject.Digest] == nil {
			found, err := statements(ctx, j.target, a.Subject)
			if err != nil {
				return err
			}
			there[a.Subject.Digest] = found
		}
		one := Attachment{
			Platform: a.Platform, PredicateType: a.PredicateType, Digest: a.Descriptor.Digest.String(), Action: ActionCreated,
		}
		if had, ok := there[a.Subject.Digest][a.PredicateType]; ok {
			one.Digest, one.Action = had.String(), ActionUnchanged
		} else if err := attest.Put(ctx, j.target, j.image, a.Subject, a.Descriptor); err != nil {
			return err
		}
		j.attached = append(j.attached, one)
		p.progress.Emit("attach", fmt.Sprintf("%s %s", j.plan.Repository, a.Platform), a.PredicateType)
	}
	return nil
}

// statements are the referrers of an image that carry statements, by predicate type.
func statements(
	ctx context.Context, target Target, subject ocispec.Descriptor,
) (map[string]digest.Digest, error) {
	listed, err := target.Referrers(ctx, subject.Digest.String(), image.StatementMediaType)
	if err != nil {
		return nil, err
	}
	out := map[string]digest.Digest{}
	for _, d := range listed {
		kind := d.Annotations[image.AnnotationPredicateType]
		if kind == "" { // not every registry lists annotations
			raw, _, err := target.Manifest(ctx, d.Digest.String())
			if err != nil {
				return nil, err
			}
			var manifest ocispec.Manifest
			if err := json.Unmarshal(raw, &manifest); err != nil {
				continue // somebody else's, and no manifest
			}
			kind = manifest.Annotations[image.AnnotationPredicateType]
		}
		if _, ok := out[kind]; !ok {
			out[kind] = d.Digest
		}
	}
	return out, nil
}
