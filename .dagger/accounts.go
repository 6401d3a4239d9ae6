package main

import (
	"context"
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
		argument, user, secret := a.ofKind(kind)
		if err := add(ctx, out, host, argument, user, secret); err != nil {
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
	return out, add(ctx, out, host, "--password", a.Username, a.Password)
}

// ofKind is the account for a kind of registry, and the argument that has its secret. ECR and Google have
// fixed user names for their tokens.
func (a Accounts) ofKind(kind registry.Kind) (argument, user string, secret *dagger.Secret) {
	switch kind {
	case registry.GHCR:
		if a.GhcrUsername == "" {
			return "--ghcr-token", "x-access-token", a.GhcrToken
		}
		return "--ghcr-token", a.GhcrUsername, a.GhcrToken
	case registry.ECR:
		return "--ecr-password", "AWS", a.EcrPassword
	case registry.GCR:
		return "--gcr-token", "oauth2accesstoken", a.GcrToken
	case registry.Quay:
		return "--quay-token", a.QuayUsername, a.QuayToken
	default:
		return "", "", nil
	}
}

func add(ctx context.Context, to registry.Explicit, host, argument, user string, secret *dagger.Secret) error {
	if secret == nil {
		return nil
	}
	text, err := plaintext(ctx, argument, secret)
	if err != nil {
		return err
	}
	to[host] = registry.Credential{Username: user, Password: strings.TrimSpace(text), Source: argument}
	return nil
}

// plaintext reads the secret of an argument. An empty one is as good as none, and says so before a registry refuses it.
func plaintext(ctx context.Context, argument string, secret *dagger.Secret) (string, error) {
	next := "give a secret that exists and has a value: env:NAME, file:PATH or cmd:COMMAND"
	text, err := secret.Plaintext(ctx)
	if err != nil {
		return "", fault.New(fault.Credentials, argument, next, "the secret cannot be read: %s",
			strings.TrimPrefix(err.Error(), "rpc error: code = Unknown desc = "))
	}
	if strings.TrimSpace(text) == "" {
		return "", fault.New(fault.Credentials, argument, next, "the secret is empty")
	}
	return text, nil
}
