package pipelines

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/berth-sh/berth/pipelines/build"
	"github.com/berth-sh/berth/pipelines/config"
)

// inCI tells whether the run is that of a CI.
func (p *Pipeline) inCI() bool {
	ci, _ := p.options.Lookup("CI")
	return ci != "" && ci != "false"
}

// caches adds where the cache of a component's build is read from and written to. keep is called when the build
// succeeded.
func (b builder) caches(c *build.DockerfileComponent, own config.BuildCache) (keep func() error, err error) {
	keep = func() error { return nil }
	p := b.pipeline
	if b.noCache {
		c.CacheFrom, c.CacheTo = nil, nil
		return keep, nil
	}
	if len(own.From)+len(own.To) > 0 {
		for i, entry := range c.CacheTo {
			c.CacheTo[i] = config.KeepGoing(entry)
		}
		return keep, nil
	}
	if err := p.Config.RequireSet("buildCache"); err != nil {
		return nil, err
	}
	kind, err := p.Config.CacheKind()
	if err != nil {
		return nil, err
	}
	var from, to string
	// Whoever may open a pull request must not decide what later builds take for built.
	writes := p.inCI() && b.state.facts.PullRequest == ""
	switch kind {
	case config.CacheOff:
	case config.CacheDefault, config.CacheActions:
		if kind == config.CacheActions || p.inCI() && p.hasActionsCache() {
			from, to = p.actionsCache(c.Name)
			writes = p.inCI() // GitHub keeps those of pull requests apart
		}
	case config.CacheRepository:
		from = fmt.Sprintf("type=registry,ref=%s:%s", p.Config.BuildCache, c.Name)
		// ECR takes a cache only as an image. https://docs.docker.com/build/cache/backends/registry/
		to = from + ",mode=max,image-manifest=true,oci-mediatypes=true"
	case config.CacheFolder:
		folder := cacheFolder{path: filepath.Join(p.cacheFolder(), c.Name)}
		if err := p.outsideContext(*c); err != nil {
			return nil, err
		}
		from, to = folder.entries()
		if !writes {
			break
		}
		if err := folder.prepare(); err != nil {
			p.warn(fmt.Sprintf("%s: the cache of the build will not be kept: %v", c.Name, err))
			writes = false
			break
		}
		keep = folder.keep
	}
	if from != "" {
		c.CacheFrom = []string{from}
	}
	if to != "" && writes {
		c.CacheTo = []string{config.KeepGoing(to)}
	}
	return keep, nil
}

// hasActionsCache tells whether a step of a GitHub workflow handed on the token of the job's cache.
func (p *Pipeline) hasActionsCache() bool {
	for _, name := range []string{"ACTIONS_RUNTIME_TOKEN", "ACTIONS_RESULTS_URL"} {
		if value, _ := p.options.Lookup(name); value == "" {
			return false
		}
	}
	return true
}

func (p *Pipeline) actionsCache(component string) (from, to string) {
	from = "type=gha,scope=" + p.Config.Project + "-" + component
	return from, from + ",mode=max"
}

// cacheFolder is the folder of all caches.
func (p *Pipeline) cacheFolder() string {
	return abs(p.Project, filepath.FromSlash(p.Config.BuildCache))
}

// outsideContext refuses a cache that the build would copy from: its result would depend on what was built before.
func (p *Pipeline) outsideContext(c build.DockerfileComponent) error {
	sent, err := build.Sends(c, resolved(p.cacheFolder()))
	if err != nil || !sent {
		return err
	}
	return p.Config.Fault([]string{"buildCache"}, "add "+p.Config.BuildCache+" to the context's .dockerignore",
		"the folder is a part of the build context of %s", c.Name)
}

// cacheFolder is the folder of a component's cache. Builders add to a folder and never remove from it, so that a new
// one takes its place each time.
type cacheFolder struct{ path string }

func (f cacheFolder) next() string { return f.path + ".next" }

// entries are the folder as builders want to have it told; from is empty when there is no cache yet.
func (f cacheFolder) entries() (from, to string) {
	if _, err := os.Stat(filepath.Join(f.path, ocispec.ImageIndexFile)); err == nil {
		from = build.Fields("type=local", "src="+f.path)
	}
	return from, build.Fields("type=local", "dest="+f.next(), "mode=max")
}

// prepare removes what a run that broke off has left, and tells whether the folder can be written.
func (f cacheFolder) prepare() error {
	for _, dir := range []string{f.path, f.next()} {
		if err := isCache(dir); err != nil {
			return err
		}
	}
	if err := os.RemoveAll(f.next()); err != nil {
		return err
	}
	return os.MkdirAll(f.next(), 0o755)
}

// keep puts what was written in the place of what was there. A cache that could not be written leaves the old one.
func (f cacheFolder) keep() error {
	if _, err := os.Stat(filepath.Join(f.next(), ocispec.ImageIndexFile)); err != nil {
		return os.RemoveAll(f.next())
	}
	if err := os.RemoveAll(f.path); err != nil {
		return err
	}
	return os.Rename(f.next(), f.path)
}

// isCache refuses a folder with anything in it that builders do not write, as it would be removed.
func isCache(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		known := []string{ocispec.ImageLayoutFile, ocispec.ImageIndexFile, ocispec.ImageBlobsDir, "ingest"}
		if !slices.Contains(known, e.Name()) {
			return fmt.Errorf("%s is no cache: it holds %s", dir, e.Name())
		}
	}
	return err
}
