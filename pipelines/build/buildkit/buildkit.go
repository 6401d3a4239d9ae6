// Package buildkit builds Dockerfiles with a BuildKit daemon, by its own client library. It is a package apart from
// build because of what that library brings with it: who does not build with BuildKit need not link it.
package buildkit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/solver/errdefs"
	"github.com/moby/buildkit/util/bklog"
	"github.com/moby/buildkit/util/progress/progressui"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/tonistiigi/fsutil"
	"golang.org/x/sync/errgroup"

	"github.com/berth-sh/berth/pipelines/build"
	"github.com/berth-sh/berth/pipelines/config"
	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/image"
)

// Builder builds in a BuildKit daemon. It is safe for concurrent use.
type Builder struct {
	lookup func(string) (string, bool)
	login  Login
}

// New makes a builder. lookup reads the environment: BUILDKIT_HOST is the daemon's address, and without it the sockets
// of a rootful and a rootless daemon are tried. login may be nil, which logs in nowhere.
func New(lookup func(string) (string, bool), login Login) *Builder {
	// The library would write warnings of its own to standard error, past everything that berth prints.
	bklog.L.Logger.SetOutput(io.Discard)
	return &Builder{lookup: lookup, login: login}
}

// address is where the daemon listens, or why there is none.
func (b *Builder) address() (string, error) {
	if host, _ := b.lookup("BUILDKIT_HOST"); host != "" {
		return host, nil
	}
	if runtime.GOOS == "windows" {
		return "npipe:////./pipe/buildkitd", nil
	}
	sockets := []string{"/run/buildkit/buildkitd.sock"}
	if dir, _ := b.lookup("XDG_RUNTIME_DIR"); dir != "" {
		sockets = append(sockets, filepath.Join(dir, "buildkit", "buildkitd.sock"))
	}
	for _, socket := range sockets {
		if _, err := os.Stat(socket); err == nil {
			return "unix://" + socket, nil
		}
	}
	return "", fmt.Errorf("BUILDKIT_HOST is not set, and there is no %s", strings.Join(sockets, " or "))
}

// Ready reports why no daemon answers.
func (b *Builder) Ready(ctx context.Context) error {
	address, err := b.address()
	if err != nil {
		return fmt.Errorf("BuildKit: %w", err)
	}
	c, err := client.New(ctx, address)
	if err != nil {
		return fmt.Errorf("BuildKit: %w", err)
	}
	defer func() { _ = c.Close() }()
	if _, err := c.Info(ctx); err != nil {
		return fmt.Errorf("BuildKit: the daemon at %s does not answer: %w", address, err)
	}
	return nil
}

// BuildDockerfile builds a component for all platforms in one run, into an OCI layout below [build.Options.Out].
func (b *Builder) BuildDockerfile(
	ctx context.Context, c build.DockerfileComponent, platforms []ocispec.Platform, o build.Options,
) ([]string, error) {
	address, err := b.address()
	if err != nil {
		return nil, fault.New(fault.Usage, c.Name, "start buildkitd, and set BUILDKIT_HOST to its address",
			"BuildKit: %w", err)
	}
	layout := filepath.Join(o.Out, c.Name+".tar")
	solve, err := b.solve(c, platforms, o, layout)
	if _, ok := errors.AsType[*fault.Error](err); ok {
		return nil, err
	}
	if err != nil {
		return nil, &fault.Error{Op: "build", Subject: c.Name, Err: err, Code: fault.Usage}
	}
	if err := os.MkdirAll(o.Out, 0o755); err != nil {
		return nil, fmt.Errorf("build %s: %w", c.Name, err)
	}
	daemon, err := client.New(ctx, address)
	if err != nil {
		return nil, build.Broken(c, err, b.Ready(ctx))
	}
	defer func() { _ = daemon.Close() }()
	lines := build.NewTranscript(func(line string) {
		if o.Log != nil {
			o.Log(c.Name, line)
		}
	})
	if err := run(ctx, daemon, solve, lines); err != nil {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("build %s: %w", c.Name, context.Cause(ctx))
		}
		return nil, build.Broken(c, lines.Tail(err), b.Ready(ctx))
	}
	lines.TellUnsaved(c.Name, o.Warn)
	for _, p := range platforms {
		if o.Progress != nil {
			o.Progress(c.Name, image.PlatformString(p))
		}
	}
	return []string{layout}, nil
}

// run solves, and writes what happens as BuildKit's own clients do. An error is written there as well.
func run(ctx context.Context, daemon *client.Client, solve client.SolveOpt, lines *build.Transcript) error {
	display, err := progressui.NewDisplay(lines, progressui.PlainMode)
	if err != nil {
		return err
	}
	status := make(chan *client.SolveStatus)
	var g errgroup.Group
	g.Go(func() error {
		_, err := daemon.Solve(ctx, nil, solve, status)
		return err
	})
	g.Go(func() error {
		// The display goes on until Solve closes the channel, so that no line of a failure is lost.
		_, err := display.UpdateFrom(context.WithoutCancel(ctx), status)
		return err
	})
	if err = g.Wait(); err == nil {
		return nil
	}
	for _, source := range errdefs.Sources(err) {
		_ = source.Print(lines) // a transcript takes everything
	}
	_, _ = fmt.Fprintf(lines, "ERROR: %v\n", err)
	return err
}

// solve is the build in BuildKit's words.
func (b *Builder) solve(
	c build.DockerfileComponent, platforms []ocispec.Platform, o build.Options, layout string,
) (client.SolveOpt, error) {
	var none client.SolveOpt
	context, err := fsutil.NewFS(c.Context)
	if err != nil {
		return none, err
	}
	folder, err := fsutil.NewFS(filepath.Dir(c.File))
	if err != nil {
		return none, err
	}
	names := make([]string, len(platforms))
	for i, p := range platforms {
		names[i] = image.PlatformString(p)
	}
	attrs := map[string]string{"filename": filepath.Base(c.File), "platform": strings.Join(names, ",")}
	if c.Target != "" {
		attrs["target"] = c.Target
	}
	if o.NoCache {
		attrs["no-cache"] = ""
	}
	for name, value := range c.Args {
		attrs["build-arg:"+name] = value
	}
	attestations(attrs, c, o)
	session, err := b.session(c)
	if err != nil {
		return none, err
	}
	from, err := b.caches(c.CacheFrom)
	if err != nil {
		return none, err
	}
	to, err := b.caches(c.CacheTo)
	if err != nil {
		return none, err
	}
	return client.SolveOpt{
		Frontend:      "dockerfile.v0",
		FrontendAttrs: attrs,
		LocalMounts:   map[string]fsutil.FS{"context": context, "dockerfile": folder},
		Session:       session,
		CacheImports:  from,
		CacheExports:  to,
		Exports: []client.ExportEntry{{
			Type:   client.ExporterOCI,
			Attrs:  map[string]string{"rewrite-timestamp": "true"},
			Output: func(map[string]string) (io.WriteCloser, error) { return os.Create(layout) },
		}},
	}, nil
}

// attestations asks for what a component wants to have said about its image.
func attestations(attrs map[string]string, c build.DockerfileComponent, o build.Options) {
	provenance, sbom := c.Attestations()
	if provenance != "" {
		attrs["attest:provenance"], attrs["vcs:revision"] = provenance, o.Commit
	}
	if sbom != "" {
		attrs["attest:sbom"] = sbom
	}
}

// caches reads entries of berth.yaml, which are checked: fields NAME=VALUE, type among them.
func (b *Builder) caches(entries []string) ([]client.CacheOptionsEntry, error) {
	var out []client.CacheOptionsEntry
	for _, entry := range entries {
		attrs, err := config.CacheFields(entry)
		if err != nil {
			return nil, err
		}
		kind := attrs["type"]
		delete(attrs, "type")
		if kind == "gha" {
			if err := b.actions(attrs); err != nil {
				return nil, err
			}
		}
		out = append(out, client.CacheOptionsEntry{Type: kind, Attrs: attrs})
	}
	return out, nil
}

// actions adds the address and the token of the cache of GitHub Actions, which a job has in its environment.
// Source: https://docs.docker.com/build/cache/backends/gha/
func (b *Builder) actions(attrs map[string]string) error {
	for attr, names := range map[string][]string{
		"url":    {"ACTIONS_CACHE_URL", "ACTIONS_RESULTS_URL"},
		"url_v2": {"ACTIONS_RESULTS_URL"},
		"token":  {"ACTIONS_RUNTIME_TOKEN"},
	} {
		for _, name := range names {
			if value, _ := b.lookup(name); value != "" && attrs[attr] == "" {
				attrs[attr] = value
			}
		}
	}
	if attrs["token"] == "" || attrs["url"] == "" {
		return errors.New("cache type=gha needs ACTIONS_RUNTIME_TOKEN and ACTIONS_RESULTS_URL:" +
			" in a workflow, crazy-max/ghaction-github-runtime exports them")
	}
	return nil
}
