package facts

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// Tags returns all tags that name a commit, sorted by name. In a clone that lacks a tag's object the tag is left out.
// Of tags that git has packed the object is not looked at, so one that names a file may be among them.
func (r *Repository) Tags(ctx context.Context) ([]Tag, error) {
	var tags []Tag
	if err := r.eachTag(ctx, func(string) bool { return true }, func(t Tag) { tags = append(tags, t) }); err != nil {
		return nil, unreadable(r.root, err)
	}
	sort.Slice(tags, func(i, j int) bool { return tags[i].Name < tags[j].Name })
	return tags, nil
}

// eachTag calls found for every tag whose name is wanted and that leads to a commit.
func (r *Repository) eachTag(ctx context.Context, wanted func(name string) bool, found func(Tag)) error {
	peeled, err := readPeeled(filepath.Join(r.commonDir, "packed-refs"))
	if err != nil {
		return err
	}
	refs, err := r.git.Storer.IterReferences()
	if err != nil {
		return err
	}
	defer refs.Close()
	return refs.ForEach(func(ref *plumbing.Reference) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		// Not by the reference's own Short, which scans each name by the formats of fmt.
		name, ok := strings.CutPrefix(ref.Name().String(), "refs/tags/")
		if !ok || ref.Type() != plumbing.HashReference || !wanted(name) {
			return nil
		}
		commit, known := peeled[ref.Hash()]
		if !known {
			if commit, err = r.peel(ref.Hash()); err != nil || commit == plumbing.ZeroHash {
				return err
			}
		}
		found(Tag{Name: name, Commit: commit.String()})
		return nil
	})
}

// readPeeled reads from packed-refs what the tags in it lead to, so that not every tag's object must be read. A line
// "^hash" belongs to the reference before it; in a file that says "fully-peeled" a reference without one names no tag
// object. go-git skips these lines.
func readPeeled(file string) (map[plumbing.Hash]plumbing.Hash, error) {
	content, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	peeled := make(map[plumbing.Hash]plumbing.Hash)
	var full bool
	var last plumbing.Hash
	for line := range bytes.Lines(content) {
		text := strings.TrimSpace(string(line))
		switch {
		case strings.HasPrefix(text, "#"):
			full = strings.Contains(text+" ", " fully-peeled ")
		case strings.HasPrefix(text, "^"):
			peeled[last] = plumbing.NewHash(text[1:])
		default:
			hash, name, _ := strings.Cut(text, " ")
			last = plumbing.NewHash(hash)
			if full && strings.HasPrefix(name, "refs/tags/") {
				peeled[last] = last
			}
		}
	}
	return peeled, nil
}

// peel follows annotated tags to what they name. It is the zero hash when that is no commit or not in this clone.
func (r *Repository) peel(hash plumbing.Hash) (plumbing.Hash, error) {
	for {
		found, err := r.git.Storer.EncodedObject(plumbing.AnyObject, hash)
		if errors.Is(err, plumbing.ErrObjectNotFound) {
			return plumbing.ZeroHash, nil
		}
		if err != nil {
			return plumbing.ZeroHash, err
		}
		switch found.Type() {
		case plumbing.CommitObject:
			return hash, nil
		case plumbing.TagObject:
			tag, err := object.DecodeTag(r.git.Storer, found)
			if err != nil {
				return plumbing.ZeroHash, err
			}
			hash = tag.Target
		default:
			return plumbing.ZeroHash, nil
		}
	}
}
