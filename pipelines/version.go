package pipelines

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/Masterminds/semver/v3"

	"github.com/berth-sh/berth/pipelines/config"
	"github.com/berth-sh/berth/pipelines/facts"
	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/version"
)

// baseVersion is VERSION by hand, else the version of the release tag that is built, else that of the version file or
// of the newest git tag. A release tag that contradicts the version file is an error: one of them names other bytes.
func (p *Pipeline) baseVersion(ctx context.Context, f facts.Facts) (*semver.Version, error) {
	if f.Version != "" {
		return version.Parse("VERSION", f.Version)
	}
	tagged, isRelease := version.FromGitTag(p.Config.Version.GitTag, f.Tag)
	if p.Config.Version.File == config.VersionFromGit {
		if isRelease {
			return tagged, nil
		}
		return p.newestTag(ctx)
	}
	filed, err := p.filedVersion()
	if err != nil {
		return nil, err
	}
	if isRelease && !filed.Equal(tagged) {
		return nil, fault.New(fault.Usage, "git tag "+f.Tag,
			fmt.Sprintf("tag the commit that `berth version bump %s` makes", tagged),
			"the tag says %s, but %s of this commit says %s", tagged, p.Config.Version.File, filed)
	}
	return filed, nil
}

func (p *Pipeline) filedVersion() (*semver.Version, error) {
	name := p.Config.Version.File
	data, err := p.readProjectFile(name)
	if err != nil {
		return nil, err
	}
	text, err := version.ReadVersion(name, data)
	if err != nil {
		return nil, err
	}
	return version.Parse(filepath.Join(p.Project, name), text)
}

func (p *Pipeline) readProjectFile(name string) ([]byte, error) {
	data, err := os.ReadFile(filepath.Join(p.Project, filepath.FromSlash(name)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, p.Config.Fault([]string{"version"}, "create it, or name another file in berth.yaml",
			"the version file %s does not exist", name)
	}
	if err != nil {
		return nil, fault.New(fault.Usage, name, "", "cannot read the version file: %w", err)
	}
	return data, nil
}

// newestTag is the highest version among the release tags of the nearest tagged commit, or 0.0.0 when there is no
// release tag at all.
func (p *Pipeline) newestTag(ctx context.Context) (*semver.Version, error) {
	newest, _, err := p.lastRelease(ctx)
	if newest == nil {
		newest = semver.New(0, 0, 0, "", "")
	}
	return newest, err
}

// lastRelease finds the release tag that is nearest to HEAD, and the commits with release tags, to stop a walk at.
func (p *Pipeline) lastRelease(ctx context.Context) (*semver.Version, map[string]bool, error) {
	tags, err := p.repository.Tags(ctx)
	if err != nil {
		return nil, nil, err
	}
	byCommit := map[string]*semver.Version{}
	stop := map[string]bool{}
	for _, t := range tags {
		v, ok := version.FromGitTag(p.Config.Version.GitTag, t.Name)
		if !ok {
			continue
		}
		stop[t.Commit] = true
		if known := byCommit[t.Commit]; known == nil || known.LessThan(v) {
			byCommit[t.Commit] = v
		}
	}
	nearest, err := p.repository.Nearest(ctx, stop)
	if err != nil || nearest == "" {
		return nil, stop, err
	}
	return byCommit[nearest], stop, nil
}
