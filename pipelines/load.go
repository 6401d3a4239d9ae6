package pipelines

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/berth-sh/berth/pipelines/build"
	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/image"
	"github.com/berth-sh/berth/pipelines/plan"
)

// Loaded is one image in a Docker daemon.
type Loaded struct {
	Component  string   `json:"component"`
	References []string `json:"references"`
	Platform   string   `json:"platform"`
}

// Load puts the images of a plan into the Docker daemon that the docker program talks to, under every tag of the plan:
// for the daemon's platform, or whole and with their digests where the daemon has the image store of containerd.
func (p *Pipeline) Load(ctx context.Context, pl plan.Plan, images []image.Index) ([]Loaded, error) {
	if err := pl.Err(); err != nil {
		return nil, err
	}
	docker := docker{environ: p.options.Environ}
	platform, err := docker.platform(ctx)
	if err != nil {
		return nil, err
	}
	whole, err := docker.whole(ctx)
	if err != nil {
		return nil, err
	}
	var out []Loaded
	for _, planned := range pl.Images {
		i := slices.IndexFunc(images, func(x image.Index) bool { return x.Component == planned.Component })
		if i < 0 {
			continue
		}
		one := Loaded{Component: planned.Component, Platform: image.PlatformString(platform)}
		for _, tag := range planned.Tags {
			one.References = append(one.References, planned.Repository+":"+tag.Name)
		}
		if err := docker.load(ctx, archiver(images[i], platform, whole, one.References)); err != nil {
			return out, fault.New(fault.Failed, planned.Component, "", "docker load: %w", err)
		}
		p.options.Progress.Emit("load", planned.Component, one.Platform)
		out = append(out, one)
	}
	return out, nil
}

// CanLoad reports why no image can be loaded: no docker program, or no daemon that answers.
func (p *Pipeline) CanLoad(ctx context.Context) error {
	_, err := docker{environ: p.options.Environ}.platform(ctx)
	return err
}

// docker runs the docker program, which knows contexts, sockets and remote daemons.
type docker struct{ environ []string }

func (d docker) platform(ctx context.Context) (ocispec.Platform, error) {
	out, err := d.run(ctx, nil, "version", "--format", "{{.Server.Os}}/{{.Server.Arch}}")
	if err != nil {
		return ocispec.Platform{}, fault.New(fault.Usage, "docker daemon",
			"start Docker, or leave out --load: berth builds and publishes without a daemon", "it does not answer: %w", err)
	}
	return image.ParsePlatform(strings.TrimSpace(out))
}

// whole tells whether the daemon keeps images as a registry does: all platforms, under the digest of their index.
func (d docker) whole(ctx context.Context) (bool, error) {
	status, err := d.run(ctx, nil, "info", "--format", "{{json .DriverStatus}}")
	if err != nil {
		return false, fault.New(fault.Usage, "docker daemon", "start Docker, or leave out --load",
			"it does not answer: %w", err)
	}
	return build.ContainerdStore(status), nil
}

// archiver writes an image in the form that the daemon keeps.
func archiver(
	x image.Index, platform ocispec.Platform, whole bool, references []string,
) func(context.Context, io.Writer) error {
	return func(ctx context.Context, w io.Writer) error {
		if whole {
			return image.WriteLayoutArchive(ctx, w, x, references)
		}
		return image.WriteDockerArchive(ctx, w, x, platform, references)
	}
}

func (d docker) load(ctx context.Context, write func(context.Context, io.Writer) error) error {
	reader, writer := io.Pipe()
	go func() { writer.CloseWithError(write(ctx, writer)) }()
	_, err := d.run(ctx, reader, "load", "--quiet")
	if closeErr := reader.CloseWithError(err); err == nil {
		err = closeErr
	}
	return err
}

func (d docker) run(ctx context.Context, stdin io.Reader, args ...string) (string, error) {
	path, err := exec.LookPath("docker")
	if err != nil {
		return "", errors.New("the docker program is not installed")
	}
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = d.environ, stdin, &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%w: %s", err, strings.TrimSpace(stderr.String()))
	}
	return stdout.String(), nil
}
