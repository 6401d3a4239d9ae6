package publish

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/plan"
	"github.com/berth-sh/berth/pipelines/report"
	"github.com/berth-sh/berth/pipelines/version"
)

// recheck looks again at the tags that are to change, because a build and an upload may have taken minutes: somebody
// else's publish in between is met by the same rules, before any tag is touched.
func (p *Publisher) recheck(ctx context.Context, pl plan.Plan, seen Observed, jobs []*job) error {
	g, gctx := errgroup.WithContext(ctx)
	found := make([]map[string]string, len(jobs))
	for i, j := range jobs {
		found[i] = map[string]string{}
		for _, tag := range j.tags {
			found[i][tag.Name] = seen[j.plan.Repository][tag.Name]
		}
		changing := changes(j.tags, "")
		digests := make([]string, len(changing))
		g.Go(func() error {
			inner, ictx := errgroup.WithContext(gctx)
			for k, tag := range changing {
				inner.Go(func() (err error) {
					digests[k], err = resolve(ictx, j.target, tag.Name)
					return err
				})
			}
			if err := inner.Wait(); err != nil {
				return err
			}
			for k, tag := range changing {
				found[i][tag.Name] = digests[k]
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	again := Observed{}
	for i, j := range jobs {
		again[j.plan.Repository] = found[i]
	}
	return p.decideAll(ctx, pl, again, jobs)
}

// changes lists the tags that are to be put; an empty class means both.
func changes(tags []Tag, class version.Class) []Tag {
	var out []Tag
	for _, t := range tags {
		if (t.Action == ActionCreated || t.Action == ActionMoved) && (class == "" || t.Class == class) {
			out = append(out, t)
		}
	}
	return out
}

// claim puts the first version tag alone and reads it back, before any other tag is touched: of two publishes of one
// version at the same moment, all but the last to put it see that they lost, and have changed nothing else. A registry
// has no way to put a tag only if it does not exist, so that this makes a mixed release unlikely, not impossible.
func (p *Publisher) claim(ctx context.Context, jobs []*job) error {
	i := slices.IndexFunc(jobs, func(j *job) bool { return len(changes(j.tags, version.ClassVersion)) > 0 })
	if i < 0 {
		return nil
	}
	j, t := jobs[i], changes(jobs[i].tags, version.ClassVersion)[0]
	if err := p.put(ctx, j, t); err != nil {
		return err
	}
	now, err := resolve(ctx, j.target, t.Name)
	if err != nil {
		return unfinished(err)
	}
	if now != j.image.Descriptor.Digest.String() {
		return lost(j, t, now)
	}
	return nil
}

// lost is the refusal of a version tag that somebody else has just set.
func lost(j *job, t Tag, now string) error {
	return fault.New(fault.Refused, j.plan.Repository+":"+t.Name,
		"look which of the two is wanted; the other needs a version of its own: berth version bump patch",
		"another publish has just set it to %s, while this one has %s", orNothing(now), j.image.Descriptor.Digest)
}

// put sets one tag. A version tag is looked at directly before, because it must never be put over another digest.
func (p *Publisher) put(ctx context.Context, j *job, t Tag) error {
	if t.Class == version.ClassVersion {
		now, err := resolve(ctx, j.target, t.Name)
		switch {
		case err != nil:
			return unfinished(err)
		case now == j.image.Descriptor.Digest.String():
			return nil // claimed
		case now != "":
			return lost(j, t, now)
		}
	}
	if err := j.target.Tag(ctx, j.manifest, j.image.Descriptor, t.Name); err != nil {
		return unfinished(err)
	}
	p.progress.Emit("tag", j.plan.Repository+":"+t.Name, string(t.Action))
	return nil
}

func (p *Publisher) tag(ctx context.Context, jobs []*job, class version.Class) error {
	g, gctx := errgroup.WithContext(ctx)
	for _, j := range jobs {
		for _, t := range changes(j.tags, class) {
			g.Go(func() error { return p.put(gctx, j, t) })
		}
	}
	return g.Wait()
}

// unfinished adds what to do after a failure among the tags, where some may be set and others not. The next step of a
// failure that may pass says already to run the same command again.
func unfinished(err error) error {
	const missing = "all images are up and only tags are missing"
	if fault.CodeOf(err) == fault.Refused { // the registry's own rule: the same command would meet it again
		next := "look at which tags are set (version tags come first); a registry that refuses to move floating tags\n" +
			"must leave them out of its immutability"
		return &fault.Error{Err: err, Next: next, Code: fault.Refused}
	}
	cause, ok := errors.AsType[*fault.Error](err)
	retryable := ok && cause.Retryable
	next := missing + ": run the same command again to finish"
	if hint := fault.NextOf(err); hint != "" && retryable {
		next = hint + "\n" + missing
	} else if hint != "" {
		next = hint + "\n" + next
	}
	return &fault.Error{Err: err, Next: next, Code: fault.CodeOf(err), Retryable: retryable}
}

// readBack asks the registry for what was just written: every tag that changed, and one index a repository byte for
// byte, which settles that its platforms are complete.
func (p *Publisher) readBack(ctx context.Context, jobs []*job, class version.Class) error {
	g, gctx := errgroup.WithContext(ctx)
	for _, j := range jobs {
		for i, t := range changes(j.tags, class) {
			g.Go(func() error { return readBackTag(gctx, j, t, i == 0) })
		}
	}
	return g.Wait()
}

func (p *Publisher) tellChecked(jobs []*job) {
	for _, j := range jobs {
		if n := len(changes(j.tags, "")); n > 0 {
			p.progress.Emit("check", j.plan.Repository,
				fmt.Sprintf("%s name %s", report.Plural(n, "tag"), short(j.image.Descriptor.Digest.String())))
		}
	}
}

func readBackTag(ctx context.Context, j *job, t Tag, whole bool) error {
	want := j.image.Descriptor.Digest.String()
	got, err := "", error(nil)
	if whole {
		var raw []byte
		var desc ocispec.Descriptor
		if raw, desc, err = j.target.Manifest(ctx, t.Name); err == nil {
			got = desc.Digest.String()
			if got == want && !bytes.Equal(raw, j.manifest) {
				got = "other bytes under that digest"
			}
		}
	} else {
		got, err = resolve(ctx, j.target, t.Name)
	}
	switch {
	case err != nil:
		return unfinished(err)
	case got != want:
		return fault.New(fault.Failed, j.plan.Repository+":"+t.Name,
			"look who else publishes to it, then run the same command again",
			"it was set to %s but now names %s", want, orNothing(got))
	}
	return nil
}

func orNothing(digest string) string {
	if digest == "" {
		return "nothing"
	}
	return digest
}
