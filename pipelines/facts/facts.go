// Package facts reads what berth needs to know about a commit: from git, completed or overridden by a CI's variables
// and by hand. It is the only package that runs git: it also makes the commit and the tag of a release and pushes them.
//
// Reading facts never walks the history, so it takes the same time on a repository with ten commits and with a hundred
// thousand.
package facts

import "time"

// Facts is what is known about the commit that is built. It is a value: nothing in it changes after it was read.
type Facts struct {
	// Commit is the full hash of HEAD, 40 hexadecimal digits. A CI's own commit variable never replaces it: what is
	// built is what is checked out.
	Commit string
	// CommitTime is the committer's time in UTC, to the second.
	CommitTime time.Time
	// ShortCommit is SHA_SHORT when it was given by hand, else empty.
	ShortCommit string
	// Branch is the branch that is built: empty for a build of a tag and for a detached HEAD that nothing explains, the
	// head branch for a pull request.
	Branch string
	// Tag is the git tag that is built, empty unless this is a build of a tag.
	Tag string
	// PullRequest is the number of the pull request, empty when there is none.
	PullRequest string
	// Dirty lists tracked files that differ from HEAD and untracked files inside [Options.Inputs]: slash paths relative
	// to the root, sorted, each once.
	Dirty []string
	// Conflict says that the environment names a ref of another commit than the one checked out; nil when it does not.
	Conflict *Conflict
	// Shallow is true when the history was cut off by a shallow clone.
	Shallow bool
	// Source is the https address of the origin remote, without credentials and without ".git". It is empty when there
	// is no origin or it is a local path.
	Source string
	// Version is VERSION when it was given by hand, else empty. It is not checked here.
	Version string
	// RegistryType is REGISTRY_TYPE when it was given by hand, else empty. It is not checked here.
	RegistryType string
	// Origin says who named the branch, tag or pull request: "git", "GIT_BRANCH", "GitHub Actions" and so on.
	Origin string
}

// Options is what [Repository.Facts] reads besides git.
type Options struct {
	// Lookup is the environment, such as [os.LookupEnv]; nil is an empty one.
	Lookup func(string) (string, bool)
	// Inputs are folders and files relative to the root, with slashes: untracked files in them count as dirty. "." is
	// all.
	Inputs []string
	// Modules are folders of Go modules relative to the root, in which untracked files count as dirty when the Go
	// toolchain may compile them.
	Modules []string
	// Outputs are files and folders relative to the root, with slashes, that do not count as dirty while they are
	// untracked: what a run writes.
	Outputs []string
	// Absent are patterns of .dockerignore, relative to the root, of what this copy of the work tree was made without. A
	// tracked file among them that is not there counts as unchanged, unless images are built from it: then it was lost.
	Absent []string
	// TagPattern is the glob of release tags, such as "knative-lambda-v*". A detached HEAD at exactly such a tag is a
	// build of that tag. Empty means no tag is.
	TagPattern string
}

// Tag is a git tag and the commit it names; annotated tags are peeled.
type Tag struct {
	Name   string
	Commit string
}

// Commit is one commit of the history.
type Commit struct {
	// Hash is the full hash.
	Hash string
	// Subject is the first paragraph of the message on one line.
	Subject string
	// Body is the rest of the message, without the blank line between.
	Body string
}

// Conflict is a ref that the environment says is built, but that is not of the commit which is checked out: publishing
// would put the wrong bytes under its tags.
type Conflict struct {
	// Subject is the git tag, or the variable with the commit.
	Subject string
	// Reason names both commits.
	Reason string
	// Next is what to do.
	Next string
}
