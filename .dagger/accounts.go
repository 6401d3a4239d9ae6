package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"github.com/berth-sh/berth/.dagger/internal/dagger"
	"github.com/berth-sh/berth/pipelines"
	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/registry"
)

// account is a login whose secret is read when a registry is asked, and never otherwise: showing a plan needs no login.
type account struct {
	argument, user string
	secret         *dagger.Secret
}

// logins are accounts by registry host.
type logins map[string]account

// Credential implements [registry.Source].
func (l logins) Credential(ctx context.Context, host string) (registry.Credential, error) {
	a, ok := l[host]
	if !ok {
		return registry.Credential{}, nil
	}
	text, err := plaintext(ctx, a.argument, a.secret)
	text = strings.TrimSpace(text)
	if a.user == registry.GoogleTokenUser && registry.GoogleKey(text) {
		a.user = registry.GoogleKeyUser
	}
	return registry.Credential{Username: a.user, Password: text, Source: a.argument}, err
}

// logins are the accounts of the constructor. Each is for the registries of its kind, and --password for the registry
// of the environment alone.
func (a Accounts) logins(ctx context.Context, p *pipelines.Pipeline, env string) (logins, error) {
	out := logins{}
	for _, r := range p.Config.Registries {
		if found := a.ofKind(r.RegistryKind()); found.secret != nil {
			out[r.Host()] = found
		}
	}
	if a.Password == nil && a.Username == "" {
		return out, nil
	}
	if a.Password == nil || a.Username == "" {
		return nil, fault.New(fault.Usage, "", "give both: --username NAME --password env:TOKEN",
			"username and password go together")
	}
	// What needs an environment says itself why there is none.
	if chosen, err := p.Choose(ctx, env); err == nil {
		out[p.Config.Registries[chosen.Registry].Host()] = account{"--password", a.Username, a.Password}
	}
	return out, nil
}

// ofKind is the account for a kind of registry. GHCR, ECR and Google take a fixed user name with their tokens.
func (a Accounts) ofKind(kind registry.Kind) account {
	switch kind {
	case registry.GHCR:
		user := a.GhcrUsername
		if user == "" {
			user = "x-access-token"
		}
		return account{"--ghcr-token", user, a.GhcrToken}
	case registry.ECR:
		return account{"--ecr-password", "AWS", a.EcrPassword}
	case registry.GCR:
		return account{"--gcr-token", registry.GoogleTokenUser, a.GcrToken}
	case registry.Quay:
		return account{"--quay-token", a.QuayUsername, a.QuayToken}
	default:
		return account{}
	}
}

// dockerConfig is the source of the logins in Docker's configuration, given as a secret.
type dockerConfig struct{ secret *dagger.Secret }

// Credential implements [registry.Source].
func (d dockerConfig) Credential(ctx context.Context, host string) (registry.Credential, error) {
	text, err := plaintext(ctx, "--docker-config", d.secret)
	if err != nil {
		return registry.Credential{}, err
	}
	dir, err := os.MkdirTemp("", "berth-docker-")
	if err != nil {
		return registry.Credential{}, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(text), 0o600); err != nil {
		return registry.Credential{}, err
	}
	lookup := func(name string) (string, bool) {
		if name == "DOCKER_CONFIG" {
			return dir, true
		}
		return "", false
	}
	return registry.DockerConfig(lookup).Credential(ctx, host)
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

// buildSecrets are secrets of builds, by the variables that berth.yaml names: a function does not see the caller's.
type buildSecrets map[string]*dagger.Secret

// forBuilds are the secrets that were given as env:NAME.
func (a Accounts) forBuilds(ctx context.Context) (buildSecrets, error) {
	out := buildSecrets{}
	for _, s := range a.BuildSecrets {
		uri, err := s.URI(ctx)
		if err != nil {
			return nil, err
		}
		name, ok := strings.CutPrefix(uri, "env://")
		if !ok {
			return nil, fault.New(fault.Usage, "--build-secrets", "give each as env:NAME, with the NAME that berth.yaml has",
				"%s does not come from a variable", uri)
		}
		out[name] = s
	}
	return out, nil
}

func (s buildSecrets) has(variable string) bool { return s[variable] != nil }

func (s buildSecrets) read(ctx context.Context, variable string) (text string, ok bool, err error) {
	if !s.has(variable) {
		return "", false, nil
	}
	text, err = plaintext(ctx, "--build-secrets env:"+variable, s[variable])
	return text, err == nil, err
}
