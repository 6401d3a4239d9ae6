package promote

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"
	"golang.org/x/sync/errgroup"

	"github.com/berth-sh/berth/pipelines/approve"
	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/guard"
	"github.com/berth-sh/berth/pipelines/plan"
	"github.com/berth-sh/berth/pipelines/registry"
)

// job is one component on its way.
type job struct {
	component      string
	source, target *registry.Repository
	copier         *registry.Copier
	picked         picked
	// settled is true when every tag names the image already: nothing more is asked then.
	settled   bool
	found     found
	version   *semver.Version
	candidate *guard.Candidate
	seen      guard.Seen
	held      []string // the tags of the target, where candidates are counted
	verdict   approve.Verdict
	sent      registry.Uploaded
	// ahead is true when the target has what every record is made with.
	ahead  bool
	record string
}

// freshVersion is how a fix comes to a version tag of its own.
const freshVersion = "a released version keeps its bytes; the other image needs a version of its own: " +
	"berth version bump patch"

// Work is a promotion that was planned, and what was read for it.
type Work struct {
	Plan Plan

	route route
	jobs  []*job
	// chart comes along; nil for none. refused says why one that should does not.
	chart   *job
	refused []plan.Refusal
}

// Prepare looks at both sides and plans. Its error means that there is no plan; a plan with refusals can be shown but
// not carried out.
func (p *Promoter) Prepare(ctx context.Context, r Request) (*Work, error) {
	checked, err := p.route(r)
	if err != nil {
		return nil, err
	}
	w := &Work{route: checked}
	for _, name := range checked.components {
		j := &job{component: name}
		if j.source, err = p.Open(p.Config.FullRepositoryOf(checked.from, name)); err != nil {
			return nil, err
		}
		if j.target, err = p.Open(p.Config.FullRepositoryOf(checked.to, name)); err != nil {
			return nil, err
		}
		j.copier = registry.NewCopier(j.source, j.target, p.mounts)
		w.jobs = append(w.jobs, j)
	}
	err = inTurn(ctx, w, p.lookAround, p.readAll, p.findChart, p.decide, p.approvals)
	if err != nil {
		return nil, err
	}
	refusals, err := p.refusals(ctx, w)
	if err != nil {
		return nil, err
	}
	w.Plan = p.plan(w, refusals)
	return w, nil
}

// each runs one step of all jobs at once. Refusals of all are told together.
func each(ctx context.Context, jobs []*job, do func(context.Context, *job) error) error {
	g, gctx := errgroup.WithContext(ctx)
	refused := make([]error, len(jobs))
	for i, j := range jobs {
		g.Go(func() error {
			err := do(gctx, j)
			if fault.CodeOf(err) == fault.Refused {
				refused[i], err = err, nil
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return fault.Join(refused...)
}

// readAll reads the images that are not settled. One that is of another version than expected gets other tags.
func (p *Promoter) readAll(ctx context.Context, w *Work) error {
	err := each(ctx, w.jobs, func(ctx context.Context, j *job) error {
		if j.settled {
			return nil
		}
		g, gctx := errgroup.WithContext(ctx)
		g.Go(func() (err error) {
			j.found, err = inspect(gctx, j.copier, j.picked.desc)
			return err
		})
		g.Go(func() error { return j.copier.Look(gctx, j.picked.desc) })
		return g.Wait()
	})
	if err != nil {
		return err
	}
	again := false
	for _, j := range w.jobs {
		if said := j.found.said.Version; said != nil && !said.Equal(j.version) && w.route.Version == nil {
			j.version, again = said, true
		}
	}
	if again {
		if err := p.wish(ctx, w); err != nil {
			return err
		}
	}
	for _, j := range w.jobs {
		x := j.candidate
		x.Descriptor = j.picked.desc
		x.Manifest, x.Commit, x.CommitTime = j.found.manifest, j.found.said.Revision, j.found.said.Created
	}
	return nil
}

// decide settles the tags. What is refused is a part of the plan.
func (p *Promoter) decide(ctx context.Context, w *Work) error {
	err := each(ctx, w.jobs, func(ctx context.Context, j *job) error { return p.keepRolledBack(ctx, w, j) })
	if err != nil {
		return err
	}
	candidates, seen := w.candidates()
	if err := p.guard.Decide(ctx, candidates, seen); err != nil && fault.CodeOf(err) != fault.Refused {
		return err
	}
	return nil
}

// changes tells whether any tag would change.
func (w *Work) changes() bool {
	return slices.ContainsFunc(w.all(), func(j *job) bool { return j.candidate.Changes() })
}

func (w *Work) candidates() (candidates []*guard.Candidate, seen []guard.Seen) {
	for _, j := range w.all() {
		candidates, seen = append(candidates, j.candidate), append(seen, j.seen)
	}
	return candidates, seen
}

// approvals asks how far the images are approved. One that changes nothing needs none, and neither does a rollback: its
// version was approved when it was released.
func (p *Promoter) approvals(ctx context.Context, w *Work) error {
	if w.route.Rollback || len(w.route.rule.Approvals) == 0 {
		return nil
	}
	return each(ctx, w.jobs, func(ctx context.Context, j *job) (err error) {
		if j.candidate.Changes() || w.chartChanges() {
			j.verdict, err = p.Approved(ctx, Subject{j.component, j.source, j.picked.desc.Digest, w.route.to, w.chartDigest()})
		}
		return err
	})
}

// refusals lists every reason against the promotion.
func (p *Promoter) refusals(ctx context.Context, w *Work) ([]plan.Refusal, error) {
	out := []plan.Refusal{}
	if len(w.jobs) > 0 {
		account, err := w.jobs[0].target.Account(ctx)
		if err != nil {
			return nil, err
		}
		out = append(out, asRefusal(guard.Writers(w.route.to, p.Config.WritersOf(w.route.to), account))...)
	}
	for _, j := range w.jobs {
		if !j.settled && !w.route.Rollback {
			out = append(out, p.check(w.route, j)...)
		}
		if refusal, err := p.neverCame(ctx, w, j); err != nil || refusal != nil {
			if err != nil {
				return nil, err
			}
			out = append(out, *refusal)
		}
	}
	out = append(out, w.refused...)
	for _, j := range w.all() {
		for _, t := range j.candidate.Tags {
			if t.Action == guard.ActionRefused {
				subject := j.target.String() + ":" + t.Name
				out = append(out, plan.Refusal{Subject: subject, Reason: t.Reason, Next: j.candidate.Fresh})
			}
		}
	}
	out = append(out, unapproved(w)...)
	if w.route.rule.Signed && p.Signer == nil && w.changes() {
		out = append(out, plan.Refusal{
			Subject: "environment " + w.route.to, Reason: "it wants the records of promotions to be signed",
			Next: "name the key of a recorder or approver: --key KEY",
		})
	}
	return out, nil
}

// unapproved are the refusals for approvals that are missing. Where that is so of several images, one command for each
// role approves them all.
func unapproved(w *Work) []plan.Refusal {
	var out []plan.Refusal
	var next []string
	for _, j := range w.jobs {
		name := j.component + " " + j.version.String()
		out = append(out, asRefusal(j.verdict.Err(name, j.picked.desc.Digest, w.route.to))...)
		for _, m := range j.verdict.Missing {
			step := m.Next("berth approve --to " + w.route.to + " --role " + m.Role + w.route.flags() + " --key KEY")
			if !slices.Contains(next, step) {
				next = append(next, step)
			}
		}
	}
	if len(out) > 1 {
		for i := range out {
			out[i].Next = strings.Join(next, "\n")
		}
	}
	return out
}

// flags are those of a command that picks the same images.
func (r route) flags() string {
	var b strings.Builder
	if r.Version != nil {
		b.WriteString(" --version " + r.Version.String())
	}
	for _, name := range r.Components {
		b.WriteString(" --component " + name)
	}
	for _, from := range r.From {
		b.WriteString(" --from " + from)
	}
	return b.String()
}

// asRefusal turns a refusal that was made as an error into one of a plan.
func asRefusal(err error) []plan.Refusal {
	if f, ok := errors.AsType[*fault.Error](err); ok {
		return []plan.Refusal{{Subject: f.Subject, Reason: f.Err.Error(), Next: f.Next}}
	}
	return nil
}

// plan writes down what was decided.
func (p *Promoter) plan(w *Work, refusals []plan.Refusal) Plan {
	out := Plan{
		From: w.route.from, Environment: w.route.to, Registry: p.Config.Environments[w.route.to].Registry,
		Rollback: w.route.Rollback, Images: []Image{}, Refusals: refusals,
	}
	for _, j := range w.jobs {
		x := Image{
			Component: j.component, Source: j.source.String(), SourceTag: j.picked.tag, Reason: j.picked.reason,
			Digest: j.picked.desc.Digest.String(), Repository: j.target.String(), Version: j.version.String(),
			Commit: j.found.said.Revision, Platforms: j.found.platforms, Tags: []Tag{},
			Approvals: j.verdict.Evidence(), Missing: []string{},
		}
		if x.Platforms == nil {
			x.Platforms = []string{}
		}
		for _, m := range j.verdict.Missing {
			x.Missing = append(x.Missing, m.Role)
		}
		for _, t := range j.candidate.Tags {
			x.Tags = append(x.Tags, Tag{Name: t.Name, Class: t.Class, Action: actionOf(t.Action), Reason: t.Reason})
		}
		out.Images = append(out.Images, x)
	}
	out.Chart = w.chartPlan()
	return out
}
