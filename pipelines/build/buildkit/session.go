package buildkit

import (
	"context"
	"os"

	"github.com/docker/cli/cli/config/types"
	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/session/auth/authprovider"
	"github.com/moby/buildkit/session/secrets"
	"github.com/moby/buildkit/session/secrets/secretsprovider"
	"github.com/moby/buildkit/session/sshforward/sshprovider"

	"github.com/berth-sh/berth/pipelines/build"
	"github.com/berth-sh/berth/pipelines/registry"
)

// Login gives the account at a registry that base images and caches come from; an empty one is anonymous.
type Login func(ctx context.Context, host string) (registry.Credential, error)

// session is what the daemon may ask this process for during a build: accounts, secrets, SSH agents.
func (b *Builder) session(c build.DockerfileComponent) ([]session.Attachable, error) {
	out := []session.Attachable{
		authprovider.NewDockerAuthProvider(authprovider.DockerAuthProviderConfig{AuthConfigProvider: b.account}),
	}
	if len(c.Secrets) > 0 {
		out = append(out, secretsprovider.NewSecretProvider(store{b.lookup, c.Secrets}))
	}
	if len(c.SSH) == 0 {
		return out, nil
	}
	if err := c.CheckSSH(b.lookup); err != nil {
		return nil, err
	}
	var agents []sshprovider.AgentConfig
	for _, s := range c.SSH {
		paths := s.Paths
		if len(paths) == 0 {
			socket, _ := b.lookup("SSH_AUTH_SOCK")
			paths = []string{socket}
		}
		agents = append(agents, sshprovider.AgentConfig{ID: s.ID, Paths: paths})
	}
	agent, err := sshprovider.NewSSHAgentProvider(agents)
	if err != nil {
		return nil, err
	}
	return append(out, agent), nil
}

func (b *Builder) account(
	ctx context.Context, host string, _ []string, _ authprovider.ExpireCachedAuthCheck,
) (types.AuthConfig, error) {
	if b.login == nil {
		return types.AuthConfig{}, nil
	}
	found, err := b.login(ctx, host)
	if err != nil {
		return types.AuthConfig{}, err
	}
	return types.AuthConfig{
		Username: found.Username, Password: found.Password,
		IdentityToken: found.IdentityToken, RegistryToken: found.AccessToken,
	}, nil
}

// store reads secrets when a step asks for them.
type store struct {
	lookup func(string) (string, bool)
	all    []build.Secret
}

func (s store) GetSecret(_ context.Context, id string) ([]byte, error) {
	for _, secret := range s.all {
		if secret.ID != id {
			continue
		}
		if secret.Env != "" {
			value, _ := s.lookup(secret.Env)
			return []byte(value), nil
		}
		return os.ReadFile(secret.File)
	}
	return nil, secrets.ErrNotFound
}
