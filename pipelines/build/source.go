package build

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/modfile"
)

// errUntold is a build that depends on something which its source does not tell, or on more than is worth hashing.
var errUntold = errors.New("not all that it is built from can be told")

// What one hash of a source reads at most. Building more than that takes long enough by itself.
const (
	mostFiles = 50_000
	mostBytes = 512 << 20
)

// A header that an assembly file includes. Those of Go itself and of the file's own folder have no path.
var included = regexp.MustCompile(`(?m)^[ \t]*#[ \t]*include[ \t]+["<]([^">\n]*)`)

// sourceSum hashes whatever the go command may read of a component's own code, for any platform and any build tag: the
// files of every module that is a folder and not a release. Releases are named by go.mod and go.sum and do not change.
// It covers more files than one program is built from, but never fewer.
func sourceSum(ctx context.Context, c GoComponent, work string) (sum [sha256.Size]byte, err error) {
	mod, ok := above(c.Dir, "", "go.mod")
	if !ok {
		return sum, errUntold
	}
	s := source{hash: sha256.New(), base: filepath.Dir(mod), buffer: make([]byte, 64<<10)}
	if work != "off" {
		s.base = filepath.Dir(work)
	}
	s.say("component", c.Dir)
	folders, err := moduleFolders(mod, work)
	if err != nil {
		return sum, err
	}
	for _, folder := range append(folders, s.base) {
		resolved, err := filepath.EvalSymlinks(folder) // for a walk does not follow the link that it starts at
		if err != nil {
			return sum, err
		}
		s.trees = append(s.trees, resolved)
	}
	s.base = s.trees[len(folders)]
	s.trees = s.trees[:len(folders)]
	slices.Sort(s.trees)
	s.trees = slices.Compact(s.trees)
	if work != "off" {
		if err := s.workspace(); err != nil {
			return sum, err
		}
	}
	for _, tree := range s.trees {
		if err := s.tree(ctx, tree); err != nil {
			return sum, err
		}
	}
	s.hash.Sum(sum[:0])
	return sum, nil
}

// moduleFolders are the folders of the modules that are no releases.
func moduleFolders(mod, work string) ([]string, error) {
	mods, folders := []string{mod}, []string(nil)
	if work != "off" {
		data, err := os.ReadFile(work)
		if err != nil {
			return nil, err
		}
		f, err := modfile.ParseWork(work, data, nil)
		if err != nil {
			return nil, err
		}
		for _, u := range f.Use {
			mods = append(mods, filepath.Join(within(work, u.Path), "go.mod"))
		}
		folders = replacements(work, f.Replace)
	}
	for _, mod := range mods {
		data, err := os.ReadFile(mod)
		if err != nil {
			return nil, err
		}
		f, err := modfile.Parse(mod, data, nil)
		if err != nil {
			return nil, err
		}
		folders = append(append(folders, filepath.Dir(mod)), replacements(mod, f.Replace)...)
	}
	return folders, nil
}

// replacements are the folders that a go.mod or go.work builds other modules from.
func replacements(file string, lines []*modfile.Replace) []string {
	var folders []string
	for _, r := range lines {
		if modfile.IsDirectoryPath(r.New.Path) {
			folders = append(folders, within(file, r.New.Path))
		}
	}
	return folders
}

// within is the folder that a go.mod or go.work names.
func within(file, folder string) string {
	folder = filepath.FromSlash(folder)
	if filepath.IsAbs(folder) {
		return filepath.Clean(folder)
	}
	return filepath.Join(filepath.Dir(file), folder)
}

// source is a hash under way. Names in it start at base, so that it is the same in every clone.
type source struct {
	hash   hash.Hash
	base   string
	trees  []string
	files  int
	bytes  int64
	buffer []byte
	code   bytes.Buffer
}

func (s *source) tree(ctx context.Context, root string) error {
	s.say("module", root)
	var rest []string // matter only where their folder, or one above, has code that embeds files
	embedding := map[string]bool{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if s.files++; err == nil && s.files > mostFiles {
			err = errUntold
		}
		switch {
		case err != nil:
			return err
		case d.IsDir():
			return s.folder(path, root)
		case d.Type()&fs.ModeSymlink != 0:
			if done, err := s.link(path); err != nil || done {
				return err
			}
		case !d.Type().IsRegular():
			return nil
		}
		if !built(path) {
			rest = append(rest, path)
			return nil
		}
		embeds, err := s.reads(path)
		if embeds {
			embedding[filepath.Dir(path)] = true
		}
		return err
	})
	if err != nil || len(embedding) == 0 {
		return err
	}
	for _, path := range rest {
		if under(path, root, embedding) {
			if err := s.content(path); err != nil {
				return err
			}
		}
	}
	return nil
}

// folder passes over what belongs to another module, as the go command does, and over the stores of version control,
// which it can neither build nor embed.
func (s *source) folder(path, root string) error {
	if path == root {
		return nil
	}
	if versionControl(filepath.Base(path)) {
		return filepath.SkipDir
	}
	if _, err := os.Lstat(filepath.Join(path, "go.mod")); err == nil {
		s.say("other module", path)
		return filepath.SkipDir
	}
	return nil
}

func versionControl(name string) bool {
	return slices.Contains([]string{".git", ".hg", ".svn", ".bzr"}, name)
}

// link looks where a link leads, and is done with it unless that is a file. A folder inside the trees is covered there.
func (s *source) link(path string) (done bool, err error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		s.say("broken link", path)
		return true, nil
	}
	if err != nil || !info.IsDir() {
		return false, err
	}
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return true, err
	}
	for _, tree := range s.trees {
		rel, err := filepath.Rel(tree, target)
		if err != nil || !filepath.IsLocal(rel) {
			continue
		}
		// Not into what the walk passes over.
		mod, ok := above(target, tree, "go.mod")
		if ok && slices.Contains(s.trees, filepath.Dir(mod)) && !slices.ContainsFunc(
			strings.Split(filepath.ToSlash(rel), "/"), versionControl) {
			s.say("link", path)
			s.say("to", target)
			return true, nil
		}
	}
	return true, fmt.Errorf("%s leads out of the module: %w", path, errUntold)
}

// built tells the files that the go command looks at by their names.
// Source: https://pkg.go.dev/go/build and https://go.dev/doc/pgo
func built(path string) bool {
	name := filepath.Base(path)
	switch name {
	case "go.mod", "go.sum", "default.pgo":
		return true
	case "modules.txt":
		return filepath.Base(filepath.Dir(path)) == "vendor"
	}
	return !strings.HasSuffix(name, "_test.go") && slices.Contains([]string{
		".go", ".c", ".cc", ".cpp", ".cxx", ".m", ".h", ".hh", ".hpp", ".hxx", ".f", ".F", ".for", ".f90", ".s", ".S", ".sx",
		".swig", ".swigcxx", ".syso",
	}, filepath.Ext(name))
}

// reads hashes a file and tells whether it embeds others.
func (s *source) reads(path string) (embeds bool, err error) {
	data, err := s.text(path)
	if err != nil {
		return false, err
	}
	switch filepath.Ext(path) {
	case ".go":
		return bytes.Contains(data, []byte("//go:embed")), nil
	case ".s", ".S", ".sx", ".h":
		for _, m := range included.FindAllSubmatch(data, -1) {
			if name := string(m[1]); name != filepath.Base(name) || filepath.Ext(name) != ".h" {
				return false, fmt.Errorf("%s includes %s: %w", path, name, errUntold)
			}
		}
	}
	return false, nil
}

// workspace hashes what a workspace has beside its modules.
func (s *source) workspace() error {
	for _, name := range []string{"go.work", "go.work.sum"} {
		err := s.content(filepath.Join(s.base, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if vendor := filepath.Join(s.base, "vendor"); !slices.Contains(s.trees, s.base) {
		if _, err := os.Stat(vendor); err == nil {
			s.trees = append(s.trees, vendor)
		}
	}
	return nil
}

// content hashes name and content of a file.
func (s *source) content(path string) error {
	return s.open(path, func(f *os.File) (int64, error) {
		// Neither side may take the copy over, for both would make a buffer for each file.
		return io.CopyBuffer(struct{ io.Writer }{s.hash}, struct{ io.Reader }{f}, s.buffer)
	})
}

// text does the same and returns the content, until the next call.
func (s *source) text(path string) ([]byte, error) {
	s.code.Reset()
	err := s.open(path, func(f *os.File) (int64, error) {
		n, err := s.code.ReadFrom(f)
		s.hash.Write(s.code.Bytes())
		return n, err
	})
	return s.code.Bytes(), err
}

func (s *source) open(path string, read func(*os.File) (int64, error)) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if s.bytes += info.Size(); s.bytes > mostBytes {
		return errUntold
	}
	s.say("file of "+strconv.FormatInt(info.Size(), 10)+" bytes", path)
	n, err := read(f)
	if err == nil && n != info.Size() {
		err = errUntold // it changes right now
	}
	return err
}

// say hashes a fact about a path.
func (s *source) say(what, path string) {
	rel, err := filepath.Rel(s.base, path)
	if err != nil {
		rel = path
	}
	_, _ = fmt.Fprintf(s.hash, "%s %q\n", what, filepath.ToSlash(rel))
}

// under tells whether a file lies in one of the folders, or below.
func under(path, root string, folders map[string]bool) bool {
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		if folders[dir] {
			return true
		}
		if dir == root || dir == filepath.Dir(dir) {
			return false
		}
	}
}
