package facts

import (
	"container/heap"
	"context"
)

// Nearest returns the newest commit of the set that HEAD reaches, by commit time, or "" when it reaches none. The walk
// ends at the first one found. In a shallow clone that ends before, it returns a fault with code [fault.Usage] around
// [ErrShallow], because the answer may lie beyond.
func (r *Repository) Nearest(ctx context.Context, among map[string]bool) (string, error) {
	head, _, err := r.head()
	if err != nil {
		return "", err
	}
	cut, err := r.git.Storer.Shallow()
	if err != nil {
		return "", unreadable(r.root, err)
	}
	if len(among) == 0 {
		if len(cut) > 0 {
			return "", r.logFault(ErrShallow) // a shallow clone has no tags beyond its end either
		}
		return "", nil
	}
	h := newHistory(r, cut)
	if err := h.push(head.Hash, false); err != nil {
		return "", unreadable(r.root, err)
	}
	ended := false
	for h.queue.Len() > 0 {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		commit := heap.Pop(&h.queue).(queued).commit
		if among[commit.Hash.String()] {
			return commit.Hash.String(), nil
		}
		if h.cut[commit.Hash] {
			ended = true
			continue
		}
		for _, parent := range commit.ParentHashes {
			if err := h.push(parent, false); err != nil {
				return "", unreadable(r.root, err)
			}
		}
	}
	if ended {
		return "", r.logFault(ErrShallow)
	}
	return "", nil
}
