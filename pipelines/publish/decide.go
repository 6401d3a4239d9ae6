package publish

import (
	"fmt"
	"time"

	"github.com/Masterminds/semver/v3"

	"github.com/berth-sh/berth/pipelines/facts"
	"github.com/berth-sh/berth/pipelines/plan"
	"github.com/berth-sh/berth/pipelines/version"
)

// held is what a tag names at the registry, as far as the image tells.
type held struct {
	// digest is empty when the tag does not exist.
	digest   string
	revision string
	version  *semver.Version
	created  time.Time
	// newer is true when its commit, of the same second as that of the plan, descends from it.
	newer bool
}

// candidate is the image that is to be published.
type candidate struct {
	repository string
	digest     string
	base       *semver.Version
}

// decide says what happens to one tag. It is pure. A refusal means that nothing may be published at all.
func decide(p plan.Plan, x candidate, tag version.Tag, now held) (Tag, *plan.Refusal) {
	out := Tag{Name: tag.Name, Class: tag.Class}
	if now.digest == x.digest {
		out.Action, out.Reason = ActionUnchanged, "it names this digest already"
		return out, nil
	}
	if tag.Class == version.ClassVersion {
		if now.digest != "" {
			return out, refuseMove(p, x, tag, now)
		}
		out.Action, out.Reason = ActionCreated, "new"
		return out, nil
	}
	out.names = now.digest
	out.Action, out.Reason = decideFloating(p, x, tag, now)
	return out, nil
}

func refuseMove(p plan.Plan, x candidate, tag version.Tag, now held) *plan.Refusal {
	r := &plan.Refusal{
		Subject: x.repository + ":" + tag.Name,
		Reason: fmt.Sprintf("the tag names %s of commit %s and never moves; this build is %s of commit %s",
			now.digest, orUnknown(now.revision), x.digest, p.Commit),
		Next: "give this commit a version of its own: berth version bump patch",
	}
	if now.revision == p.Commit {
		r.Next = "the same commit gave other bytes: build with the platforms, the version, the Go toolchain and the " +
			"source address (source: in berth.yaml) of the first time, or make a new commit"
	}
	return r
}

// shortCommit cuts a commit for people.
func shortCommit(revision string) string { return orUnknown(facts.Short(revision)) }

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}

// decideFloating moves a floating tag forward only: releases by version, branch builds by the time of their commit.
func decideFloating(p plan.Plan, x candidate, tag version.Tag, now held) (Action, string) {
	switch {
	case p.Dirty && !tag.Dirty:
		return ActionKept, "uncommitted work moves no floating tag"
	case p.Release && x.base.Prerelease() != "":
		return ActionKept, "a pre-release moves no floating tag"
	case now.digest == "":
		return ActionCreated, "new"
	case tag.Dirty:
		return ActionMoved, "names uncommitted work"
	}
	if p.Release && now.version != nil {
		switch d := x.base.Compare(now.version); {
		case d < 0:
			return ActionKept, fmt.Sprintf("it names %s, which is newer than %s", now.version, x.base)
		case d > 0:
			return ActionMoved, fmt.Sprintf("from %s to %s", now.version, x.base)
		}
	}
	switch {
	case now.created.IsZero():
		return ActionMoved, "the image it named does not say how old it is"
	case p.CommitTime.Before(now.created) || now.newer:
		return ActionKept, "it names a newer commit, " + shortCommit(now.revision)
	default:
		return ActionMoved, "from commit " + shortCommit(now.revision)
	}
}
