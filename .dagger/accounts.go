package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/berth-sh/berth/.dagger/internal/dagger"
	"github.com/berth-sh/berth/pipelines"
	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/registry"
)

// explicit reads the accounts of the constructor. Each is for the registries of its kind, and --password for the
// registry of the environment alone.
func (a Accounts) explicit(ctx context.Context, p *pipelines.Pipeline, env string) (registry.Explicit, error) {
	out := registry.Explicit{}
	for _, r := range p.Config.Registries {
		host, _, _ := strings.Cut(r.Prefix, "/")
		kind := registry.KindOf(host)
		if r.Kind != "" {
			kind = registry.Kind(r.Kind)
		}
		user, secret := a.ofKind(kind)
		if err := add(ctx, out, host, user, secret); err != nil {
			return nil, err
		}
	}
	if a.Password == nil && a.Username == "" {
		return out, nil
	}
	if a.Password == nil || a.Username == "" {
		return nil, fault.New(fault.Usage, "", "give both: --username NAME --password env:TOKEN",
			"username and password go together")
	}
	chosen, err := p.Choose(ctx, env)
	if err != nil {
		return nil, err
	}
	host, _, _ := strings.Cut(chosen.Prefix, "/")
	return out, add(ctx, out, host, a.Username, a.Password)
}

// ofKind is the account for a kind of registry. ECR and Google have fixed user names for their tokens.
func (a Accounts) ofKind(kind registry.Kind) (user string, secret *dagger.Secret) {
	switch kind {
	case registry.GHCR:
		if a.GhcrUsername == "" {
			return "x-access-token", a.GhcrToken
		}
		return a.GhcrUsername, a.GhcrToken
	case registry.ECR:
		return "AWS", a.EcrPassword
	case registry.GCR:
		return "oauth2accesstoken", a.GcrToken
	case registry.Quay:
		return a.QuayUsername, a.QuayToken
	default:
		return "", nil
	}
}

func add(ctx context.Context, to registry.Explicit, host, user string, secret *dagger.Secret) error {
	if secret == nil {
		return nil
	}
	text, err := secret.Plaintext(ctx)
	if err != nil {
		return fmt.Errorf("the secret for %s: %w", host, err)
	}
	if text = strings.TrimSpace(text); text == "" {
		return fault.New(fault.Usage, host, "give a secret with a value, for example env:GITHUB_TOKEN", "the secret for it is empty")
	}
	to[host] = registry.Credential{Username: user, Password: text, Source: "dagger secret"}
	return nil
}
