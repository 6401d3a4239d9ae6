package pipelines

import (
	"context"

	"github.com/berth-sh/berth/pipelines/plan"
	"github.com/berth-sh/berth/pipelines/registry"
)

// PullSecretRequest says for which environment a pull secret is, and how it is called.
type PullSecretRequest struct {
	// Environment by name; empty chooses by the git ref.
	Environment string
	// Name and Namespace of the secret; empty names take defaults.
	Name, Namespace string
	// ShortLived takes a password that soon ends.
	ShortLived bool
}

// PullSecret makes the secret with which a cluster pulls the images of an environment, from the login in use at its
// registry, which the registry must take. The result holds a password.
func (p *Pipeline) PullSecret(ctx context.Context, r PullSecretRequest) (registry.PullSecret, error) {
	chosen, err := p.Choose(ctx, r.Environment)
	if err != nil {
		return registry.PullSecret{}, err
	}
	if err := plan.RequireSet(p.Config, chosen); err != nil {
		return registry.PullSecret{}, err
	}
	target := p.Config.Registries[chosen.Registry]
	cred, err := p.client.Credential(ctx, target.Host())
	if err != nil {
		return registry.PullSecret{}, err
	}
	secret, err := registry.NewPullSecret(target.Host(), cred, registry.PullSecretOptions{
		Name: r.Name, Namespace: r.Namespace, Kind: target.RegistryKind(), ShortLived: r.ShortLived,
	})
	if err != nil || !secret.Needed() {
		return secret, err
	}
	// A secret with a wrong password would be found out by pods that do not start.
	_, err = p.client.Login(ctx, target.Host())
	return secret, err
}
