package guard

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/report"
	"github.com/berth-sh/berth/pipelines/version"
)

// Set puts the tags of images that are at their repositories: version tags first, then floating ones, each read back.
// It looks at every tag that is to change once more before the first one is put, because a build and an upload may have
// taken minutes: what somebody else did in between is met by the same rules. A failure among the tags is finished by
// the same command again.
func (g *Guard) Set(ctx context.Context, candidates []*Candidate, seen []Seen) error {
	if err := g.recheck(ctx, candidates, seen); err != nil {
		return err
	}
	if err := g.claim(ctx, candidates); err != nil {
		return err
	}
	for _, class := range []version.Class{version.ClassVersion, version.ClassFloating} {
		if err := g.tag(ctx, candidates, class); err != nil {
			return err
		}
		if err := readBack(ctx, candidates, class); err != nil {
			return err
		}
	}
	g.tellChecked(candidates)
	return nil
}

func (g *Guard) recheck(ctx context.Context, candidates []*Candidate, seen []Seen) error {
	group, gctx := errgroup.WithContext(ctx)
	again := make([]Seen, len(candidates))
	for i, x := range candidates {
		var names []string
		for _, tag := range changes(x.Tags, "") {
			names = append(names, tag.Name)
		}
		group.Go(func() error {
			now, err := Look(gctx, x.Target, names)
			again[i] = maps.Clone(seen[i])
			maps.Copy(again[i], now)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return g.Decide(ctx, candidates, again)
}

// Changes tells whether any tag is to be put.
func (x *Candidate) Changes() bool { return len(changes(x.Tags, "")) > 0 }

// changes lists the tags that are to be put; an empty class means both.
func changes(tags []Tag, class version.Class) []Tag {
	var out []Tag
	for _, t := range tags {
		if (t.Action == ActionCreated || t.Action == ActionMoved) && (class == "" || t.Class == class) {
			out = append(out, t)
		}
	}
	return out
}

// claim puts the first version tag alone, waits, and reads it back, before any other tag is touched. A registry cannot
// put a tag only if it is absent. But of several runs that all found it absent, the last one to put it stands, and
// after a wait that is longer than a run takes from its look to its put, all of them see the same winner: the others
// stop, and have changed nothing else. (This is Fischer's algorithm for mutual exclusion.)
func (g *Guard) claim(ctx context.Context, candidates []*Candidate) error {
	i := slices.IndexFunc(candidates, func(x *Candidate) bool { return len(changes(x.Tags, version.ClassVersion)) > 0 })
	if i < 0 {
		return nil
	}
	x, t := candidates[i], changes(candidates[i].Tags, version.ClassVersion)[0]
	begun := time.Now()
	if err := g.put(ctx, x, t); err != nil {
		return err
	}
	if err := g.wait(ctx, min(max(2*time.Since(begun), shortestWait), longestWait)); err != nil {
		return err
	}
	now, err := Resolve(ctx, x.Target, t.Name)
	if err != nil {
		return unfinished(err)
	}
	if now != x.Digest() {
		return lost(x, t, now)
	}
	return nil
}

// The wait of a claim is twice what the look and the put took, within these bounds.
const (
	shortestWait = 25 * time.Millisecond
	longestWait  = 2 * time.Second
)

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// lost is the refusal of a version tag that somebody else has just set.
func lost(x *Candidate, t Tag, now string) error {
	return fault.New(fault.Refused, x.Repository+":"+t.Name,
		"look which of the two is wanted; for the other: "+x.Fresh,
		"another run has just set it to %s, while this one has %s", orNothing(now), x.Digest())
}

// put sets one tag. A version tag is looked at directly before, because it must never be put over another digest.
func (g *Guard) put(ctx context.Context, x *Candidate, t Tag) error {
	if t.Class == version.ClassVersion {
		now, err := Resolve(ctx, x.Target, t.Name)
		switch {
		case err != nil:
			return unfinished(err)
		case now == x.Digest():
			return nil // claimed
		case now != "":
			return lost(x, t, now)
		}
	}
	if err := x.Target.Tag(ctx, x.Manifest, x.Descriptor, t.Name); err != nil {
		return unfinished(err)
	}
	g.progress.Emit("tag", x.Repository+":"+t.Name, string(t.Action))
	return nil
}

func (g *Guard) tag(ctx context.Context, candidates []*Candidate, class version.Class) error {
	group, gctx := errgroup.WithContext(ctx)
	for _, x := range candidates {
		for _, t := range changes(x.Tags, class) {
			group.Go(func() error { return g.put(gctx, x, t) })
		}
	}
	return group.Wait()
}

// unfinished adds what to do after a failure among the tags, where some may be set and others not. The next step of a
// failure that may pass says already to run the same command again.
func unfinished(err error) error {
	const missing = "all images are up and only tags are missing"
	if fault.CodeOf(err) == fault.Refused { // the registry's own rule: the same command would meet it again
		next := "look at which tags are set (version tags come first); a registry that refuses to move floating tags\n" +
			"must leave them out of its immutability"
		return &fault.Error{Err: err, Next: next, Code: fault.Refused}
	}
	cause, ok := errors.AsType[*fault.Error](err)
	retryable := ok && cause.Retryable
	next := missing + ": run the same command again to finish"
	if hint := fault.NextOf(err); hint != "" && retryable {
		next = hint + "\n" + missing
	} else if hint != "" {
		next = hint + "\n" + next
	}
	return &fault.Error{Err: err, Next: next, Code: fault.CodeOf(err), Retryable: retryable}
}

// readBack asks the registry for what was just written: every tag that changed, and one index a repository byte for
// byte, which settles that its platforms are complete.
func readBack(ctx context.Context, candidates []*Candidate, class version.Class) error {
	group, gctx := errgroup.WithContext(ctx)
	for _, x := range candidates {
		for i, t := range changes(x.Tags, class) {
			group.Go(func() error { return readBackTag(gctx, x, t, i == 0) })
		}
	}
	return group.Wait()
}

func (g *Guard) tellChecked(candidates []*Candidate) {
	for _, x := range candidates {
		if n := len(changes(x.Tags, "")); n > 0 {
			g.progress.Emit("check", x.Repository,
				fmt.Sprintf("%s name %s", report.Plural(n, "tag"), Short(x.Digest())))
		}
	}
}

func readBackTag(ctx context.Context, x *Candidate, t Tag, whole bool) error {
	want := x.Digest()
	got, err := "", error(nil)
	if whole {
		var raw []byte
		var desc ocispec.Descriptor
		if raw, desc, err = x.Target.Manifest(ctx, t.Name); err == nil {
			got = desc.Digest.String()
			if got == want && !bytes.Equal(raw, x.Manifest) {
				got = "other bytes under that digest"
			}
		}
	} else {
		got, err = Resolve(ctx, x.Target, t.Name)
	}
	switch {
	case err != nil:
		return unfinished(err)
	case got != want:
		return fault.New(fault.Failed, x.Repository+":"+t.Name,
			"look who else publishes to it, then run the same command again",
			"it was set to %s but now names %s", want, orNothing(got))
	}
	return nil
}

func orNothing(digest string) string {
	if digest == "" {
		return "nothing"
	}
	return digest
}

// Short cuts a digest for people; JSON has it whole. No digest is "nothing".
func Short(digest string) string {
	if algorithm, hex, ok := strings.Cut(digest, ":"); ok && len(hex) > 12 {
		return algorithm + ":" + hex[:12]
	}
	return orNothing(digest)
}
