package promote

import (
	"context"
	"slices"

	"github.com/berth-sh/berth/pipelines/config"
	"github.com/berth-sh/berth/pipelines/guard"
	"github.com/berth-sh/berth/pipelines/plan"
	"github.com/berth-sh/berth/pipelines/version"
)

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
	if len(counting) > 0 {
		if err = atOnce(ctx, w, p.pickAll, p.listAll); err == nil {
			err = p.wish(ctx, w)
		}
	} else {
		err = atOnce(ctx, w, p.pickAll, p.wish)
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
func inTurn(ctx context.Context, w *Work, steps ...func(context.Context, *Work) error) error {
	for _, step := range steps {
		if err := step(ctx, w); err != nil {
			return err
		}
	}
	return nil
}

// atOnce takes steps that need nothing of each other side by side. Their error is the one that they have in turn.
func atOnce(ctx context.Context, w *Work, steps ...func(context.Context, *Work) error) error {
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

// listAll lists the tags of the targets, among which candidates are counted.
func (p *Promoter) listAll(ctx context.Context, w *Work) error {
	return each(ctx, w.jobs, func(ctx context.Context, j *job) (err error) {
		j.held, err = allTags(ctx, j.target)
		return err
	})
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
