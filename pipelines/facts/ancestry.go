package facts

import (
	"container/heap"
	"context"
	"errors"

	"github.com/go-git/go-git/v5/plumbing"
)

// Descends tells whether HEAD is an ancestor of a commit. It is false for HEAD itself and for a commit that this clone
// does not have, whose place in the history cannot be known here.
func (r *Repository) Descends(ctx context.Context, commit string) (bool, error) {
	head, _, err := r.head()
	if err != nil {
		return false, err
	}
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
			return false, nil // older commits than HEAD cannot lead to it
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
