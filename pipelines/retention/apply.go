package retention

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/berth-sh/berth/pipelines/registry"
)

// Remover deletes from one repository.
type Remover interface {
	// Remove carries out one deletion. What is gone already is no error. The error wraps registry.ErrUnsupported when the
	// registry cannot do just that, such as deleting one of several tags of a manifest.
	Remove(ctx context.Context, d Deletion) error
}

// Observer asks what a tag names just now.
type Observer interface {
	Tags(ctx context.Context) ([]string, error)
	Resolve(ctx context.Context, ref string) (ocispec.Descriptor, error)
}

// Outcome tells what became of a plan.
type Outcome struct {
	Repository string `json:"repository"`
	// Deleted are the tags that are gone, with their manifests where nothing else needed these.
	Deleted []string `json:"deleted"`
	// Manifests counts the manifests that were deleted.
	Manifests int `json:"manifests"`
	// Left are tags that should have gone, with the reason why they are still there.
	Left []Leftover `json:"left"`
}

// Leftover is a tag that could not be deleted.
type Leftover struct {
	Tag    string `json:"tag"`
	Reason string `json:"reason"`
}

// Apply carries out a plan. Before it deletes anything it looks whether the tags still name what was judged: what was
// pushed meanwhile stays, and as it may need anything that the plan deletes, no manifest is deleted then. A run that
// breaks off is finished by the next one.
func Apply(ctx context.Context, p Plan, now Observer, r Remover) (Outcome, error) {
	a := applying{remover: r, out: Outcome{Repository: p.Repository, Deleted: []string{}, Left: []Leftover{}}}
	if len(p.Delete) == 0 {
		return a.out, nil
	}
	changed, err := anyNew(ctx, p, now)
	if err != nil {
		return a.out, err
	}
	still, err := a.recheck(ctx, p.Delete, now)
	if err != nil {
		return a.out, err
	}
	changed = changed || len(a.out.Left) > 0 // tags that moved
	if !changed {
		if changed, err = anyMoved(ctx, p, now); err != nil {
			return a.out, err
		}
	}
	for _, wave := range waves(still) {
		g, gctx := errgroup.WithContext(ctx)
		g.SetLimit(removers)
		for _, d := range wave {
			if changed {
				d.Manifest = false
			}
			if d.Manifest || len(d.Tags) > 0 {
				g.Go(func() error { return a.remove(gctx, d, changed) })
			}
		}
		if err := g.Wait(); err != nil {
			return a.sorted(), err
		}
	}
	return a.sorted(), nil
}

// removers is how many deletions are under way at once.
const removers = 8

type applying struct {
	remover Remover

	mu  sync.Mutex
	out Outcome
}

// waves puts images before what is attached to them, and both before what has no tag of its own.
func waves(all []Deletion) [3][]Deletion {
	var out [3][]Deletion
	for _, d := range all {
		wave := 0
		if len(d.Tags) == 0 {
			wave = 2
		} else if _, isAttached := subjectOf(d.Tags[0]); isAttached {
			wave = 1
		}
		out[wave] = append(out[wave], d)
	}
	return out
}

func (a *applying) remove(ctx context.Context, d Deletion, changed bool) error {
	err := a.remover.Remove(ctx, d)
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case errors.Is(err, registry.ErrUnsupported) && !d.Manifest:
		why := "its digest is still needed, and the registry cannot delete a tag alone"
		if changed {
			why = "something was pushed meanwhile; run the same command again"
		}
		for _, tag := range d.Tags {
			a.out.Left = append(a.out.Left, Leftover{tag, why})
		}
		return nil
	case err != nil:
		return err
	}
	a.out.Deleted = append(a.out.Deleted, d.Tags...)
	if d.Manifest {
		a.out.Manifests++
	}
	return nil
}

func (a *applying) sorted() Outcome {
	a.mu.Lock()
	defer a.mu.Unlock()
	slices.Sort(a.out.Deleted)
	slices.SortFunc(a.out.Left, func(x, y Leftover) int { return cmp.Compare(x.Tag, y.Tag) })
	return a.out
}

// anyNew reports whether there is a tag that the plan does not know.
func anyNew(ctx context.Context, p Plan, now Observer) (bool, error) {
	names, err := now.Tags(ctx)
	if err != nil && !errors.Is(err, registry.ErrNotFound) {
		return false, err
	}
	known := map[string]bool{}
	for _, v := range p.Tags {
		known[v.Tag] = true
	}
	return slices.ContainsFunc(names, func(n string) bool { return !known[n] }), nil
}

// anyMoved reports whether a tag that stays names something else by now, such as what is about to be deleted. It asks
// only where manifests are deleted: a tag alone takes nothing from another one.
func anyMoved(ctx context.Context, p Plan, now Observer) (bool, error) {
	if !slices.ContainsFunc(p.Delete, func(d Deletion) bool { return d.Manifest }) {
		return false, nil
	}
	var moved atomic.Bool
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(readers)
	for _, v := range p.Tags {
		if v.Action != Keep {
			continue
		}
		g.Go(func() error {
			desc, err := now.Resolve(gctx, v.Tag)
			if errors.Is(err, registry.ErrNotFound) {
				return nil // deleted meanwhile
			}
			if err == nil && desc.Digest.String() != v.Digest {
				moved.Store(true)
			}
			return err
		})
	}
	err := g.Wait()
	return moved.Load(), err
}

// recheck takes the tags out of the deletions that are gone by now, or name something else.
func (a *applying) recheck(ctx context.Context, all []Deletion, now Observer) ([]Deletion, error) {
	out := slices.Clone(all)
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(readers)
	for i := range out {
		g.Go(func() error {
			var still []string
			for _, tag := range out[i].Tags {
				desc, err := now.Resolve(gctx, tag)
				switch {
				case errors.Is(err, registry.ErrNotFound):
				case err != nil:
					return err
				case desc.Digest.String() == out[i].Digest:
					still = append(still, tag)
				default:
					a.mu.Lock()
					a.out.Left = append(a.out.Left, Leftover{tag, "it was moved meanwhile"})
					a.mu.Unlock()
				}
			}
			out[i].Tags = still
			return nil
		})
	}
	return out, g.Wait()
}

// Distribution deletes over the registry API.
type Distribution struct{ Repository Target }

// Target is one repository over the registry API, for deleting.
type Target interface {
	// Delete deletes a manifest with all its tags.
	Delete(ctx context.Context, digest string) error
	// Untag deletes one tag.
	Untag(ctx context.Context, tag string) error
}

// Remove implements [Remover]. A manifest goes with all its tags in one request.
func (x Distribution) Remove(ctx context.Context, d Deletion) error {
	if d.Manifest {
		return absent(x.Repository.Delete(ctx, d.Digest))
	}
	for _, tag := range d.Tags {
		if err := absent(x.Repository.Untag(ctx, tag)); err != nil {
			return err
		}
	}
	return nil
}

// absent takes what is gone already for done.
func absent(err error) error {
	if errors.Is(err, registry.ErrNotFound) {
		return nil
	}
	return err
}

// TagsFirst deletes over the registry API where a manifest with tags cannot be deleted, as at Artifact Registry.
type TagsFirst struct{ Repository Target }

// Remove implements [Remover].
func (x TagsFirst) Remove(ctx context.Context, d Deletion) error {
	for _, tag := range d.Tags {
		if err := absent(x.Repository.Untag(ctx, tag)); err != nil {
			return err
		}
	}
	if !d.Manifest {
		return nil
	}
	return absent(x.Repository.Delete(ctx, d.Digest))
}
