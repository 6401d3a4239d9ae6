package build

import (
	"context"
	"slices"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/berth-sh/berth/pipelines/dockerfile"
	"github.com/berth-sh/berth/pipelines/fault"
)

// logIn gives the engine's session the accounts at the registries of the images that a build takes. The engine asks the
// Dagger CLI for those of Docker's configuration by itself, but knows no other that berth has. It takes a user name
// with a password; an account that is a token alone is left out.
func (e *Engine) logIn(ctx context.Context, b *dockerBuild, platforms []ocispec.Platform) error {
	if e.options.Login == nil {
		return nil
	}
	bases, err := b.file.Bases(dockerfile.Inputs{Target: b.component.Target, Args: b.args, Platforms: platforms})
	if err != nil {
		return err
	}
	var hosts []string
	for _, base := range bases {
		host, _, _ := strings.Cut(base.Repository, "/")
		if slices.Contains(hosts, host) {
			continue
		}
		hosts = append(hosts, host)
		account, err := e.options.Login(ctx, host)
		if err != nil {
			return err
		}
		if account.Username == "" || account.Password == "" {
			continue
		}
		password := e.client.SetSecret("berth login "+host, account.Password)
		if _, err := e.client.Container().WithRegistryAuth(host, account.Username, password).ID(ctx); err != nil {
			return engineFault(err)
		}
	}
	return nil
}

// unpulled is the fault of an image that a registry does not hand out, or nil.
func unpulled(c DockerfileComponent, err error) error {
	image, login, ok := refused(err.Error())
	if !ok {
		return nil
	}
	return &fault.Error{
		Op: "build", Subject: c.Name, Code: fault.Credentials, Err: err, Next: refusedNext(image, login),
	}
}
