package facts

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/format/index"
	"github.com/go-git/go-git/v5/plumbing/object"
	"golang.org/x/sync/errgroup"
)

// dirty lists what differs from the commit. go-git's own Worktree.Status reads and hashes every file; this reads the
// index, as git does, and hashes only the files whose size or times leave a doubt.
func (r *Repository) dirty(ctx context.Context, commit *object.Commit, o Options) ([]string, error) {
	idx, err := r.git.Storer.Index()
	byProgram := errors.Is(err, index.ErrUnknownExtension) || errors.Is(err, index.ErrInvalidChecksum)
	if err != nil && !byProgram {
		return nil, fmt.Errorf("read the index: %w", err)
	}
	left, err := o.leftOut()
	if err != nil {
		return nil, err
	}
	if byProgram {
		return r.dirtyByProgram(ctx, o, left)
	}
	staged, err := r.staged(idx, commit)
	if err != nil {
		return nil, fmt.Errorf("compare the index with HEAD: %w", err)
	}
	changed, err := r.changed(ctx, idx, left)
	if err != nil {
		return nil, fmt.Errorf("compare the work tree with the index: %w", err)
	}
	untracked, err := r.untracked(ctx, idx, o.Inputs)
	if err != nil {
		return nil, fmt.Errorf("look for untracked files: %w", err)
	}
	sources, err := r.untracked(ctx, idx, o.Modules)
	if err != nil {
		return nil, fmt.Errorf("look for untracked sources: %w", err)
	}
	untracked = append(untracked, slices.DeleteFunc(sources, func(name string) bool { return !compiled(name) })...)
	untracked = slices.DeleteFunc(untracked, o.writes)
	all := slices.Concat(staged, changed, untracked)
	slices.Sort(all)
	return slices.Compact(all), nil
}

// under tells whether a file is one of the inputs, or inside one.
func under(inputs []string, name string) bool {
	return slices.ContainsFunc(inputs, func(input string) bool {
		return input == "." || name == input || strings.HasPrefix(name, input+"/")
	})
}

// compiled tells whether the Go toolchain may build from a file: sources and the files that say how.
func compiled(name string) bool {
	base := path.Base(name)
	return slices.Contains([]string{".go", ".s", ".S", ".syso"}, path.Ext(base)) && !strings.HasSuffix(base, "_test.go") ||
		slices.Contains([]string{"go.mod", "go.sum", "go.work", "go.work.sum"}, base)
}

// writes tells whether a file is one of the outputs, or inside one.
func (o Options) writes(name string) bool {
	return slices.ContainsFunc(o.Outputs, func(output string) bool {
		return name == output || strings.HasPrefix(name, output+"/")
	})
}

// dirtyByProgram asks git itself. Some forms of the index only git can read: split and sparse ones, and those without
// a checksum (index.skipHash).
func (r *Repository) dirtyByProgram(ctx context.Context, o Options, left absence) ([]string, error) {
	output, err := r.run(ctx, nil, "--no-optional-locks", "status", "--porcelain=v1", "-z", "--no-renames",
		"--untracked-files=all", "--ignore-submodules=all")
	if err != nil {
		return nil, fmt.Errorf("read the index: %w", err)
	}
	inputs, modules := outermost(o.Inputs), outermost(o.Modules)
	var paths []string
	for line := range strings.SplitSeq(output, "\x00") {
		if len(line) < 4 {
			continue
		}
		name := strings.TrimSuffix(line[3:], "/")
		input := under(inputs, name) || under(modules, name) && compiled(name)
		own := slices.Contains(strings.Split(path.Dir(name), "/"), stateDir) || o.writes(name)
		if strings.HasPrefix(line, "??") && (!input || own) || strings.HasPrefix(line, " D") && left(name) {
			continue
		}
		paths = append(paths, name)
	}
	slices.Sort(paths)
	return slices.Compact(paths), nil
}

// staged lists the paths where the index differs from the commit's tree.
func (r *Repository) staged(idx *index.Index, commit *object.Commit) ([]string, error) {
	var paths []string
	entries := make(map[string]*index.Entry, len(idx.Entries))
	for _, e := range idx.Entries {
		if e.Stage != 0 || e.IntentToAdd {
			paths = append(paths, e.Name)
			continue
		}
		entries[e.Name] = e
	}
	if len(paths) == 0 && cachedTree(idx) == commit.TreeHash {
		return nil, nil
	}
	tree, err := commit.Tree()
	if err != nil {
		return nil, err
	}
	walker := object.NewTreeWalker(tree, true, nil)
	defer walker.Close()
	for {
		name, entry, err := walker.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if entry.Mode == filemode.Dir {
			continue
		}
		e := entries[name]
		if e == nil || e.Hash != entry.Hash || !sameMode(e.Mode, entry.Mode) {
			paths = append(paths, name)
		}
		delete(entries, name)
	}
	for name := range entries {
		paths = append(paths, name)
	}
	return paths, nil
}

// cachedTree is the hash of the tree that the whole index would make, when git left it there; zero when not.
func cachedTree(idx *index.Index) plumbing.Hash {
	if idx.Cache != nil {
		for _, e := range idx.Cache.Entries {
			if e.Path == "" {
				return e.Hash
			}
		}
	}
	return plumbing.ZeroHash
}

// sameMode compares modes of trees; git once wrote 100664, which means 100644.
func sameMode(a, b filemode.FileMode) bool {
	if a == filemode.Deprecated {
		a = filemode.Regular
	}
	if b == filemode.Deprecated {
		b = filemode.Regular
	}
	return a == b
}

// changed lists tracked files that differ from the index.
func (r *Repository) changed(ctx context.Context, idx *index.Index, left absence) ([]string, error) {
	cfg, err := r.git.Config()
	if err != nil {
		return nil, err
	}
	c := comparer{repository: r, left: left, indexTime: idx.ModTime.UnixNano(), trustMode: true, symlinks: true}
	if core := cfg.Raw.Section("core"); core != nil {
		c.trustMode = !strings.EqualFold(core.Option("filemode"), "false")
		c.symlinks = !strings.EqualFold(core.Option("symlinks"), "false")
	}
	const chunk = 1024
	results := make([][]string, (len(idx.Entries)+chunk-1)/chunk)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(8)
	for i, entries := range slices.Collect(slices.Chunk(idx.Entries, chunk)) {
		group.Go(func() error {
			for _, e := range entries {
				if err := ctx.Err(); err != nil {
					return err
				}
				same, err := c.same(e)
				if err != nil {
					return err
				}
				if !same {
					results[i] = append(results[i], e.Name)
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return slices.Concat(results...), nil
}

// comparer compares files of the work tree with entries of the index.
type comparer struct {
	repository          *Repository
	left                absence
	indexTime           int64 // nanoseconds
	trustMode, symlinks bool
}

func (c comparer) same(e *index.Entry) (bool, error) {
	if e.Mode == filemode.Submodule || e.SkipWorktree || e.Stage != 0 || e.IntentToAdd {
		return true, nil
	}
	full := filepath.Join(c.repository.root, filepath.FromSlash(e.Name))
	info, err := os.Lstat(full)
	if err != nil {
		if gone(err) {
			return c.left(e.Name), nil
		}
		return false, err
	}
	link := info.Mode()&fs.ModeSymlink != 0
	switch {
	case info.IsDir():
		return false, nil
	case e.Mode == filemode.Symlink && !link && c.symlinks, e.Mode != filemode.Symlink && link:
		return false, nil
	case !link && !info.Mode().IsRegular():
		return false, nil
	case e.Mode != filemode.Symlink && c.trustMode && (info.Mode()&0o100 != 0) != (e.Mode == filemode.Executable):
		return false, nil
	}
	if c.untouched(e, info) {
		return true, nil
	}
	same, err := c.sameContent(e, full, link)
	if err != nil && gone(err) {
		return false, nil
	}
	return same, err
}

// gone is true when the file is not there: it or a folder above was removed or replaced by a file.
func gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, errNotDir)
}

// untouched is true when size and times say that the file is what the index has. A file written in the same instant as
// the index, or after it, proves nothing: git calls such an entry racy.
func (c comparer) untouched(e *index.Entry, info fs.FileInfo) bool {
	if uint32(info.Size()) != e.Size || !sameTime(e.ModifiedAt.UnixNano(), info.ModTime().UnixNano()) {
		return false
	}
	if changedAt, ok := changeTime(info); ok && !sameTime(e.CreatedAt.UnixNano(), changedAt) {
		return false
	}
	return info.ModTime().UnixNano() < c.indexTime
}

// sameTime compares times in nanoseconds; some builds of git write whole seconds to the index.
func sameTime(recorded, actual int64) bool {
	const second = 1_000_000_000
	return recorded == actual || recorded%second == 0 && recorded/second == actual/second
}

func (c comparer) sameContent(e *index.Entry, full string, link bool) (bool, error) {
	if link {
		target, err := os.Readlink(full)
		return plumbing.ComputeHash(plumbing.BlobObject, []byte(filepath.ToSlash(target))) == e.Hash, err
	}
	// A file of another size than the blob cannot be the same unless something converts it on the way, which only
	// looking at the content tells.
	content, err := os.ReadFile(full)
	if err != nil {
		return false, err
	}
	if plumbing.ComputeHash(plumbing.BlobObject, content) == e.Hash {
		return true, nil
	}
	return c.converted(e, content)
}
