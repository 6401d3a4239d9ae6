package build

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"dagger.io/dagger"
	"github.com/moby/patternmatcher/ignorefile"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/berth-sh/berth/pipelines/dockerfile"
	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/image"
)

// engineDockerfile is what the Dockerfile is called in the engine's copy of the context. The steps do not see it there.
const engineDockerfile = ".berth.Dockerfile"

// baseLayer is how the engine's history calls a layer that it has from a registry as it is.
const baseLayer = "import image layer "

// fileTime is the time of all files that a build makes or copies, in seconds since 1970. The engine takes equal content
// for equal, whatever its times, so that those of an image would depend on what the engine has built before. It is the
// first that all archive formats can hold, and the same for every commit, so that layers that stay are not sent again.
const fileTime = 315532800

// outputTail is how many lines of a failed step's output an error ends with.
const outputTail = 40

// Ready is always so: the session is there.
func (e *Engine) Ready(context.Context) error { return nil }

// BuildDockerfile builds a component for each platform, and returns an OCI layout for each. A mistake in the
// Dockerfile, a missing stage or secret, and what the engine cannot do are faults with code [fault.Usage]; a step that
// fails is one with code [fault.Failed] that ends with what the step printed last. The engine keeps a cache of its own:
// those of the component are not used.
func (e *Engine) BuildDockerfile(
	ctx context.Context, c DockerfileComponent, platforms []ocispec.Platform, o Options,
) ([]string, error) {
	o = o.quiet()
	b, err := e.newDockerBuild(ctx, c, o)
	if err != nil {
		return nil, err
	}
	if err := e.logIn(ctx, b, platforms); err != nil {
		return nil, err
	}
	out := make([]string, len(platforms))
	g, gctx := errgroup.WithContext(ctx)
	for i, p := range platforms {
		g.Go(func() (err error) {
			out[i], err = b.platform(gctx, image.NormalizePlatform(p))
			return err
		})
	}
	if err := g.Wait(); err != nil {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("build %s: %w", c.Name, context.Cause(ctx))
		}
		return nil, err
	}
	return out, nil
}

// dockerBuild is the build of one component.
type dockerBuild struct {
	component DockerfileComponent
	options   Options
	file      *dockerfile.File
	host      ocispec.Platform // of the engine
	args      map[string]string
	context   *dagger.Directory
	build     dagger.DirectoryDockerBuildOpts
	// ownerless tells that cache mounts have lost their mode, uid and gid.
	ownerless bool
}

func (e *Engine) newDockerBuild(ctx context.Context, c DockerfileComponent, o Options) (*dockerBuild, error) {
	if o.NoCache {
		return nil, fault.New(fault.Usage, c.Name, "use --builder docker or --builder buildkit",
			"the Dagger engine cannot build a Dockerfile without its cache")
	}
	if c.Provenance != "" || c.SBOM != "" {
		return nil, fault.New(fault.Usage, c.Name,
			"use --builder docker or --builder buildkit, or remove attestations from the component",
			"the Dagger engine makes no attestations")
	}
	content, err := os.ReadFile(c.File)
	if err != nil {
		return nil, fault.New(fault.Usage, c.Name, "", "cannot read the Dockerfile: %w", err)
	}
	b := &dockerBuild{component: c, options: o}
	if b.file, err = dockerfile.Parse(c.File, content); err != nil {
		return nil, err
	}
	// The engine v0.21 gives up on such a mount: its folder always belongs to root.
	if content, b.ownerless, err = b.file.WithoutCacheOwners(); err != nil {
		return nil, err
	}
	if b.context, err = e.buildContext(c, o.Root, content); err != nil {
		return nil, err
	}
	host, err := e.client.DefaultPlatform(ctx)
	if err != nil {
		return nil, engineFault(err)
	}
	if b.host, err = image.ParsePlatform(string(host)); err != nil {
		return nil, err
	}
	// The engine would take the platform that is built for as the one that builds, and run a foreign compiler.
	b.args = map[string]string{
		"BUILDPLATFORM": image.PlatformString(b.host), "BUILDOS": b.host.OS, "BUILDARCH": b.host.Architecture,
	}
	if b.host.Variant != "" {
		b.args["BUILDVARIANT"] = b.host.Variant
	}
	maps.Copy(b.args, c.Args)
	b.build = dagger.DirectoryDockerBuildOpts{Dockerfile: engineDockerfile, Target: c.Target}
	for _, name := range slices.Sorted(maps.Keys(b.args)) {
		if b.args[name] == "" {
			return nil, fault.New(fault.Usage, c.Name, "use --builder docker, or give it a value",
				"the Dagger engine takes no build argument without a value, and %s has none", name)
		}
		b.build.BuildArgs = append(b.build.BuildArgs, dagger.BuildArg{Name: name, Value: b.args[name]})
	}
	if b.build.Secrets, err = e.buildSecrets(ctx, c); err != nil {
		return nil, err
	}
	b.build.SSH, err = e.buildAgent(c)
	return b, err
}

// buildContext is the component's context with its Dockerfile, wherever that is, under a name of its own. The file that
// says what to ignore, with the two names added, is the Dockerfile's own or else the context's.
// Source: https://docs.docker.com/build/concepts/context/#filename-and-location
func (e *Engine) buildContext(c DockerfileComponent, root string, content []byte) (*dagger.Directory, error) {
	rel, err := filepath.Rel(root, c.Context)
	if err != nil || !filepath.IsLocal(rel) {
		return nil, fault.New(fault.Usage, c.Context, "keep components inside the repository",
			"it is outside the repository %s, which is all that the engine sees", root)
	}
	var ignored []byte
	for _, name := range []string{c.File + ".dockerignore", filepath.Join(c.Context, ".dockerignore")} {
		if ignored, err = os.ReadFile(name); err == nil {
			break
		} else if !errors.Is(err, os.ErrNotExist) {
			return nil, fault.New(fault.Usage, name, "", "cannot read it: %w", err)
		}
	}
	patterns, err := ignorefile.ReadAll(bytes.NewReader(ignored))
	if err != nil {
		return nil, fault.New(fault.Usage, c.Context, "correct its .dockerignore", "%w", err)
	}
	folder := e.source.Directory(filepath.ToSlash(rel))
	if e.folder != nil {
		folder = e.folder(c.Context, patterns)
	}
	own := engineDockerfile + ".dockerignore"
	return folder.WithNewFile(engineDockerfile, string(content)).
		WithNewFile(own, fmt.Sprintf("%s\n%s\n%s\n", ignored, engineDockerfile, own)), nil
}

// buildSecrets hands the secrets to the engine, each under its name in the Dockerfile.
func (e *Engine) buildSecrets(ctx context.Context, c DockerfileComponent) ([]*dagger.Secret, error) {
	var out []*dagger.Secret
	for _, s := range c.Secrets {
		var plaintext string
		switch {
		case s.File != "":
			data, err := os.ReadFile(s.File)
			if err != nil {
				return nil, fault.New(fault.Usage, c.Name, "correct the secret's file", "secret %s: %w", s.ID, err)
			}
			plaintext = string(data)
		default:
			value, ok := "", false
			if e.options.Secret != nil {
				var err error
				if value, ok, err = e.options.Secret(ctx, s.Env); err != nil {
					return nil, fmt.Errorf("%s: secret %s: %w", c.Name, s.ID, err)
				}
			}
			if !ok {
				return nil, fault.New(fault.Usage, c.Name, "set it; a Dagger function takes it as --build-secrets env:"+s.Env,
					"secret %s: there is no variable %s", s.ID, s.Env)
			}
			plaintext = value
		}
		out = append(out, e.client.SetSecret(s.ID, plaintext))
	}
	return out, nil
}

func (e *Engine) buildAgent(c DockerfileComponent) (*dagger.Socket, error) {
	switch {
	case len(c.SSH) == 0:
		return nil, nil //nolint:nilnil // none is what the engine takes
	case len(c.SSH) > 1 || len(c.SSH[0].Paths) > 0:
		return nil, fault.New(fault.Usage, c.Name, "write ssh: [{}] and add the key to your agent, or use --builder docker",
			"the Dagger engine takes one SSH agent, that of SSH_AUTH_SOCK, and no keys")
	case e.options.Agent == nil:
		return nil, fault.New(fault.Usage, c.Name, "start an agent, or set SSH_AUTH_SOCK; a Dagger function has none",
			"its Dockerfile asks for an SSH agent, and there is none")
	}
	return e.options.Agent, nil
}

// platform builds for one platform and returns the folder of the layout.
func (b *dockerBuild) platform(ctx context.Context, p ocispec.Platform) (string, error) {
	name := image.PlatformString(p)
	lineage, err := b.file.Lineage(dockerfile.Inputs{Target: b.component.Target, Args: b.args}, b.host, p)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(b.options.Out, b.component.Name, strings.ReplaceAll(name, "/", "_"))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("build %s: %w", b.component.Name, err)
	}
	exported := dir + ".tar"
	build := b.build
	build.Platform = dagger.Platform(name)
	packed := b.context.DockerBuild(build).AsTarball(dagger.ContainerAsTarballOpts{MediaTypes: dagger.ImageMediaTypesOci})
	if _, err := packed.Export(ctx, exported); err != nil {
		return "", b.fault(name, err)
	}
	files := time.Unix(fileTime, 0).UTC()
	if b.options.Created.Before(files) {
		files = b.options.Created
	}
	kept := false
	err = image.Mend(ctx, exported, dir, image.Mending{
		Platform: p, Created: b.options.Created, Files: files,
		Base: func(said string) bool {
			is := strings.HasPrefix(said, baseLayer)
			kept = kept || is
			return is
		},
		Env: func(variable string) bool { return b.keeps(lineage, variable) },
	})
	if err = errors.Join(err, os.Remove(exported)); err != nil {
		return "", fmt.Errorf("read what the Dagger engine built of %s for %s: %w", b.component.Name, name, err)
	}
	if lineage.Image != "" && !kept {
		b.options.Warn(fmt.Sprintf("%s for %s: the engine has packed the layers of %s anew, as it does after a restart: "+
			"digests may differ from other builds", b.component.Name, name, lineage.Image))
	}
	b.options.Progress(b.component.Name, name)
	return dir, nil
}

// keeps tells whether a variable belongs to the image. The engine leaves those of ARG in it, which are for the build.
func (b *dockerBuild) keeps(l dockerfile.Lineage, variable string) bool {
	name, value, _ := strings.Cut(variable, "=")
	if !slices.Contains(l.Arguments, name) {
		return true
	}
	given, ok := b.args[name]
	return ok && value != given // another value is not the argument's, but the base image's own
}

// fault is a build that failed: a step's own failure with its last lines, or the engine's.
func (b *dockerBuild) fault(platform string, err error) error {
	step, ok := errors.AsType[*dagger.ExecError](err)
	if !ok {
		if refused := unpulled(b.component, err); refused != nil {
			return refused
		}
		return engineFault(fmt.Errorf("%s for %s: %w", b.component.Name, platform, err))
	}
	lines := strings.Split(strings.TrimSpace(step.Stdout+"\n"+step.Stderr), "\n")
	if more := len(lines) - outputTail; more > 0 {
		lines = append([]string{fmt.Sprintf("… %d more lines", more)}, lines[more:]...)
	}
	next := "correct the step in " + b.component.File
	if b.ownerless && strings.Contains(strings.ToLower(strings.Join(lines, "\n")), "permission denied") {
		next += ";\nthe Dagger engine takes no mode, uid or gid of a cache mount, so that only root can write there:\n" +
			"use --builder docker or --builder buildkit for a step of another user"
	}
	return &fault.Error{
		Op: "build", Subject: b.component.Name + " for " + platform, Code: fault.Failed, Next: next,
		Err: fmt.Errorf("%s: exit status %d:\n%s", strings.Join(step.Cmd, " "), step.ExitCode, strings.Join(lines, "\n")),
	}
}
