package pipelines

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

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
	if glob := version.GitTagGlob(p.Config.Version.GitTag); f.Tag != "" && !isRelease && config.Match(glob, f.Tag) {
		return nil, fault.New(fault.Usage, "git tag "+f.Tag, "tag releases as version.gitTag says: "+p.Config.Version.GitTag,
			"it looks like a release, but names no whole version")
	}
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
	all, err := p.releases(ctx)
	if err != nil {
		return nil, err
	}
	newest, _, err := p.nearest(ctx, all)
	if newest == nil {
		newest = semver.New(0, 0, 0, "", "")
	}
	return newest, err
}

// released are the commits with release tags, and their versions.
type released map[string][]*semver.Version

// releases lists all release tags.
func (p *Pipeline) releases(ctx context.Context) (released, error) {
	tags, err := p.repository.Tags(ctx)
	if err != nil {
		return nil, err
	}
	out := released{}
	for _, t := range tags {
		if v, ok := version.FromGitTag(p.Config.Version.GitTag, t.Name); ok {
			out[t.Commit] = append(out[t.Commit], v)
		}
	}
	return out, nil
}

// final leaves out pre-releases.
func (r released) final() released {
	out := released{}
	for commit, versions := range r {
		for _, v := range versions {
			if v.Prerelease() == "" {
				out[commit] = append(out[commit], v)
			}
		}
	}
	return out
}

// taken tells whether a version is released, from whatever commit.
func (r released) taken(v *semver.Version) bool {
	for _, versions := range r {
		if slices.ContainsFunc(versions, v.Equal) {
			return true
		}
	}
	return false
}

// nearest finds the release that is nearest to HEAD, nil when HEAD reaches none, and the commits to stop a walk at.
func (p *Pipeline) nearest(ctx context.Context, r released) (*semver.Version, map[string]bool, error) {
	stop := map[string]bool{}
	for commit := range r {
		stop[commit] = true
	}
	commit, err := p.repository.Nearest(ctx, stop)
	if err != nil || commit == "" {
		return nil, stop, err
	}
	return slices.MaxFunc(r[commit], (*semver.Version).Compare), stop, nil
}
