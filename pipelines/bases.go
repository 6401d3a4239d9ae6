package pipelines

import (
	"maps"
	"os"
	"path/filepath"

	"github.com/berth-sh/berth/pipelines/dockerfile"
	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/image"
	"github.com/berth-sh/berth/pipelines/plan"
	"github.com/berth-sh/berth/pipelines/policy"
)

// Bases lists the images that components take content from, as berth.yaml and the Dockerfiles name them; no name means
// all components. Nothing is asked of a registry.
func (p *Pipeline) Bases(components []string) ([]dockerfile.Base, error) {
	names, err := plan.Components(p.Config, components)
	if err != nil {
		return nil, err
	}
	var out []dockerfile.Base
	for _, name := range names {
		if err := p.Config.RequireSet("components", name); err != nil {
			return nil, err
		}
		bases, err := p.basesOf(name)
		if err != nil {
			return nil, err
		}
		out = append(out, bases...)
	}
	return out, nil
}

func (p *Pipeline) basesOf(name string) ([]dockerfile.Base, error) {
	k := p.Config.Components[name]
	if k.Dockerfile == nil {
		return p.goBase(name, k.Base)
	}
	file, _, in, err := p.readDockerfile(name)
	if err != nil {
		return nil, err
	}
	bases, err := file.Bases(in)
	for i := range bases {
		bases[i].Component = name
	}
	return bases, err
}

// readDockerfile reads a component's Dockerfile; path is where it is, and in what its build gives to it.
func (p *Pipeline) readDockerfile(component string) (d *dockerfile.File, path string, in dockerfile.Inputs, err error) {
	k := p.Config.Components[component].Dockerfile
	c, err := p.dockerfile(component, *k)
	if err != nil {
		return nil, "", in, err
	}
	content, err := os.ReadFile(c.File)
	if err != nil {
		return nil, "", in, fault.New(fault.Usage, c.File, "", "cannot read the Dockerfile: %w", err)
	}
	in = dockerfile.Inputs{Target: c.Target, Args: p.baseArgs()}
	maps.Copy(in.Args, c.Args)
	for _, text := range p.Config.PlatformsOf(component) {
		platform, err := image.ParsePlatform(text)
		if err != nil {
			return nil, "", in, err
		}
		in.Platforms = append(in.Platforms, platform)
	}
	d, err = dockerfile.Parse(p.shown(c.File), content)
	return d, c.File, in, err
}

// understood is readDockerfile, but for a file that names a frontend of its own and is not understood here: then it is
// nil, and up to that frontend.
func (p *Pipeline) understood(component string) (d *dockerfile.File, path string, in dockerfile.Inputs, err error) {
	d, path, in, err = p.readDockerfile(component)
	if err == nil || path == "" {
		return d, path, in, err
	}
	content, readErr := os.ReadFile(path)
	if readErr == nil && dockerfile.HasFrontend(content) {
		return nil, path, in, nil
	}
	return nil, path, in, err
}

// baseArgs are the build arguments that berth computes. A check, which does not ask git, has stand-ins: they may give
// an image a tag, but no sensible Dockerfile makes its repository of them.
func (p *Pipeline) baseArgs() map[string]string {
	if p.state != nil {
		if created, err := p.created(*p.state); err == nil {
			return builder{pipeline: p, state: *p.state, created: created}.computedArgs()
		}
	}
	return map[string]string{
		"VERSION": "0.0.0", "GIT_COMMIT": "0000000", "BUILD_DATE": "1970-01-01T00:00:00Z", "SOURCE_DATE_EPOCH": "0",
	}
}

// shown is how messages call a file of the repository: by its path from the project, as in berth.yaml.
func (p *Pipeline) shown(file string) string {
	if rel, err := filepath.Rel(p.Project, file); err == nil {
		return filepath.ToSlash(rel)
	}
	return file
}

// goBase is the base of a Go component; static and scratch are none.
func (p *Pipeline) goBase(name, base string) ([]dockerfile.Base, error) {
	if base == "" || base == "static" || base == "scratch" {
		return nil, nil
	}
	at := []string{"components", name, "base"}
	b, err := dockerfile.NewBase(base)
	if err != nil {
		return nil, p.Config.Fault(at, "write NAME@sha256:…", "%q: %w", base, err)
	}
	line, _ := p.Config.Position(at...)
	b.Component, b.File, b.Line, b.Instruction = name, p.shown(p.configFile), line, "base"
	return []dockerfile.Base{b}, nil
}

// refusedBases are the refusals of the policy for components.
func (p *Pipeline) refusedBases(components []string) ([]plan.Refusal, error) {
	if p.Config.Policy.BaseImages == nil && !p.Config.Policy.Pinned {
		return nil, nil
	}
	bases, err := p.Bases(components)
	return policy.Check(p.Config, bases), err
}

// checkBases reads the Dockerfiles of all components and holds them against the policy. What depends on variables
// without a value is left to the run that has them.
func (p *Pipeline) checkBases() error {
	if p.Config.Policy.BaseImages == nil && !p.Config.Policy.Pinned {
		return nil
	}
	var bases []dockerfile.Base
	for _, name := range p.Config.ComponentNames() {
		if p.Config.RequireSet("components", name) != nil {
			continue
		}
		found, err := p.basesOf(name)
		if err != nil {
			return err
		}
		bases = append(bases, found...)
	}
	refused := plan.Plan{Refusals: policy.Check(p.Config, bases)}
	return refused.Err()
}
