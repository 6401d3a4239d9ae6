package guard

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/Masterminds/semver/v3"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/registry"
	"github.com/berth-sh/berth/pipelines/report"
	"github.com/berth-sh/berth/pipelines/version"
)

// Target is the repository whose tags are guarded.
type Target interface {
	// Resolve returns the descriptor of a tag or digest. Its error wraps registry.ErrNotFound only when there is none.
	Resolve(ctx context.Context, ref string) (ocispec.Descriptor, error)
	// Manifest reads a manifest or index.
	Manifest(ctx context.Context, ref string) ([]byte, ocispec.Descriptor, error)
	// Tag puts a manifest under a tag.
	Tag(ctx context.Context, manifest []byte, desc ocispec.Descriptor, tag string) error
}

// Candidate is an image that is to get tags.
type Candidate struct {
	// Repository with its host, for messages.
	Repository string
	Target     Target
	// Descriptor and Manifest are the index and its bytes.
	Descriptor ocispec.Descriptor
	Manifest   []byte
	// Commit that the image was built from, and its time, which orders branch builds.
	Commit     string
	CommitTime time.Time
	// Version orders releases.
	Version *semver.Version
	// Release is true when the tags are those of a release rather than of a branch build.
	Release bool
	// Dirty is true when the image holds uncommitted work.
	Dirty bool
	// Wanted are the tags that it should get.
	Wanted []version.Tag
	// Back lets floating tags move to an older image: a rollback.
	Back bool
	// Kept are floating tags that stay where they are for a reason of the caller's: name → reason.
	Kept map[string]string
	// Fresh says how an image comes to a version tag of its own, for a refusal.
	Fresh string

	// Tags are the decisions, in the order of Wanted. [Guard.Decide] and [Guard.Set] fill them in.
	Tags []Tag
}

// Digest of the image.
func (x *Candidate) Digest() string { return x.Descriptor.Digest.String() }

// Action is what happens to a tag.
type Action string

const (
	// ActionCreated tags did not exist before.
	ActionCreated Action = "created"
	// ActionUnchanged tags named the digest already.
	ActionUnchanged Action = "unchanged"
	// ActionMoved tags named another digest before.
	ActionMoved Action = "moved"
	// ActionKept tags were left where they are, for the reason given.
	ActionKept Action = "kept"
	// ActionRefused tags name another digest and never move: nothing is done at all.
	ActionRefused Action = "refused"
)

// Tag is one tag and what happens to it.
type Tag struct {
	Name   string        `json:"name"`
	Class  version.Class `json:"class"`
	Action Action        `json:"action"`
	Reason string        `json:"reason"`

	// Held is the digest that the tag named before, "" when it did not exist.
	Held string `json:"-"`
}

// Seen is what tags name: tag → digest, "" for a tag that does not exist.
type Seen map[string]string

// Guard decides about tags and sets them.
type Guard struct {
	// descends tells whether a commit descends from another; false when it is not known here.
	descends func(ctx context.Context, commit, from string) (bool, error)
	progress report.Progress
	wait     func(ctx context.Context, d time.Duration) error
}

// New returns a guard. descends tells whether a commit descends from another one, which settles the order of commits of
// the same second; false when that is not known.
func New(descends func(ctx context.Context, commit, from string) (bool, error), progress report.Progress) *Guard {
	return &Guard{descends: descends, progress: progress, wait: sleep}
}

// Waiting returns a guard that waits in another way, such as not at all where nobody else is about.
func (g *Guard) Waiting(wait func(ctx context.Context, d time.Duration) error) *Guard {
	other := *g
	other.wait = wait
	return &other
}

// Look asks what tags name.
func Look(ctx context.Context, target Target, names []string) (Seen, error) {
	seen := Seen{}
	var mu sync.Mutex
	g, gctx := errgroup.WithContext(ctx)
	for _, name := range names {
		g.Go(func() error {
			digest, err := Resolve(gctx, target, name)
			mu.Lock()
			defer mu.Unlock()
			seen[name] = digest
			return err
		})
	}
	return seen, g.Wait()
}

// Resolve returns the digest of a tag, "" when the registry says that there is none. Only that answer means absent.
func Resolve(ctx context.Context, t Target, tag string) (string, error) {
	desc, err := t.Resolve(ctx, tag)
	switch {
	case errors.Is(err, registry.ErrNotFound):
		return "", nil
	case err != nil:
		return "", err
	default:
		return desc.Digest.String(), nil
	}
}

// Decide settles every tag of every candidate, each by what was seen in its repository. Its error joins all refusals.
func (g *Guard) Decide(ctx context.Context, candidates []*Candidate, seen []Seen) error {
	var refused []error
	for i, x := range candidates {
		refusals, err := g.decide(ctx, x, seen[i])
		if err != nil {
			return err
		}
		refused = append(refused, refusals...)
	}
	return fault.Join(refused...)
}

func (g *Guard) decide(ctx context.Context, x *Candidate, seen Seen) (refused []error, err error) {
	known := map[string]held{"": {}, x.Digest(): {digest: x.Digest()}}
	x.Tags = nil
	for _, tag := range x.Wanted {
		digest := seen[tag.Name]
		if _, ok := known[digest]; !ok {
			if known[digest], err = g.describe(ctx, x, digest); err != nil {
				return nil, err
			}
		}
		decided, refusal := decide(x, tag, known[digest])
		if refusal != nil {
			refused = append(refused, fault.New(fault.Refused, refusal.Subject, refusal.Next, "%s", refusal.Reason))
		}
		x.Tags = append(x.Tags, decided)
	}
	return refused, nil
}

// Writers refuses an account that is not among those that may write to an environment; no list allows any.
func Writers(environment string, writers []string, account string) error {
	if len(writers) == 0 || slices.Contains(writers, account) {
		return nil
	}
	if account == "" {
		account = "nobody (anonymous)"
	}
	return fault.New(fault.Refused, "environment "+environment,
		"log in as one of them: "+strings.Join(writers, ", "),
		"%s is not among the accounts that may write to it", account)
}
