package facts

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"

	"github.com/berth-sh/berth/pipelines/fault"
)

// Log returns the commits that HEAD reaches and none of the stop commits does, newest first: what `git log HEAD
// ^stop…` shows. With a path other than "" and "." only commits that changed it, relative to each of their parents,
// are returned. In a shallow clone whose history ends before a stop commit it returns a fault with code [fault.Usage]
// around [ErrShallow], because the list would lack commits.
func (r *Repository) Log(ctx context.Context, stop map[string]bool, inside string) ([]Commit, error) {
	head, _, err := r.head()
	if err != nil {
		return nil, err
	}
	cut, err := r.git.Storer.Shallow()
	if err != nil {
		return nil, unreadable(r.root, err)
	}
	w := newHistory(r, cut)
	if err := w.push(head.Hash, false); err != nil {
		return nil, unreadable(r.root, err)
	}
	for hash, wanted := range stop {
		if !wanted {
			continue
		}
		// A stop commit that this clone lacks stops nothing; if its history is cut off, the walk ends in a fault.
		err := w.push(plumbing.NewHash(hash), true)
		if err != nil && !errors.Is(err, plumbing.ErrObjectNotFound) {
			return nil, unreadable(r.root, err)
		}
	}
	found, err := w.run(ctx)
	if err != nil {
		return nil, r.logFault(err)
	}
	var commits []Commit
	for _, c := range found {
		changed, err := changedInside(c, path.Clean(inside), w.cut)
		if err != nil {
			return nil, r.logFault(err)
		}
		if changed {
			subject, body := splitMessage(c.Message)
			commits = append(commits, Commit{Hash: c.Hash.String(), Subject: subject, Body: body})
		}
	}
	return commits, nil
}

func (r *Repository) logFault(err error) error {
	if errors.Is(err, ErrShallow) {
		return &fault.Error{
			Op: "read the history of", Subject: r.root, Err: err, Code: fault.Usage,
			Next: "fetch the whole history: git fetch --unshallow --tags (fetch-depth: 0 in actions/checkout)",
		}
	}
	return unreadable(r.root, err)
}

// history walks commits from the newest to the oldest. A commit that a stop commit reaches is hidden, and so are its
// ancestors.
type history struct {
	repository *Repository
	cut        map[plumbing.Hash]bool
	queue      commitQueue
	seen       map[plumbing.Hash]*object.Commit
	hidden     map[plumbing.Hash]bool
	// waiting are the commits in the queue; open counts those of them that are not hidden.
	waiting map[plumbing.Hash]bool
	open    int
}

func newHistory(r *Repository, cut []plumbing.Hash) *history {
	h := &history{
		repository: r,
		cut:        make(map[plumbing.Hash]bool, len(cut)),
		seen:       make(map[plumbing.Hash]*object.Commit),
		hidden:     make(map[plumbing.Hash]bool),
		waiting:    make(map[plumbing.Hash]bool),
	}
	for _, hash := range cut {
		h.cut[hash] = true
	}
	return h
}

// push puts a commit in the queue, once, and hides it when asked to.
func (h *history) push(hash plumbing.Hash, hide bool) error {
	if known := h.seen[hash]; known != nil {
		if hide {
			h.hide(known)
		}
		return nil
	}
	commit, err := h.repository.git.CommitObject(hash)
	if err != nil {
		return fmt.Errorf("commit %s: %w", hash, err)
	}
	h.seen[hash] = commit
	if hide {
		h.hidden[hash] = true
	} else {
		h.open++
	}
	h.waiting[hash] = true
	heap.Push(&h.queue, queued{commit: commit, order: len(h.seen)})
	return nil
}

// hide hides a commit that was seen, and those ancestors of it that were seen too: with clocks that disagree, a
// child may be found after its parents.
func (h *history) hide(commit *object.Commit) {
	pending := []*object.Commit{commit}
	for len(pending) > 0 {
		commit, pending = pending[len(pending)-1], pending[:len(pending)-1]
		if h.hidden[commit.Hash] {
			continue
		}
		h.hidden[commit.Hash] = true
		if h.waiting[commit.Hash] {
			h.open--
		}
		for _, parent := range commit.ParentHashes {
			if known := h.seen[parent]; known != nil {
				pending = append(pending, known)
			}
		}
	}
}

// slack is how many hidden commits are read after the walk could end. A commit may be dated before its parents when
// clocks disagree, and then hide some of what was found; git reads 5 more for the same reason.
const slack = 64

// run returns the commits that are not hidden. It goes on until every commit in the queue is hidden and older than
// all that were found, and for [slack] commits more.
func (h *history) run(ctx context.Context) ([]*object.Commit, error) {
	var found []*object.Commit
	var oldest time.Time
	left := slack
	for h.queue.Len() > 0 {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if h.open > 0 || len(found) > 0 && !h.queue[0].commit.Committer.When.Before(oldest) {
			left = slack
		} else if left--; left < 0 || len(found) == 0 {
			break
		}
		commit := heap.Pop(&h.queue).(queued).commit
		delete(h.waiting, commit.Hash)
		hide := h.hidden[commit.Hash]
		if !hide {
			h.open--
			if when := commit.Committer.When; len(found) == 0 || when.Before(oldest) {
				oldest = when
			}
			found = append(found, commit)
		}
		if h.cut[commit.Hash] {
			continue
		}
		for _, parent := range commit.ParentHashes {
			if err := h.push(parent, hide); err != nil {
				return nil, err
			}
		}
	}
	visible := found[:0]
	for _, commit := range found {
		if h.hidden[commit.Hash] {
			continue
		}
		if h.cut[commit.Hash] {
			return nil, ErrShallow
		}
		visible = append(visible, commit)
	}
	return visible, nil
}

// queued is a commit in the queue; order keeps commits of one second in the order in which they were found.
type queued struct {
	commit *object.Commit
	order  int
}

// commitQueue is a heap with the newest commit first.
type commitQueue []queued

func (q commitQueue) Len() int { return len(q) }

func (q commitQueue) Less(i, j int) bool {
	a, b := q[i].commit.Committer.When, q[j].commit.Committer.When
	if a.Equal(b) {
		return q[i].order < q[j].order
	}
	return a.After(b)
}

func (q commitQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }

// Push implements [heap.Interface].
func (q *commitQueue) Push(x any) { *q = append(*q, x.(queued)) }

// Pop implements [heap.Interface].
func (q *commitQueue) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}

// changedInside is true when the commit changed the path relative to every parent. The parents of a cut commit are
// not there.
func changedInside(commit *object.Commit, inside string, cut map[plumbing.Hash]bool) (bool, error) {
	if inside == "." {
		return true, nil
	}
	own, err := hashInside(commit, inside)
	if err != nil {
		return false, err
	}
	if len(commit.ParentHashes) == 0 || cut[commit.Hash] {
		return own != plumbing.ZeroHash, nil
	}
	for i := range commit.ParentHashes {
		parent, err := commit.Parent(i)
		if err != nil {
			return false, err
		}
		theirs, err := hashInside(parent, inside)
		if err != nil || theirs == own {
			return false, err
		}
	}
	return true, nil
}

// hashInside is the hash of the folder or file at the path, zero when the commit has none.
func hashInside(commit *object.Commit, inside string) (plumbing.Hash, error) {
	tree, err := commit.Tree()
	if err != nil {
		return plumbing.ZeroHash, err
	}
	entry, err := tree.FindEntry(inside)
	switch {
	case errors.Is(err, object.ErrEntryNotFound), errors.Is(err, object.ErrDirectoryNotFound):
		return plumbing.ZeroHash, nil
	case err != nil:
		return plumbing.ZeroHash, err
	}
	return entry.Hash, nil
}

// splitMessage gives the first paragraph on one line, as git's %s does, and the rest.
func splitMessage(message string) (subject, body string) {
	message = strings.TrimSpace(strings.ReplaceAll(message, "\r\n", "\n"))
	first, rest, _ := strings.Cut(message, "\n\n")
	return strings.Join(strings.Split(first, "\n"), " "), strings.TrimSpace(rest)
}
