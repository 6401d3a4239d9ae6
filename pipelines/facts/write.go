package facts

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"

	"github.com/berth-sh/berth/pipelines/fault"
)

// CommitFiles writes the files and commits them, and only them, on the current branch. The keys are slash paths
// relative to the root. Everything else that the user has staged or changed stays as it is and out of the commit.
// Existing files keep their mode; when the commit fails the files get their old content back. When HEAD already has
// this content no commit is made and the hash of HEAD is returned.
//
// The commit is made by the git program, so that signing, hooks and included configuration hold.
func (r *Repository) CommitFiles(ctx context.Context, files map[string][]byte, message string) (string, error) {
	head, _, err := r.head()
	if err != nil {
		return "", err
	}
	var names []string
	for name := range files {
		if err := r.checkPath(name); err != nil {
			return "", err
		}
		names = append(names, name)
	}
	if len(names) == 0 {
		return head.Hash.String(), nil
	}
	slices.Sort(names)
	if err := r.checkIdentity(ctx); err != nil {
		return "", err
	}
	undo, err := r.replace(names, files)
	if err != nil {
		return "", errors.Join(err, undo())
	}
	hash, err := r.commitPaths(ctx, names, message, head.Hash.String())
	if err != nil {
		return "", withUndo(err, undo())
	}
	return hash, nil
}

func withUndo(err, undo error) error {
	if undo == nil {
		return err
	}
	return fmt.Errorf("%w; the files could not be put back: %w", err, undo)
}

func (r *Repository) commitPaths(ctx context.Context, names []string, message, head string) (string, error) {
	paths := append([]string{"--"}, names...)
	// Known to the index without content: enough for `git commit --only` to take files that are new.
	if _, err := r.run(ctx, nil, append([]string{"add", "--intent-to-add", "--force"}, paths...)...); err != nil {
		return "", r.writeFault("commit in", err)
	}
	if _, err := r.run(ctx, nil, append([]string{"diff", "--quiet", "HEAD"}, paths...)...); err == nil {
		// Staged leftovers of these paths are brought in line with HEAD, as a commit would.
		if _, err := r.run(ctx, nil, append([]string{"add", "--force"}, paths...)...); err != nil {
			return "", r.writeFault("commit in", err)
		}
		return head, nil
	}
	commit := append([]string{"commit", "--quiet", "--only", "--cleanup=whitespace", "--file=-"}, paths...)
	if _, err := r.run(ctx, []byte(message), commit...); err != nil {
		// New files leave the index again; those that HEAD has were not touched there.
		for _, name := range names {
			if _, missing := r.HeadFile(ctx, name); errors.Is(missing, fs.ErrNotExist) {
				_, undo := r.run(context.WithoutCancel(ctx), nil, "rm", "--cached", "--quiet", "--force", "--", name)
				err = errors.Join(err, undo)
			}
		}
		return "", r.writeFault("commit in", err)
	}
	if err := r.load(); err != nil {
		return "", unreadable(r.root, err)
	}
	made, _, err := r.head()
	if err != nil {
		return "", err
	}
	return made.Hash.String(), nil
}

// checkPath refuses paths outside the work tree, inside git's folder, and links, which would be written through.
func (r *Repository) checkPath(name string) error {
	bad := func(format string, args ...any) error {
		return fault.New(fault.Usage, name, "Name a file inside the repository, relative to its root.", format, args...)
	}
	first, _, _ := strings.Cut(name, "/")
	if !fs.ValidPath(name) || name == "." || strings.EqualFold(first, git.GitDirName) {
		return bad("not a path inside the repository")
	}
	for at := name; at != "."; at = path.Dir(at) {
		info, err := os.Lstat(filepath.Join(r.root, filepath.FromSlash(at)))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return bad("%w", err)
		case info.Mode()&fs.ModeSymlink != 0:
			return bad("%s is a symbolic link", at)
		case at == name && !info.Mode().IsRegular():
			return bad("not a regular file")
		}
	}
	return nil
}

// replace writes the files; undo puts back what was there. Undo is never nil.
func (r *Repository) replace(names []string, files map[string][]byte) (undo func() error, err error) {
	var steps []func() error
	undo = func() error {
		var errs []error
		for _, step := range slices.Backward(steps) {
			errs = append(errs, step())
		}
		return errors.Join(errs...)
	}
	for _, name := range names {
		full := filepath.Join(r.root, filepath.FromSlash(name))
		old, err := os.ReadFile(full)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			steps = append(steps, func() error { return os.Remove(full) })
			if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
				return undo, err
			}
		case err != nil:
			return undo, err
		case bytes.Equal(old, files[name]):
			continue
		default:
			steps = append(steps, func() error { return os.WriteFile(full, old, 0o644) })
		}
		if err := os.WriteFile(full, files[name], 0o644); err != nil {
			return undo, err
		}
	}
	return undo, nil
}

// CreateTag makes an annotated tag on a commit; an empty commit means HEAD. When the tag is there already and names
// that commit, created is false. When it names another one the error is a fault with code [fault.Refused] around
// [ErrTagExists].
func (r *Repository) CreateTag(ctx context.Context, name, message, commit string) (created bool, err error) {
	if err := validRef("refs/tags/", name); err != nil {
		return false, fault.New(fault.Usage, "tag "+name, "give a tag name that git accepts, such as v1.0.0", "%w", err)
	}
	if commit == "" {
		head, _, err := r.head()
		if err != nil {
			return false, err
		}
		commit = head.Hash.String()
	}
	if done, err := r.tagged(name, commit); done || err != nil {
		return false, err
	}
	if err := r.checkIdentity(ctx); err != nil {
		return false, err
	}
	args := []string{"tag", "--annotate", "--cleanup=whitespace", "--file=-", "--", name, commit}
	if _, err := r.run(ctx, []byte(message), args...); err != nil {
		// Somebody else may have made it meanwhile.
		if done, other := r.tagged(name, commit); done || other != nil {
			return false, other
		}
		return false, r.writeFault("tag in", err)
	}
	if err := r.load(); err != nil {
		return false, unreadable(r.root, err)
	}
	return true, nil
}

// tagged is true when the tag names the commit, false when there is no such tag, and an error when it names another.
func (r *Repository) tagged(name, commit string) (bool, error) {
	ref, err := r.git.Storer.Reference(plumbing.NewTagReferenceName(name))
	if errors.Is(err, plumbing.ErrReferenceNotFound) {
		return false, nil
	}
	if err != nil {
		return false, unreadable(r.root, err)
	}
	target, err := r.peel(ref.Hash())
	if err != nil {
		return false, unreadable(r.root, err)
	}
	if target.String() == commit {
		return true, nil
	}
	return false, fault.New(fault.Refused, "tag "+name,
		"choose the next version (berth version next), or check out the tagged commit",
		"%w: it names %s, wanted %s", ErrTagExists, target, commit)
}
