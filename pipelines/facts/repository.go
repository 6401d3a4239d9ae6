package facts

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-git/go-billy/v5"
	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/config"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	formatconfig "github.com/go-git/go-git/v5/plumbing/format/config"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/storage/filesystem"
	"github.com/go-git/go-git/v5/storage/filesystem/dotgit"

	"github.com/berth-sh/berth/pipelines/fault"
)

var (
	// ErrNoRepository means that neither the folder nor any above it is a git repository with a work tree.
	ErrNoRepository = errors.New("no git repository here or in any folder above")
	// ErrNoCommits means that the repository has no commit yet.
	ErrNoCommits = errors.New("the repository has no commits yet")
	// ErrShallow means that a shallow clone lacks the history that was asked for.
	ErrShallow = errors.New("the clone is shallow: its history ends before the last release")
	// ErrTagExists means that a tag of the name is on another commit.
	ErrTagExists = errors.New("the tag exists on another commit")
	// ErrRejected means that the remote refused a push because it has commits or tags that this clone lacks.
	ErrRejected = errors.New("the remote rejected the push")
)

// Repository is one checked out work tree of a git repository: an ordinary clone, a linked worktree or a submodule.
// Its reading methods may be used concurrently with each other, not with the writing ones.
type Repository struct {
	root      string
	gitDir    string
	commonDir string
	environ   []string
	now       func() time.Time
	git       *git.Repository
}

// Option changes how a repository is used.
type Option func(*Repository)

// WithClock sets the clock of commits and tags that are made. The default is [time.Now].
func WithClock(now func() time.Time) Option { return func(r *Repository) { r.now = now } }

// WithEnviron sets the environment of git: where its configuration is, who the author is, tokens. The default is
// [os.Environ].
func WithEnviron(environ []string) Option { return func(r *Repository) { r.environ = environ } }

// Open finds the repository that contains the folder. It returns a fault with code [fault.Usage] around
// [ErrNoRepository] or the reason why the repository cannot be read.
func Open(dir string, options ...Option) (*Repository, error) {
	r := &Repository{environ: os.Environ(), now: time.Now}
	for _, option := range options {
		option(r)
	}
	if err := r.discover(dir); err != nil {
		return nil, unreadable(dir, err)
	}
	if err := r.load(); err != nil {
		return nil, unreadable(r.root, err)
	}
	return r, nil
}

// Root is the absolute path of the work tree's top folder.
func (r *Repository) Root() string { return r.root }

func unreadable(dir string, err error) error {
	next := "check that the folder is readable and that `git status` works in it"
	if errors.Is(err, ErrNoRepository) {
		next = "run berth inside a clone, or name it with --repo; `git init` and a first commit make a new one"
	}
	return &fault.Error{Op: "open the git repository at", Subject: dir, Err: err, Next: next, Code: fault.Usage}
}

// discover walks up to the folder that has a ".git" and follows it: a folder, or the file that a linked worktree or a
// submodule has instead.
func (r *Repository) discover(dir string) error {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	// A link into the repository is a way into it, as for git.
	if abs, err = filepath.EvalSymlinks(abs); err != nil {
		return err
	}
	info, err := os.Stat(abs)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		abs = filepath.Dir(abs)
	}
	for {
		gitDir, err := gitDirOf(abs)
		if err != nil {
			return err
		}
		if gitDir != "" {
			r.root, r.gitDir = abs, gitDir
			break
		}
		parent := filepath.Dir(abs)
		if parent == abs {
			return ErrNoRepository
		}
		abs = parent
	}
	common, err := os.ReadFile(filepath.Join(r.gitDir, "commondir"))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		r.commonDir = r.gitDir
		return nil
	case err != nil:
		return err
	}
	r.commonDir = absolute(r.gitDir, strings.TrimSpace(string(common)))
	_, err = os.Stat(r.commonDir)
	return err
}

// gitDirOf returns the git folder of a work tree, empty when the folder is not the top of one.
func gitDirOf(folder string) (string, error) {
	path := filepath.Join(folder, git.GitDirName)
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", nil
	case err != nil:
		return "", err
	case info.IsDir():
		// An empty ".git" folder is no repository; git walks on as well.
		if _, err := os.Lstat(filepath.Join(path, "HEAD")); err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return "", nil
			}
			return "", err
		}
		return path, nil
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	target, ok := strings.CutPrefix(string(content), "gitdir: ")
	if !ok {
		return "", errors.New(path + " does not name a git folder")
	}
	target = absolute(folder, strings.TrimSpace(target))
	_, err = os.Stat(filepath.Join(target, "HEAD"))
	return target, err
}

func absolute(base, path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(base, path)
}

// load opens the storage. It is called again after git itself wrote, since go-git remembers the list of packs.
func (r *Repository) load() error {
	var common billy.Filesystem
	if r.commonDir != r.gitDir {
		common = osfs.New(r.commonDir)
	}
	files := dotgit.NewRepositoryFilesystem(osfs.New(r.gitDir), common)
	storage := filesystem.NewStorageWithOptions(files, cache.NewObjectLRUDefault(), filesystem.Options{
		AlternatesFS: osfs.New(string(filepath.Separator)),
	})
	quick := &objects{
		Storage: storage, folder: filepath.Join(r.commonDir, "objects"), bases: cache.NewObjectLRUDefault(),
	}
	repository, err := git.Open(lenient{quick}, osfs.New(r.root))
	r.git = repository
	return err
}

// lenient hides extensions of the repository format that do not matter to what is read here, but that go-git refuses
// to know: those that partial clones, sparse checkouts and relative worktrees set.
type lenient struct{ *objects }

func (s lenient) Config() (*config.Config, error) {
	cfg, err := s.Storage.Config()
	if err != nil {
		return nil, err
	}
	if version := cfg.Raw.Section("core").Option("repositoryformatversion"); version != "" {
		// go-git reads 1 and takes all else for 0; with the value itself it refuses what it does not know.
		cfg.Core.RepositoryFormatVersion = formatconfig.RepositoryFormatVersion(version)
	}
	if !cfg.Raw.HasSection("extensions") {
		return cfg, nil
	}
	section := cfg.Raw.Section("extensions")
	kept := section.Options[:0:0]
	for _, option := range section.Options {
		switch strings.ToLower(option.Key) {
		case "partialclone", "worktreeconfig", "preciousobjects", "relativeworktrees":
			continue
		case "objectformat":
			if strings.EqualFold(option.Value, "sha1") {
				continue
			}
		case "refstorage":
			if strings.EqualFold(option.Value, "files") {
				continue
			}
		}
		kept = append(kept, option)
	}
	section.Options = kept
	return cfg, nil
}

// head returns HEAD's commit and the branch it is on, empty when detached.
func (r *Repository) head() (*object.Commit, string, error) {
	ref, err := r.git.Storer.Reference(plumbing.HEAD)
	if err != nil {
		return nil, "", unreadable(r.root, err)
	}
	branch := ""
	if ref.Type() == plumbing.SymbolicReference && ref.Target().IsBranch() {
		branch = ref.Target().Short()
	}
	resolved, err := r.git.Head()
	if errors.Is(err, plumbing.ErrReferenceNotFound) {
		return nil, "", &fault.Error{
			Op: "read the commit of", Subject: r.root, Err: ErrNoCommits, Code: fault.Usage,
			Next: "make a first commit: git add . && git commit",
		}
	}
	if err != nil {
		return nil, "", unreadable(r.root, err)
	}
	commit, err := r.git.CommitObject(resolved.Hash())
	if err != nil {
		return nil, "", unreadable(r.root, err)
	}
	return commit, branch, nil
}
