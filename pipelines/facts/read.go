package facts

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"sort"
	"strings"

	"github.com/Masterminds/semver/v3"
	"github.com/bmatcuk/doublestar/v4"
	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"

	"github.com/berth-sh/berth/pipelines/fault"
)

// Facts reads the facts of HEAD. All its errors are faults with code [fault.Usage]: a repository that cannot be read
// or has no commits, or a variable with a bad value.
func (r *Repository) Facts(ctx context.Context, options Options) (Facts, error) {
	given, err := readEnvironment(options.Lookup)
	if err != nil {
		return Facts{}, err
	}
	commit, branch, err := r.head()
	if err != nil {
		return Facts{}, err
	}
	found := Facts{
		Commit:       commit.Hash.String(),
		CommitTime:   commit.Committer.When.UTC(),
		ShortCommit:  given.short,
		Version:      given.version,
		RegistryType: given.registryType,
		Branch:       given.branch,
		Tag:          given.tag,
		PullRequest:  given.pullRequest,
		Origin:       given.origin,
	}
	if given.empty() {
		found.Origin, found.Branch = "git", branch
		if branch == "" {
			if found.Tag, err = r.tagAt(ctx, commit.Hash, options.TagPattern); err != nil {
				return Facts{}, unreadable(r.root, err)
			}
		}
	}
	if found.Conflict, err = r.conflict(ctx, given.ref, commit.Hash.String()); err != nil {
		return Facts{}, unreadable(r.root, err)
	}
	if found.Source, err = r.Source(); err != nil {
		return Facts{}, unreadable(r.root, err)
	}
	shallow, err := r.git.Storer.Shallow()
	if err != nil {
		return Facts{}, unreadable(r.root, err)
	}
	found.Shallow = len(shallow) > 0
	if found.Dirty, err = r.dirty(ctx, commit, options); err != nil {
		return Facts{}, unreadable(r.root, err)
	}
	return found, nil
}

// conflict finds a ref of the environment that is of another commit than HEAD. A job may check out something else than
// what it runs for, and then the ref says nothing of what is built. A tag that this clone lacks cannot be compared.
func (r *Repository) conflict(ctx context.Context, given ref, head string) (*Conflict, error) {
	if given.tag != "" {
		var named string
		err := r.eachTag(ctx, func(name string) bool { return name == given.tag }, func(t Tag) { named = t.Commit })
		if err != nil || named == head {
			return nil, err
		}
		if named != "" {
			return &Conflict{
				Subject: "git tag " + given.tag,
				Reason:  fmt.Sprintf("it names commit %s, but %s is checked out", Short(named), Short(head)),
				Next:    fmt.Sprintf("git checkout %s, or unset %s", given.tag, given.tagFrom),
			}, nil
		}
	}
	// What is built for a pull request is often its head where the CI names the merge; it never passes for a branch.
	if given.pullRequest != "" || !plumbing.IsHash(given.commit) || given.commit == head {
		return nil, nil
	}
	return &Conflict{
		Subject: given.commitFrom,
		Reason: fmt.Sprintf("%s runs for %s at commit %s, but %s is checked out",
			given.origin, given.branch+given.tag, Short(given.commit), Short(head)),
		Next: "check out that commit, or say by hand what this one is: GIT_BRANCH=…",
	}, nil
}

// Short cuts a commit hash for people.
func Short(commit string) string { return commit[:min(12, len(commit))] }

// HeadSubject is the first paragraph of HEAD's message on one line.
func (r *Repository) HeadSubject() (string, error) {
	commit, _, err := r.head()
	if err != nil {
		return "", err
	}
	subject, _ := splitMessage(commit.Message)
	return subject, nil
}

// Source is the web address of the origin remote without credentials, "" when it has none.
func (r *Repository) Source() (string, error) {
	cfg, err := r.git.Config()
	if err != nil {
		return "", err
	}
	if remote := cfg.Remotes[git.DefaultRemoteName]; remote != nil && len(remote.URLs) > 0 {
		return webAddress(remote.URLs[0]), nil
	}
	return "", nil
}

// tagAt returns the tag that matches the pattern and points at the commit. Of several it is the highest version, so
// that a release wins over its own candidate.
func (r *Repository) tagAt(ctx context.Context, commit plumbing.Hash, pattern string) (string, error) {
	if pattern == "" {
		return "", nil
	}
	if !doublestar.ValidatePattern(pattern) {
		return "", fmt.Errorf("tag pattern %q is not a glob", pattern)
	}
	var here []string
	err := r.eachTag(ctx, func(name string) bool { return doublestar.MatchUnvalidated(pattern, name) }, func(t Tag) {
		if t.Commit == commit.String() {
			here = append(here, t.Name)
		}
	})
	if err != nil || len(here) == 0 {
		return "", err
	}
	prefix := pattern[:len(pattern)-len(strings.TrimLeft(pattern, literal))]
	sort.Slice(here, func(i, j int) bool { return lessVersion(here[i], here[j], prefix) })
	return here[len(here)-1], nil
}

// literal are the characters that stand for themselves at the start of a glob of tag names.
const literal = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./+@=,"

func lessVersion(a, b, prefix string) bool {
	va, errA := semver.NewVersion(strings.TrimPrefix(a, prefix))
	vb, errB := semver.NewVersion(strings.TrimPrefix(b, prefix))
	switch {
	case errA == nil && errB == nil && !va.Equal(vb):
		return va.LessThan(vb)
	case (errA == nil) != (errB == nil):
		return errA != nil
	default:
		return a < b
	}
}

// HeadFile returns the content of a file at HEAD; the path is relative to the root, with slashes. The error wraps
// [fs.ErrNotExist] when HEAD has no such file.
func (r *Repository) HeadFile(ctx context.Context, name string) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	commit, _, err := r.head()
	if err != nil {
		return nil, err
	}
	return r.fileOf(commit, name)
}

// FileAt returns the content of a file at a commit, as [Repository.HeadFile] does at HEAD. A commit that this clone
// does not have is a fault with code [fault.Usage].
func (r *Repository) FileAt(ctx context.Context, commit, name string) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	at, err := r.git.CommitObject(plumbing.NewHash(commit))
	if errors.Is(err, plumbing.ErrObjectNotFound) || !plumbing.IsHash(commit) {
		return nil, fault.New(fault.Usage, "commit "+commit, "fetch it: git fetch origin "+commit,
			"this clone does not have it, and %s is to be read there", name)
	}
	if err != nil {
		return nil, unreadable(r.root, err)
	}
	return r.fileOf(at, name)
}

func (r *Repository) fileOf(commit *object.Commit, name string) ([]byte, error) {
	tree, err := commit.Tree()
	if err != nil {
		return nil, unreadable(r.root, err)
	}
	file, err := tree.File(path.Clean(name))
	if errors.Is(err, object.ErrFileNotFound) || errors.Is(err, object.ErrDirectoryNotFound) {
		return nil, fault.New(fault.Usage, name, "Commit the file: git add "+name+" && git commit",
			"not in commit %s: %w", commit.Hash.String()[:12], fs.ErrNotExist)
	}
	if err != nil {
		return nil, unreadable(r.root, err)
	}
	reader, err := file.Reader()
	if err != nil {
		return nil, unreadable(r.root, err)
	}
	content, err := io.ReadAll(reader)
	return content, errors.Join(err, reader.Close())
}
