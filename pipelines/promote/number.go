package promote

import (
	"context"

	"golang.org/x/sync/errgroup"

	"github.com/berth-sh/berth/pipelines/config"
	"github.com/berth-sh/berth/pipelines/guard"
	"github.com/berth-sh/berth/pipelines/version"
)

// counts are the numbers of release candidates in one repository: that of the image itself, 0 when it has none, and the
// highest of any other.
type counts struct{ own, others int }

// numbers gives each image its number as a release candidate, 0 where the rule counts none. An image keeps the number
// that it has in the target registry; those without one get the same number, above all that others have.
func (p *Promoter) numbers(ctx context.Context, w *Work) (map[*job]int, error) {
	counting, err := counting(w.route.rule)
	if err != nil {
		return nil, err
	}
	out := make(map[*job]int, len(w.jobs))
	if len(counting) == 0 {
		return out, nil
	}
	found := make([]counts, len(w.jobs))
	g, gctx := errgroup.WithContext(ctx)
	for i, j := range w.jobs {
		g.Go(func() (err error) {
			found[i], err = count(gctx, counting, j, version.Fields{Version: j.version, Env: w.route.to})
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	next := nextNumber(found)
	for i, j := range w.jobs {
		if out[j] = found[i].own; out[j] == 0 {
			out[j] = next
		}
	}
	return out, nil
}

// counting lists the templates of a rule that count release candidates.
func counting(rule *config.Promote) ([]version.Template, error) {
	var out []version.Template
	for _, text := range rule.Set {
		t, err := version.ParseTemplate(text)
		if err != nil {
			return nil, err
		}
		if t.Counts() {
			out = append(out, t)
		}
	}
	return out, nil
}

// nextNumber is the number of the images that have none: that of the others of their run, when it was interrupted, or
// else the first that nobody has.
func nextNumber(found []counts) int {
	own, others := 0, 0
	for _, c := range found {
		own, others = max(own, c.own), max(others, c.others)
	}
	if own > others {
		return own
	}
	return others + 1
}

// count looks which candidates of a version a repository has.
func count(ctx context.Context, templates []version.Template, j *job, f version.Fields) (counts, error) {
	numbers := map[string]int{}
	var names []string
	for _, tag := range j.held {
		for _, t := range templates {
			if n, ok := t.Counted(tag, f); ok {
				numbers[tag] = n
				names = append(names, tag)
			}
		}
	}
	named, err := guard.Look(ctx, j.target, names)
	var out counts
	for tag, digest := range named {
		if digest == j.picked.desc.Digest.String() {
			out.own = max(out.own, numbers[tag])
		} else {
			out.others = max(out.others, numbers[tag])
		}
	}
	return out, err
}
