package guard

import (
	"fmt"

	"github.com/berth-sh/berth/pipelines/facts"
	"github.com/berth-sh/berth/pipelines/plan"
	"github.com/berth-sh/berth/pipelines/version"
)

// decide says what happens to one tag. It is pure. A refusal means that nothing may be published at all.
func decide(x *Candidate, tag version.Tag, now held) (Tag, *plan.Refusal) {
	out := Tag{Name: tag.Name, Class: tag.Class, Held: now.digest}
	if now.digest == x.Digest() {
		out.Action, out.Reason = ActionUnchanged, "it names this digest already"
		return out, nil
	}
	if tag.Class == version.ClassVersion {
		if now.digest != "" {
			r := refuseMove(x, tag, now)
			out.Action, out.Reason = ActionRefused, r.Reason
			return out, r
		}
		out.Action, out.Reason = ActionCreated, "new"
		return out, nil
	}
	out.Action, out.Reason = decideFloating(x, tag, now)
	return out, nil
}

func refuseMove(x *Candidate, tag version.Tag, now held) *plan.Refusal {
	r := &plan.Refusal{
		Subject: x.Repository + ":" + tag.Name,
		Reason: fmt.Sprintf("the tag names %s of commit %s and never moves; this build is %s of commit %s",
			now.digest, orUnknown(now.revision), x.Digest(), orUnknown(x.Commit)),
		Next: x.Fresh,
	}
	if now.revision == x.Commit && x.Commit != "" {
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

// name is the version of what a tag names, or its digest where it has none.
func (h held) name() string {
	if h.version != nil {
		return h.version.String()
	}
	return Short(h.digest)
}

// decideFloating moves a floating tag forward only: releases by version, branch builds by the time of their commit.
func decideFloating(x *Candidate, tag version.Tag, now held) (Action, string) {
	switch {
	case x.Kept[tag.Name] != "":
		return ActionKept, x.Kept[tag.Name]
	case x.Dirty && !tag.Dirty:
		return ActionKept, "uncommitted work moves no floating tag"
	case x.Release && x.Version.Prerelease() != "":
		return ActionKept, "a pre-release moves no floating tag"
	case now.digest == "":
		return ActionCreated, "new"
	case x.Back:
		return ActionMoved, "back from " + now.name()
	case tag.Dirty:
		return ActionMoved, "names uncommitted work"
	}
	if x.Release && now.version != nil {
		switch d := x.Version.Compare(now.version); {
		case d < 0:
			return ActionKept, fmt.Sprintf("it names %s, which is newer than %s", now.version, x.Version)
		case d > 0:
			return ActionMoved, fmt.Sprintf("from %s to %s", now.version, x.Version)
		}
	}
	switch {
	case now.created.IsZero():
		return ActionMoved, "the image it named does not say how old it is"
	case x.CommitTime.Before(now.created) || now.newer:
		return ActionKept, "it names a newer commit, " + shortCommit(now.revision)
	default:
		return ActionMoved, "from commit " + shortCommit(now.revision)
	}
}
