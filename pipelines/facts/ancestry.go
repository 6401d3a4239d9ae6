package facts

import (
	"context"
	"errors"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/storer"
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
	found := false
	// Older commits than HEAD cannot lead to it, so that the walk ends soon.
	err = object.NewCommitIterCTime(start, nil, nil).ForEach(func(c *object.Commit) error {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case c.Hash == head.Hash:
			found = true
			return storer.ErrStop
		case c.Committer.When.Before(head.Committer.When):
			return storer.ErrStop
		}
		return nil
	})
	if errors.Is(err, plumbing.ErrObjectNotFound) {
		return false, nil // the history of a shallow clone ends here
	}
	return found, err
}
