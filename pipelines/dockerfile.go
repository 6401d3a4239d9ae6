package pipelines

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/berth-sh/berth/pipelines/build"
	"github.com/berth-sh/berth/pipelines/config"
	"github.com/berth-sh/berth/pipelines/dockerfile"
	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/image"
)

// DockerfileBuilder builds images from Dockerfiles. It is safe for concurrent use.
type DockerfileBuilder interface {
	// Ready reports why this builder cannot build here, in a few words that start with the builder's name: a program that
	// is missing, a daemon that does not answer. It is asked before anything is built.
	Ready(ctx context.Context) error
	// BuildDockerfile builds a component for each of the platforms and returns the paths of OCI image layouts, folders or
	// tar archives below [build.Options.Out], that together hold an image for each. No file that the Dockerfile's steps
	// made is later than [build.Options.Created]. A step that fails is a fault with code [fault.Failed], whose cause ends
	// with what the step printed last; what this builder cannot do is one with code [fault.Usage].
	BuildDockerfile(
		ctx context.Context, c build.DockerfileComponent, platforms []ocispec.Platform, o build.Options,
	) (layouts []string, err error)
}

// dockerfileBuilder is the first builder that is ready.
func (p *Pipeline) dockerfileBuilder(ctx context.Context) (DockerfileBuilder, error) {
	var reasons []string
	for _, b := range p.options.Dockerfiles {
		err := b.Ready(ctx)
		if err == nil {
			return b, nil
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		reasons = append(reasons, err.Error())
	}
	if len(reasons) == 0 {
		reasons = append(reasons, "none was configured")
	}
	return nil, &fault.Error{
		Op: "find a builder for Dockerfiles", Code: fault.Usage, Err: errors.New("\n" + strings.Join(reasons, "\n")),
		Next: "install Docker with buildx (https://docs.docker.com/engine/install/),\n" +
			"or start buildkitd and set BUILDKIT_HOST, or install the Dagger CLI (https://docs.dagger.io/install)",
	}
}

// dockerfile is a component as its builder wants it. Its paths are checked.
func (p *Pipeline) dockerfile(name string, d config.Dockerfile) (build.DockerfileComponent, error) {
	at := func(path string) string { return abs(p.Project, filepath.FromSlash(path)) }
	c := build.DockerfileComponent{
		Name: name, Context: at(d.Context), Target: d.Target, Args: map[string]string{}, CacheFrom: d.Cache.From,
		Provenance: d.Attestations.Provenance, SBOM: d.Attestations.SBOM,
	}
	c.File = filepath.Join(c.Context, "Dockerfile")
	if d.File != "" {
		c.File = at(d.File)
	}
	maps.Copy(c.Args, d.Args)
	for _, s := range d.Secrets {
		secret := build.Secret{ID: s.ID, Env: s.Env}
		if s.File != "" {
			secret.File = at(s.File)
		}
		c.Secrets = append(c.Secrets, secret)
	}
	for _, s := range d.SSH {
		agent := build.SSH{ID: s.ID}
		if agent.ID == "" {
			agent.ID = "default"
		}
		for _, path := range s.Paths {
			agent.Paths = append(agent.Paths, at(path))
		}
		c.SSH = append(c.SSH, agent)
	}
	if p.inCI() {
		c.CacheTo = slices.Clone(d.Cache.To)
	}
	key := []string{"components", name, "dockerfile"}
	var err error
	if c.Context, err = build.ResolveContext(p.repository.Root(), c.Context); err != nil {
		return c, p.Config.Fault(append(key, "context"), "name a folder of the repository, relative to berth.yaml", "%w", err)
	}
	if c.File, err = build.ResolveFile(p.repository.Root(), c.File); err != nil {
		return c, p.Config.Fault(append(key, "file"), "name a Dockerfile of the repository, relative to berth.yaml",
			"%w", err)
	}
	return c, nil
}

// checkDockerfiles refuses what the Dockerfiles of components do not have: stages, images, build arguments. What
// depends on variables without a value is left to the run that has them.
func (p *Pipeline) checkDockerfiles(names []string) error {
	for _, name := range names {
		d := p.Config.Components[name].Dockerfile
		if d == nil || p.Config.RequireSet("components", name) != nil {
			continue
		}
		file, path, in, err := p.understood(name)
		if err != nil {
			return err
		}
		if file == nil {
			continue
		}
		if _, err := file.Bases(in); err != nil {
			return err
		}
		if err := p.checkArgs(name, d.Args, file, path); err != nil {
			return err
		}
	}
	return nil
}

// checkArgs refuses build arguments that a Dockerfile does not declare, which builders drop without a word.
func (p *Pipeline) checkArgs(name string, args map[string]string, file *dockerfile.File, path string) error {
	declared := file.Args()
	for _, arg := range slices.Sorted(maps.Keys(args)) {
		if slices.Contains(declared, arg) || dockerfile.BuiltIn(arg) {
			continue
		}
		has := "none"
		if len(declared) > 0 {
			has = strings.Join(declared, ", ")
		}
		return p.Config.Fault([]string{"components", name, "dockerfile", "args", arg},
			"remove it, or declare it in "+p.shown(path)+": ARG "+arg+
				"; one of a base image's ONBUILD before the first FROM",
			"the Dockerfile declares no ARG %s; it has %s", arg, has)
	}
	return nil
}

// dockerBuild builds a component from its Dockerfile.
func (b builder) dockerBuild(
	ctx context.Context, name string, k config.Component, platforms []ocispec.Platform,
) (image.Index, error) {
	c, err := b.pipeline.dockerfile(name, *k.Dockerfile)
	if err != nil {
		return image.Index{}, err
	}
	if b.noCache { // only the image is looked at then
		c.Provenance, c.SBOM = "", ""
	}
	for i, secret := range c.Secrets {
		if err := secret.Present(b.pipeline.lookupSecret); err != nil {
			key := []string{"components", name, "dockerfile", "secrets", strconv.Itoa(i)}
			return image.Index{}, b.pipeline.Config.Fault(key, "set the variable, or write the file", "%w", err)
		}
	}
	for arg, value := range b.computedArgs() {
		if _, own := c.Args[arg]; !own {
			c.Args[arg] = value
		}
	}
	keep, err := b.caches(&c, k.Dockerfile.Cache)
	if err != nil {
		return image.Index{}, err
	}
	size, err := build.ContextSize(ctx, c)
	if err != nil {
		return image.Index{}, &fault.Error{Op: "read the build context of", Subject: name, Err: err, Code: fault.Usage}
	}
	if warning := size.Warning(name); warning != "" {
		b.pipeline.warn(warning)
	}
	select {
	case b.slots <- struct{}{}:
		defer func() { <-b.slots }()
	case <-ctx.Done():
		return image.Index{}, context.Cause(ctx)
	}
	layouts, err := b.dockerfiles.BuildDockerfile(ctx, c, platforms, b.options("images"))
	if err != nil {
		return image.Index{}, err
	}
	if err := keep(); err != nil {
		b.pipeline.warn(fmt.Sprintf("%s: the cache of the build was not kept: %v", name, err))
	}
	spec := b.spec(name, k, image.Scratch(), nil)
	if spec.Bases, err = b.pipeline.standsOn(name, platforms); err != nil {
		return image.Index{}, err
	}
	x, err := image.Adopt(ctx, spec, platforms, layouts...)
	if err != nil {
		return image.Index{}, err
	}
	return x, attested(c, x)
}

// attested finds what a builder was asked to say and did not: a generator that writes nothing goes unnoticed there.
func attested(c build.DockerfileComponent, x image.Index) error {
	for _, platform := range x.Platforms() {
		said := func(prefix string) bool {
			return slices.ContainsFunc(x.Attestations, func(a image.Attestation) bool {
				return a.Platform == platform && strings.HasPrefix(a.PredicateType, prefix)
			})
		}
		if c.SBOM != "" && !said("https://spdx.dev/") {
			return fault.New(fault.Failed, c.Name+" for "+platform, "name a generator that follows BuildKit's protocol: "+
				"https://github.com/moby/buildkit/blob/master/docs/attestations/sbom-protocol.md",
				"the generator %s wrote no SBOM", c.SBOM)
		}
		if c.Provenance != "" && !said("https://slsa.dev/provenance/") {
			return fault.New(fault.Failed, c.Name+" for "+platform, "use a newer BuildKit, or remove provenance",
				"the builder wrote no provenance")
		}
	}
	return nil
}

// standsOn is what the images of a component are built on, by platform, as its Dockerfile says it. A tag that no digest
// pins is only a name: what it led to during the build would be another digest for another machine or day.
func (p *Pipeline) standsOn(component string, platforms []ocispec.Platform) (map[string]image.Base, error) {
	file, _, in, err := p.understood(component)
	if err != nil || file == nil {
		return nil, err
	}
	out := map[string]image.Base{}
	for _, platform := range platforms {
		below, err := file.StandsOn(in, platform)
		if err != nil {
			return nil, err
		}
		if below.Repository == "" {
			continue
		}
		base := image.Base{Name: below.Repository, Digest: digest.Digest(below.Digest)}
		if tag := cmp.Or(below.Tag, "latest"); below.Tag != "" || below.Digest == "" {
			base.Name += ":" + tag
		}
		out[image.PlatformString(platform)] = base
	}
	return out, nil
}

// lookupSecret reads a variable with a secret; one that the builder has in another way has a value here, but not its
// own.
func (p *Pipeline) lookupSecret(name string) (string, bool) {
	if p.options.HasSecret != nil && p.options.HasSecret(name) {
		return "(secret)", true
	}
	return p.options.Lookup(name)
}

// computedArgs are the build arguments that a Dockerfile may declare without naming them in berth.yaml. Those that it
// does not declare do nothing.
func (b builder) computedArgs() map[string]string {
	return map[string]string{
		"VERSION":           b.state.base.String(),
		"GIT_COMMIT":        b.revision(),
		"BUILD_DATE":        b.created.UTC().Format(time.RFC3339),
		"SOURCE_DATE_EPOCH": strconv.FormatInt(b.created.Unix(), 10),
	}
}
