package facts

import (
	"container/heap"
	"context"
	"errors"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// Descends tells whether HEAD is an ancestor of a commit. It is false for HEAD itself and for a commit that this clone
// does not have, whose place in the history cannot be known here.
func (r *Repository) Descends(ctx context.Context, commit string) (bool, error) {
	head, _, err := r.head()
	if err != nil {
		return false, err
	}
	return r.descends(ctx, commit, head)
}

// DescendsFrom tells whether one commit is an ancestor of another, as [Repository.Descends] does for HEAD.
func (r *Repository) DescendsFrom(ctx context.Context, commit, from string) (bool, error) {
	if !plumbing.IsHash(from) {
		return false, nil
	}
	ancestor, err := r.git.CommitObject(plumbing.NewHash(from))
	if errors.Is(err, plumbing.ErrObjectNotFound) {
		return false, nil
	}
	if err != nil {
		return false, unreadable(r.root, err)
	}
	return r.descends(ctx, commit, ancestor)
}

func (r *Repository) descends(ctx context.Context, commit string, head *object.Commit) (bool, error) {
	if commit == head.Hash.String() || !plumbing.IsHash(commit) {
		return false, nil
	}
	start, err := r.git.CommitObject(plumbing.NewHash(commit))
	if errors.Is(err, plumbing.ErrObjectNotFound) {
		return false, nil
	}
	if err != nil {
		return false, unreadable(r.root, err)
	}
	cut, err := r.git.Storer.Shallow()
	if err != nil {
		return false, unreadable(r.root, err)
	}
	h := newHistory(r, cut)
	if err := h.push(start.Hash, false); err != nil {
		return false, unreadable(r.root, err)
	}
	for h.queue.Len() > 0 {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		c := heap.Pop(&h.queue).(queued).commit
		switch {
		case c.Hash == head.Hash:
			return true, nil
		case c.Committer.When.Before(head.Committer.When):
			return false, nil // older commits cannot lead to it
		case h.cut[c.Hash]:
			continue // the history of a shallow clone ends here
		}
		for _, parent := range c.ParentHashes {
			if err := h.push(parent, false); err != nil {
				return false, unreadable(r.root, err)
			}
		}
	}
	return false, nil
}

// Distance counts the commits that one commit reaches and another does not, and the other way round. known is false
// when this clone lacks one of them, or when its history ends too early to tell.
func (r *Repository) Distance(ctx context.Context, commit, other string) (ahead, behind int, known bool, err error) {
	if ahead, known, err = r.count(ctx, commit, other); err != nil || !known {
		return 0, 0, false, err
	}
	behind, known, err = r.count(ctx, other, commit)
	return ahead, behind, known, err
}

// count counts what one commit reaches and another does not.
func (r *Repository) count(ctx context.Context, commit, without string) (n int, known bool, err error) {
	if commit == without {
		return 0, true, nil
	}
	cut, err := r.git.Storer.Shallow()
	if err != nil {
		return 0, false, unreadable(r.root, err)
	}
	h := newHistory(r, cut)
	for _, start := range []struct {
		hash string
		hide bool
	}{{commit, false}, {without, true}} {
		if !plumbing.IsHash(start.hash) {
			return 0, false, nil
		}
		if err := h.push(plumbing.NewHash(start.hash), start.hide); err != nil {
			if errors.Is(err, plumbing.ErrObjectNotFound) {
				return 0, false, nil
			}
			return 0, false, unreadable(r.root, err)
		}
	}
	found, err := h.run(ctx)
	if errors.Is(err, ErrShallow) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, unreadable(r.root, err)
	}
	return len(found), true, nil
}
