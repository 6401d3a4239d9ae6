package pipelines

import (
	"bytes"
	"context"
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
	current, err := p.storedVersion(ctx)
	if err != nil {
		return Proposal{}, err
	}
	_, stop, err := p.lastRelease(ctx)
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
	next, reasons := version.Next(current, messages)
	if reasons == nil {
		reasons = []string{}
	}
	return Proposal{Current: current.String(), Next: next.String(), Reasons: reasons}, nil
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
	v, err := p.target(ctx, current, target)
	if err != nil {
		return Release{}, err
	}
	head, err := p.gitFacts(ctx)
	if err != nil {
		return Release{}, err
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
	out.Commit = head.Commit
	for name := range changes {
		out.Files = append(out.Files, name)
	}
	slices.Sort(out.Files)
	if len(changes) > 0 && !o.DryRun {
		message := fmt.Sprintf("Release %s %s", p.Config.Project, v)
		if out.Commit, err = p.repository.CommitFiles(ctx, changes, message); err != nil {
			return Release{}, err
		}
	}
	return p.finish(ctx, out, head.Branch, o)
}

// Rewritten computes the files of version.bump with another version, by their path in the repository, and changes
// nothing. target is as for [Pipeline.Bump].
func (p *Pipeline) Rewritten(ctx context.Context, target string) (map[string][]byte, error) {
	current, err := p.storedVersion(ctx)
	if err != nil {
		return nil, err
	}
	v, err := p.target(ctx, current, target)
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

func (p *Pipeline) target(ctx context.Context, current *semver.Version, target string) (*semver.Version, error) {
	switch target {
	case "major", "minor", "patch":
		return version.Increase(current, target)
	case "next":
		proposal, err := p.Next(ctx)
		if err != nil {
			return nil, err
		}
		return semver.StrictNewVersion(proposal.Next)
	default:
		return version.Parse("version", target)
	}
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
