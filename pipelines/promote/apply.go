package promote

import (
	"context"
	"fmt"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/berth-sh/berth/pipelines/attest"
	"github.com/berth-sh/berth/pipelines/registry"
	"github.com/berth-sh/berth/pipelines/report"
)

// Same fails when a plan is not the one that was saved, and says what differs.
func (w *Work) Same(saved Plan, subject string) error {
	return saved.Changes(w.Plan).Err(subject, "berth promote --dry-run")
}

// Apply carries out a plan: it copies every image, verifies it at the target, attaches the record and sets the tags. A
// failure before the tags leaves every tag where it was; the same command again finishes what was interrupted.
func (p *Promoter) Apply(ctx context.Context, w *Work) (Receipt, error) {
	if err := w.Plan.Err(); err != nil {
		return Receipt{}, err
	}
	if err := each(ctx, w.all(), p.copy); err != nil {
		return Receipt{}, err
	}
	if err := p.attachRecords(ctx, w); err != nil {
		return Receipt{}, err
	}
	candidates, seen := w.candidates()
	if err := p.guard.Set(ctx, candidates, seen); err != nil {
		return Receipt{}, err
	}
	return receipt(w), nil
}

// copy brings one image to the target with everything that is attached to it.
func (p *Promoter) copy(ctx context.Context, j *job) error {
	if !j.candidate.Changes() || j.source.String() == j.target.String() {
		return nil
	}
	root := j.picked.desc
	var sent registry.Uploaded
	var attached registry.Attached
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		sent, err = j.copier.Copy(gctx, root)
		return err
	})
	g.Go(func() (err error) {
		attached, err = j.copier.FindAttached(gctx, append([]ocispec.Descriptor{root}, j.found.children...))
		return err
	})
	g.Go(func() error { return attest.Ahead(gctx, p.recorder(j)) })
	err := g.Wait()
	j.ahead = err == nil
	j.add(sent)
	if err != nil {
		return err
	}
	// Whatever was sent now, the registry has verified. What was there is looked at: its parts may be gone since.
	if sent.Manifests == 0 {
		if err := p.complete(ctx, j); err != nil {
			return err
		}
	}
	sent, err = j.copier.CopyFound(ctx, attached)
	j.add(sent)
	if err != nil {
		return err
	}
	p.Progress.Emit("copy", j.target.String(), fmt.Sprintf("%s, %s",
		report.Plural(j.sent.Blobs, "blob"), report.Size(j.sent.Bytes)))
	return nil
}

// complete makes sure that every manifest below an index is at the target.
func (p *Promoter) complete(ctx context.Context, j *job) error {
	for _, child := range j.found.children {
		sent, err := j.copier.Copy(ctx, child)
		j.add(sent)
		if err != nil {
			return err
		}
	}
	return nil
}

func (j *job) add(sent registry.Uploaded) {
	j.sent.Blobs += sent.Blobs
	j.sent.Bytes += sent.Bytes
	j.sent.Manifests += sent.Manifests
}
