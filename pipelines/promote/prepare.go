package promote

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"
	"golang.org/x/sync/errgroup"

	"github.com/berth-sh/berth/pipelines/approve"
	"github.com/berth-sh/berth/pipelines/config"
	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/guard"
	"github.com/berth-sh/berth/pipelines/plan"
	"github.com/berth-sh/berth/pipelines/registry"
	"github.com/berth-sh/berth/pipelines/version"
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
	verdict   approve.Verdict
	sent      registry.Uploaded
	record    string
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
		if j.source, err = p.Open(p.repository(checked.from, name)); err != nil {
			return nil, err
		}
		if j.target, err = p.Open(p.repository(checked.to, name)); err != nil {
			return nil, err
		}
		j.copier = registry.NewCopier(j.source, j.target, p.mounts)
		w.jobs = append(w.jobs, j)
	}
	err = inTurn(ctx, w, []func(context.Context, *Work) error{
		p.lookAround, p.readAll, p.findChart, p.decide, p.approvals,
	})
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

// lookAround finds the images, and looks at the tags of the expected version, before the images are read: when all name
// them, nothing more needs to be known. Both sides are asked at once where the tags do not depend on the images.
func (p *Promoter) lookAround(ctx context.Context, w *Work) error {
	for _, j := range w.jobs {
		if j.version = w.route.Version; j.version == nil {
			j.version = p.Checkout.Version
		}
	}
	counting, err := counting(w.route.rule)
	if err != nil {
		return err
	}
	steps := []func(context.Context, *Work) error{p.pickAll, p.wish}
	if len(counting) > 0 {
		err = inTurn(ctx, w, steps)
	} else {
		err = atOnce(ctx, w, steps)
	}
	if err != nil {
		return err
	}
	for _, j := range w.jobs {
		j.settled = true
		for _, tag := range j.candidate.Wanted {
			j.settled = j.settled && j.seen[tag.Name] == j.picked.desc.Digest.String()
		}
	}
	return nil
}

// inTurn takes steps one after another.
func inTurn(ctx context.Context, w *Work, steps []func(context.Context, *Work) error) error {
	for _, step := range steps {
		if err := step(ctx, w); err != nil {
			return err
		}
	}
	return nil
}

// atOnce takes steps that need nothing of each other side by side. Their error is the one that they have in turn.
func atOnce(ctx context.Context, w *Work, steps []func(context.Context, *Work) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	results := make([]chan error, len(steps))
	for i, step := range steps {
		results[i] = make(chan error, 1)
		go func() { results[i] <- step(ctx, w) }()
	}
	var first error
	for _, result := range results {
		if err := <-result; first == nil && err != nil {
			first = err
			cancel()
		}
	}
	return first
}

func (p *Promoter) pickAll(ctx context.Context, w *Work) error {
	return each(ctx, w.jobs, func(ctx context.Context, j *job) (err error) {
		j.picked, err = p.pick(ctx, w.route, j)
		return err
	})
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

// wish renders the tags that each image should get, and looks what they name.
func (p *Promoter) wish(ctx context.Context, w *Work) error {
	numbers, err := p.numbers(ctx, w)
	if err != nil {
		return err
	}
	return each(ctx, w.jobs, func(ctx context.Context, j *job) error {
		tags, err := p.tags(w.route, j, numbers[j])
		if err != nil {
			return err
		}
		j.candidate = &guard.Candidate{
			Repository: j.target.String(), Target: j.target, Version: j.version,
			Wanted: tags, Back: w.route.Rollback, Fresh: freshVersion,
			Release: slices.ContainsFunc(tags, func(t version.Tag) bool { return t.Release }),
		}
		if w.route.Rollback {
			j.candidate.Wanted = slices.DeleteFunc(slices.Clone(tags), func(t version.Tag) bool {
				return t.Class == version.ClassVersion
			})
		}
		var names []string
		for _, t := range j.candidate.Wanted {
			names = append(names, t.Name)
		}
		j.seen, err = guard.Look(ctx, j.target, names)
		return err
	})
}

// tags renders the rule's tags for an image.
func (p *Promoter) tags(r route, j *job, n int) ([]version.Tag, error) {
	f := version.Fields{
		Version: j.version, Commit: j.found.said.Revision, Time: j.found.said.Created, Env: r.to, N: n,
	}
	if f.Commit == "" {
		f.Commit = p.Checkout.Commit
	}
	at := []string{"environments", r.to, "promote"}
	rule := config.TagRule{Branch: "**", Set: r.rule.Set}
	tags, err := version.Tags(p.Config, at, rule, plan.Immutable(p.Config, r.to), f)
	for i := range tags {
		tags[i].Rule = "promote: " + tags[i].Template
	}
	return tags, err
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
