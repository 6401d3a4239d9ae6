package promote

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"

	"github.com/berth-sh/berth/pipelines/attest"
	"github.com/berth-sh/berth/pipelines/facts"
	"github.com/berth-sh/berth/pipelines/guard"
	"github.com/berth-sh/berth/pipelines/plan"
	"github.com/berth-sh/berth/pipelines/registry"
	"github.com/berth-sh/berth/pipelines/version"
)

// attachRecords attaches the record of the promotion to each image that gets a tag. It comes before the tags, so that
// none ever names an image without a record; a run that breaks off between the two is finished by the next one.
func (p *Promoter) attachRecords(ctx context.Context, w *Work) error {
	return each(ctx, w.all(), func(ctx context.Context, j *job) error {
		if !j.candidate.Changes() {
			return nil
		}
		said, err := p.promotion(ctx, w, j)
		if err != nil {
			return err
		}
		if known, err := p.recorded(ctx, j, said); err != nil || known {
			return err
		}
		statement, err := attest.NewStatement(j.target.String(), j.picked.desc.Digest, said)
		if err != nil {
			return err
		}
		document, err := attest.Sign(ctx, statement, p.Signer)
		if err != nil {
			return err
		}
		desc, err := attest.Attach(ctx, p.recorder(j), j.picked.desc, document)
		if err != nil {
			return fmt.Errorf("record the promotion: %w", err)
		}
		j.record = desc.Digest.String()
		p.Progress.Emit("record", j.target.String(), guard.Short(j.record))
		return nil
	})
}

// promotion is what the record says.
func (p *Promoter) promotion(ctx context.Context, w *Work, j *job) (*attest.Promotion, error) {
	who, err := j.target.Account(ctx)
	if err != nil {
		return nil, err
	}
	out := &attest.Promotion{
		Project: p.Config.Project, Component: j.component, Who: who, From: w.route.from, To: w.route.to,
		Source: j.source.String(), Target: j.target.String(), Version: j.version.String(),
		Commit: j.found.said.Revision, Tags: []string{}, Approvals: j.verdict.Evidence(), CI: p.Run,
		Rollback: w.route.Rollback, At: p.Now().UTC(), Chart: w.chartSaid(),
	}
	if j == w.chart {
		out.Approvals = w.chartEvidence()
	}
	for _, t := range j.candidate.Tags {
		switch t.Action {
		case guard.ActionMoved:
			if w.route.Rollback {
				if out.MovedFrom == nil {
					out.MovedFrom = map[string]string{}
				}
				out.MovedFrom[t.Name] = t.Held
			}
			out.Tags = append(out.Tags, t.Name)
		case guard.ActionCreated, guard.ActionUnchanged:
			out.Tags = append(out.Tags, t.Name)
		}
	}
	return out, nil
}

// recorded tells whether a run that was interrupted among the tags has left the same record.
func (p *Promoter) recorded(ctx context.Context, j *job, said *attest.Promotion) (bool, error) {
	begun := slices.ContainsFunc(j.candidate.Tags, func(t guard.Tag) bool { return t.Action == guard.ActionUnchanged })
	if !begun || said.Rollback {
		return false, nil
	}
	listed, err := attest.List(ctx, j.target, j.picked.desc.Digest, attest.PromotionType)
	if err != nil && !errors.Is(err, registry.ErrNotFound) {
		return false, err
	}
	for _, a := range listed {
		r, ok := a.Predicate.(*attest.Promotion)
		if !ok || r.Rollback || r.To != said.To || r.From != said.From || r.Target != said.Target ||
			r.Component != said.Component || !slices.Equal(r.Tags, said.Tags) {
			continue
		}
		if p.Signer == nil {
			return true, nil
		}
		// A record that somebody else left does not stand for one that is to be signed.
		if _, err := a.SignedBy(ctx, p.Signer.PublicKey()); err == nil {
			return true, nil
		}
	}
	return false, nil
}

// promotions reads the records of an image.
func promotions(ctx context.Context, r *registry.Repository, d digest.Digest) ([]*attest.Promotion, error) {
	listed, err := attest.List(ctx, r, d, attest.PromotionType)
	if errors.Is(err, registry.ErrNotFound) {
		return nil, nil
	}
	var out []*attest.Promotion
	for _, a := range listed {
		if said, ok := a.Predicate.(*attest.Promotion); ok {
			out = append(out, said)
		}
	}
	return out, err
}

// keepRolledBack keeps floating tags where a rollback left them, when an image is promoted again that had come to the
// environment before: a late job must not undo it, also after a fix has taken the tags from where they were left. A
// version that is new there moves them.
func (p *Promoter) keepRolledBack(ctx context.Context, w *Work, j *job) error {
	x := j.candidate
	released := false
	for _, t := range x.Wanted {
		released = released || t.Class == version.ClassVersion && j.seen[t.Name] == x.Digest()
	}
	if !released || x.Back || j.settled {
		return nil // an image that never was here cannot have been taken back
	}
	own, err := promotions(ctx, j.target, j.picked.desc.Digest)
	if err != nil {
		return err
	}
	read := map[string][]*attest.Promotion{}
	for _, t := range x.Wanted {
		now := j.seen[t.Name]
		if t.Class != version.ClassFloating || now == "" || now == x.Digest() {
			continue
		}
		if _, ok := read[now]; !ok {
			if read[now], err = promotions(ctx, j.target, digest.Digest(now)); err != nil {
				return err
			}
		}
		if why := left(w.route.to, t.Name, x.Digest(), own, read[now]); why != "" {
			if x.Kept == nil {
				x.Kept = map[string]string{}
			}
			x.Kept[t.Name] = why
		}
	}
	return nil
}

// left says why a floating tag stays with the image that has it, by the records of both; "" when it may move.
func left(to, tag, digest string, own, holder []*attest.Promotion) string {
	var came time.Time // when the image last came to the environment
	for _, r := range own {
		if r.To == to && r.At.After(came) {
			came = r.At
		}
	}
	why := ""
	for _, r := range holder {
		switch {
		case r.Rollback && r.MovedFrom[tag] == digest:
			return fmt.Sprintf("a rollback to %s of commit %s took it from this image", r.Version, facts.Short(r.Commit))
		case r.To == to && slices.Contains(r.Tags, tag) && !came.IsZero() && r.At.After(came):
			why = fmt.Sprintf("it was given to %s of commit %s after this image came here", r.Version, facts.Short(r.Commit))
		}
	}
	return why
}

// neverCame refuses a rollback to an image that no record of a promotion brought to the environment under its tag,
// where approvals or signed records are wanted: a rollback needs no approval only because the version had them when it
// was released, and a record that anybody could have left there does not say so where records are signed.
func (p *Promoter) neverCame(ctx context.Context, w *Work, j *job) (*plan.Refusal, error) {
	rule := w.route.rule
	if !w.route.Rollback || len(rule.Approvals) == 0 && !rule.Signed || !j.candidate.Changes() {
		return nil, nil
	}
	listed, err := attest.List(ctx, j.target, j.picked.desc.Digest, attest.PromotionType)
	if err != nil && !errors.Is(err, registry.ErrNotFound) {
		return nil, err
	}
	if slices.ContainsFunc(listed, func(a attest.Attestation) bool {
		said, ok := a.Predicate.(*attest.Promotion)
		return ok && !said.Rollback && said.To == w.route.to && said.Target == j.target.String() &&
			said.Component == j.component && slices.Contains(said.Tags, j.picked.tag) &&
			(!rule.Signed || p.Trusted(ctx, a.Document))
	}) {
		return nil, nil
	}
	record := "no record"
	if rule.Signed {
		record = "no record that a recorder or approver signed"
	}
	return &plan.Refusal{
		Subject: j.target.String() + ":" + j.picked.tag,
		Reason: record + " says that this image was promoted to " + w.route.to + " under that tag, " +
			"so that nobody is known to have approved it",
		Next: "look what it is: berth audit " + j.target.String() + ":" + j.picked.tag,
	}, nil
}

// recorder attaches with few requests: a new record is nowhere yet, and its subject is there.
type recorder struct {
	*registry.Repository

	mounts *registry.Mounts
	there  []digest.Digest
}

func (p *Promoter) recorder(j *job) recorder {
	r := recorder{j.target, p.mounts, []digest.Digest{j.picked.desc.Digest}}
	if j.ahead {
		r.there = append(r.there, ocispec.DescriptorEmptyJSON.Digest)
	}
	return r
}

// Push implements attest.Repository.
func (r recorder) Push(ctx context.Context, src content.ReadOnlyStorage, root ocispec.Descriptor,
	o registry.PushOptions,
) (registry.Uploaded, error) {
	o.Mounts = r.mounts
	o.Known = func(desc ocispec.Descriptor) (there, known bool) { return slices.Contains(r.there, desc.Digest), true }
	return r.Repository.Push(ctx, src, root, o)
}
