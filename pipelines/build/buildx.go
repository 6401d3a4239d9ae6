package build

import (
	"bytes"
	"cmp"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/image"
)

// Buildx builds Dockerfiles with the docker program and its plugin buildx, on the builder that buildx has selected. It
// is safe for concurrent use.
type Buildx struct{ environ []string }

// NewBuildx makes a builder. The environment, as [os.Environ] gives it, says where docker is and which daemon, context
// and builder it uses.
func NewBuildx(environ []string) *Buildx { return &Buildx{environ: environ} }

// Ready reports what is missing: docker, its plugin, a builder that answers and that can write OCI layouts.
func (b *Buildx) Ready(ctx context.Context) error {
	said, err := b.ask(ctx, "buildx", "inspect")
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return errors.New("docker buildx: the docker program is not in PATH")
	case err != nil:
		return fmt.Errorf("docker buildx: %w", err)
	}
	driver, broken := readInspect(said)
	if broken != "" {
		return fmt.Errorf("docker buildx: the builder does not answer: %s", broken)
	}
	if driver != "docker" {
		return nil
	}
	// The daemon's own builder writes layouts, and several platforms, only with the image store of containerd.
	// Source: https://docs.docker.com/build/builders/drivers/
	status, err := b.ask(ctx, "info", "--format", "{{json .DriverStatus}}")
	if err != nil {
		return fmt.Errorf("docker buildx: the daemon does not answer: %w", err)
	}
	if !ContainerdStore(status) {
		return errors.New("docker buildx: the daemon's own builder cannot write OCI images without containerd's image" +
			" store; make one that can: docker buildx create --use --driver docker-container")
	}
	return nil
}

// ContainerdStore tells whether a Docker daemon keeps images in the image store of containerd, as Docker does from
// release 29 on. status is what `docker info --format '{{json .DriverStatus}}'` prints.
// Source: https://docs.docker.com/engine/storage/containerd/
func ContainerdStore(status string) bool {
	return strings.Contains(status, "io.containerd.snapshotter")
}

// readInspect reads the driver from what `docker buildx inspect` prints, and why no node of the builder answers.
func readInspect(said string) (driver, broken string) {
	running := false
	for line := range strings.Lines(said) {
		key, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch strings.TrimSpace(key) {
		case "Driver":
			driver = value
		case "Error":
			broken = value
		case "Status":
			running = running || value == "running"
		}
	}
	if broken == "" && driver == "remote" && !running { // the other drivers start their nodes when they are needed
		broken = "no node of it is running"
	}
	return driver, broken
}

// ask runs docker for a short answer.
func (b *Buildx) ask(ctx context.Context, args ...string) (string, error) {
	cmd, err := b.command(ctx, args...)
	if err != nil {
		return "", err
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		if said := strings.TrimSpace(stderr.String()); said != "" {
			err = errors.New(strings.TrimPrefix(firstLine(said), "ERROR: "))
		}
		return "", err
	}
	return stdout.String(), nil
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

func (b *Buildx) command(ctx context.Context, args ...string) (*exec.Cmd, error) {
	path, ok := lookPath(b.environ, "docker")
	if !ok {
		return nil, exec.ErrNotFound
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = b.environ
	own(cmd)
	cmd.WaitDelay = 10 * time.Second
	return cmd, nil
}

// BuildDockerfile builds a component for all platforms in one run, into an OCI layout below [Options.Out].
func (b *Buildx) BuildDockerfile(
	ctx context.Context, c DockerfileComponent, platforms []ocispec.Platform, o Options,
) ([]string, error) {
	o = o.quiet()
	if err := c.CheckSSH(func(name string) (string, bool) { return lookup(b.environ, name) }); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(o.Out, 0o755); err != nil {
		return nil, fmt.Errorf("build %s: %w", c.Name, err)
	}
	layout := filepath.Join(o.Out, c.Name+".tar")
	cmd, err := b.command(ctx, buildxArgs(c, platforms, o, layout)...)
	if err != nil {
		return nil, fault.New(fault.Usage, c.Name, "install Docker", "the docker program is not in PATH")
	}
	lines := NewTranscript(func(line string) { o.Log(c.Name, line) })
	cmd.Stdout, cmd.Stderr = lines, lines
	err = cmd.Run()
	reap(cmd)
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("build %s: %w", c.Name, context.Cause(ctx))
	case err != nil:
		return nil, Broken(c, lines.Tail(err), b.Ready(ctx))
	}
	lines.TellUnsaved(c.Name, o.Warn)
	for _, p := range platforms {
		o.Progress(c.Name, image.PlatformString(p))
	}
	return []string{layout}, nil
}

// buildxArgs are the arguments of docker that build a component into a layout.
func buildxArgs(c DockerfileComponent, platforms []ocispec.Platform, o Options, layout string) []string {
	names := make([]string, len(platforms))
	for i, p := range platforms {
		names[i] = image.PlatformString(p)
	}
	args := []string{
		"buildx", "build", "--progress=plain", "--file", c.File, "--platform", strings.Join(names, ","),
		"--output", Fields("type=oci", "rewrite-timestamp=true", "dest="+layout),
	}
	// What is not asked for is refused, as buildx adds provenance by itself.
	provenance, sbom := c.Attestations()
	args = append(args, "--provenance="+cmp.Or(provenance, "false"), "--sbom="+cmp.Or(sbom, "false"))
	if c.Target != "" {
		args = append(args, "--target", c.Target)
	}
	if o.NoCache {
		args = append(args, "--no-cache")
	}
	for _, name := range slices.Sorted(maps.Keys(c.Args)) {
		args = append(args, "--build-arg", name+"="+c.Args[name])
	}
	for _, s := range c.Secrets {
		source := "src=" + s.File
		if s.Env != "" {
			source = "env=" + s.Env
		}
		args = append(args, "--secret", Fields("id="+s.ID, source))
	}
	for _, s := range c.SSH {
		value := s.ID
		if len(s.Paths) > 0 {
			value += "=" + strings.Join(s.Paths, ",")
		}
		args = append(args, "--ssh", value)
	}
	for _, entry := range c.CacheFrom {
		args = append(args, "--cache-from", entry)
	}
	for _, entry := range c.CacheTo {
		args = append(args, "--cache-to", entry)
	}
	return append(args, "--", c.Context)
}

// Fields writes what docker reads as a line of CSV: a comma in a path does not end a field.
func Fields(all ...string) string {
	var b strings.Builder
	w := csv.NewWriter(&b)
	_ = w.Write(all) // a strings.Builder takes everything
	w.Flush()
	return strings.TrimSuffix(b.String(), "\n")
}
