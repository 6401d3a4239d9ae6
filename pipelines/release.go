package pipelines

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/Masterminds/semver/v3"

	"github.com/berth-sh/berth/pipelines/config"
	"github.com/berth-sh/berth/pipelines/facts"
	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/version"
)

// Release is the outcome of a bump or of making a release's git tag.
type Release struct {
	// Previous is the version before.
	Previous string `json:"previous"`
	Version  string `json:"version"`
	// Files that were rewritten, relative to the project; none when they had the version already.
	Files []string `json:"files"`
	// Commit that the tag names.
	Commit string `json:"commit"`
	// Tag is the git tag's name, and Created whether it is new.
	Tag     string `json:"tag"`
	Created bool   `json:"created"`
	Pushed  bool   `json:"pushed"`
	// DryRun is true when nothing was done and the rest says what would be.
	DryRun bool `json:"dryRun"`
}

// ReleaseOptions say how far a release goes.
type ReleaseOptions struct {
	// Push pushes the branch and the git tag to origin.
	Push bool
	// DryRun checks everything and changes nothing.
	DryRun bool
}

// Proposal is the version that the commits since the last release ask for.
type Proposal struct {
	Current string   `json:"current"`
	Next    string   `json:"next"`
	Reasons []string `json:"reasons"`
}

// Next proposes a version from the conventional commits since the last release. Nothing to release gives the current
// version again.
func (p *Pipeline) Next(ctx context.Context) (Proposal, error) {
	stored, err := p.storedVersion(ctx)
	if err != nil {
		return Proposal{}, err
	}
	all, err := p.releases(ctx)
	if err != nil {
		return Proposal{}, err
	}
	last, stop, err := p.nearest(ctx, all.final())
	if err != nil {
		return Proposal{}, err
	}
	commits, err := p.repository.Log(ctx, stop, p.relative())
	if err != nil {
		return Proposal{}, err
	}
	messages := make([]version.Message, 0, len(commits))
	for _, c := range commits {
		messages = append(messages, version.Message{Subject: c.Subject, Body: c.Body})
	}
	next, reasons := version.Propose(last, stored, messages, all.taken)
	return Proposal{Current: stored.String(), Next: next.String(), Reasons: reasons}, nil
}

// relative is the project's path in the repository, "" when it is the repository itself.
func (p *Pipeline) relative() string {
	rel, err := filepath.Rel(resolved(p.repository.Root()), resolved(p.Project))
	if err != nil || rel == "." {
		return ""
	}
	return filepath.ToSlash(rel)
}

// storedVersion is the version that the repository holds; VERSION by hand does not change it.
func (p *Pipeline) storedVersion(ctx context.Context) (*semver.Version, error) {
	if p.Config.Version.File == config.VersionFromGit {
		return p.newestTag(ctx)
	}
	return p.filedVersion()
}

// Bump rewrites the version in the files of version.bump, commits exactly these files, and makes the release's git tag
// on that commit. target is a version, or major, minor, patch or next. What is done already is not done again.
func (p *Pipeline) Bump(ctx context.Context, target string, o ReleaseOptions) (Release, error) {
	current, err := p.storedVersion(ctx)
	if err != nil {
		return Release{}, err
	}
	head, err := p.gitFacts(ctx)
	if err != nil {
		return Release{}, err
	}
	v, err := p.target(ctx, current, target, head.Commit, o.Push)
	if err != nil {
		return Release{}, err
	}
	if target == "next" {
		if out, nothing, err := p.nothingNew(ctx, v); err != nil {
			return Release{}, err
		} else if nothing {
			return p.finish(ctx, out, head.Branch, o)
		}
	}
	changes, err := p.rewrites(ctx, v)
	if err != nil {
		return Release{}, err
	}
	out := Release{
		Previous: current.String(), Version: v.String(), Files: []string{}, Tag: version.GitTag(p.Config.Version.GitTag, v),
	}
	if err := p.tagIsFree(ctx, out.Tag, head.Commit, len(changes) > 0); err != nil {
		return Release{}, err
	}
	if head.Branch == "" && (len(changes) > 0 || o.Push) {
		return Release{}, fault.New(fault.Usage, "HEAD at "+facts.Short(head.Commit),
			"check out a branch (git switch BRANCH), then run the same command again",
			"HEAD is detached: there is no branch to commit the release on")
	}
	out.Commit = head.Commit
	for name := range changes {
		out.Files = append(out.Files, name)
	}
	slices.Sort(out.Files)
	if len(changes) > 0 && !o.DryRun {
		if out.Commit, err = p.repository.CommitFiles(ctx, changes, p.releaseSubject(v)); err != nil {
			return Release{}, err
		}
	}
	return p.finish(ctx, out, head.Branch, o)
}

// releaseSubject is the message of the commit that a bump makes.
func (p *Pipeline) releaseSubject(v *semver.Version) string {
	return fmt.Sprintf("Release %s %s", p.Config.Project, v)
}

// begun tells whether HEAD is the commit of a bump that was interrupted, so that a relative bump is finished and not
// made once more: it did not come to its tag, or, where it is to be pushed, perhaps not to that.
func (p *Pipeline) begun(ctx context.Context, current *semver.Version, head string, push bool) (bool, error) {
	subject, err := p.repository.HeadSubject()
	if err != nil || subject != p.releaseSubject(current) {
		return false, err
	}
	all, err := p.releases(ctx)
	return !all.taken(current) || push && slices.ContainsFunc(all[head], current.Equal), err
}

// nothingNew is the outcome of a bump to the next version where nothing asks for one.
func (p *Pipeline) nothingNew(ctx context.Context, v *semver.Version) (out Release, ok bool, err error) {
	all, err := p.releases(ctx)
	if err != nil || !all.taken(v) {
		return Release{}, false, err
	}
	out = Release{
		Previous: v.String(), Version: v.String(), Files: []string{}, Tag: version.GitTag(p.Config.Version.GitTag, v),
	}
	for commit, versions := range all {
		if slices.ContainsFunc(versions, v.Equal) {
			out.Commit = commit
		}
	}
	return out, true, nil
}

// Rewritten computes the files of version.bump with another version, by their path in the repository, and changes
// nothing. target is as for [Pipeline.Bump].
func (p *Pipeline) Rewritten(ctx context.Context, target string) (map[string][]byte, error) {
	current, err := p.storedVersion(ctx)
	if err != nil {
		return nil, err
	}
	head, err := p.gitFacts(ctx)
	if err != nil {
		return nil, err
	}
	v, err := p.target(ctx, current, target, head.Commit, false)
	if err != nil {
		return nil, err
	}
	return p.rewrites(ctx, v)
}

// Tag makes the release's git tag for the version that the repository holds, on HEAD.
func (p *Pipeline) Tag(ctx context.Context, o ReleaseOptions) (Release, error) {
	v, err := p.storedVersion(ctx)
	if err != nil {
		return Release{}, err
	}
	head, err := p.gitFacts(ctx)
	if err != nil {
		return Release{}, err
	}
	out := Release{
		Previous: v.String(), Version: v.String(), Files: []string{}, Commit: head.Commit,
		Tag: version.GitTag(p.Config.Version.GitTag, v),
	}
	if err := p.tagIsFree(ctx, out.Tag, head.Commit, false); err != nil {
		return Release{}, err
	}
	return p.finish(ctx, out, head.Branch, o)
}

// finish makes the tag and pushes branch and tag together.
func (p *Pipeline) finish(ctx context.Context, out Release, branch string, o ReleaseOptions) (Release, error) {
	if out.DryRun = o.DryRun; o.DryRun {
		return out, nil
	}
	var err error
	message := fmt.Sprintf("%s %s", p.Config.Project, out.Version)
	if out.Created, err = p.repository.CreateTag(ctx, out.Tag, message, out.Commit); err != nil {
		return Release{}, err
	}
	if !o.Push {
		return out, nil
	}
	refs := []string{"refs/tags/" + out.Tag}
	if branch != "" {
		refs = append([]string{"refs/heads/" + branch}, refs...)
	}
	if err := p.repository.Push(ctx, refs); err != nil {
		if errors.Is(err, facts.ErrRejected) && out.Created {
			return Release{}, &fault.Error{Err: err, Code: fault.CodeOf(err), Next: fmt.Sprintf(
				"take the remote's commits first, and tag what comes of it:\n"+
					"git tag -d %s && git pull --rebase origin %s && berth version tag --push", out.Tag, branch)}
		}
		return Release{}, err
	}
	out.Pushed = true
	return out, nil
}

// gitFacts are the facts of git alone: what is committed and pushed is the branch that is checked out, whatever a CI's
// variables say.
func (p *Pipeline) gitFacts(ctx context.Context) (facts.Facts, error) {
	return p.repository.Facts(ctx, facts.Options{Lookup: func(string) (string, bool) { return "", false }})
}

// target is the version that a bump leads to.
func (p *Pipeline) target(
	ctx context.Context, current *semver.Version, target, head string, push bool,
) (*semver.Version, error) {
	if !slices.Contains([]string{"major", "minor", "patch", "next"}, target) {
		return version.Parse("version", target)
	}
	begun, err := p.begun(ctx, current, head, push)
	switch {
	case err != nil:
		return nil, err
	case begun:
		return current, nil
	case target != "next":
		return version.Increase(current, target)
	}
	proposal, err := p.Next(ctx)
	if err != nil {
		return nil, err
	}
	return semver.StrictNewVersion(proposal.Next)
}

// rewrites computes the files to commit, by their path in the repository. A file that a person has changed is refused,
// one that an interrupted bump has written is not.
func (p *Pipeline) rewrites(ctx context.Context, v *semver.Version) (map[string][]byte, error) {
	changes := map[string][]byte{}
	for _, name := range p.Config.Version.Bump {
		inRepo := filepath.ToSlash(filepath.Join(p.relative(), name))
		now, err := p.readProjectFile(name)
		if err != nil {
			return nil, err
		}
		committed, err := p.repository.HeadFile(ctx, inRepo)
		if err != nil {
			return nil, err
		}
		wanted, err := version.Rewrite(name, committed, v.String())
		if err != nil {
			return nil, err
		}
		if !bytes.Equal(now, committed) && !bytes.Equal(now, wanted) {
			return nil, fault.New(fault.Usage, name,
				"commit or undo them (git checkout "+inRepo+"), then run the same command again",
				"the file has changes that are not committed")
		}
		if !bytes.Equal(committed, wanted) {
			changes[inRepo] = wanted
		}
	}
	return changes, nil
}

// tagIsFree refuses, before anything is written, a version whose git tag is taken.
func (p *Pipeline) tagIsFree(ctx context.Context, tag, head string, willCommit bool) error {
	tags, err := p.repository.Tags(ctx)
	if err != nil {
		return err
	}
	for _, t := range tags {
		if t.Name == tag && (willCommit || t.Commit != head) {
			return fault.New(fault.Refused, "git tag "+tag, "choose another version: berth version next proposes one",
				"that version is released already, from commit %s", t.Commit)
		}
	}
	return nil
}
