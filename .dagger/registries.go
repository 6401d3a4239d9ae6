package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/berth-sh/berth/.dagger/internal/dagger"
	"github.com/berth-sh/berth/pipelines"
)

// Ask registries whether they are as berth.yaml says: reachable, logged in, writable
//
// Nothing is published: an upload is begun and cancelled. A check that fails fails the call, and the report is then
// among the progress on standard error.
//
// Example: dagger call --ghcr-token env:GITHUB_TOKEN registry-check --env dev
//
// +cache="never"
func (b *Berth) RegistryCheck(
	ctx context.Context,
	// Registries of berth.yaml by name; default: all, or that of --env.
	// +optional
	registries []string,
	// Environment of berth.yaml: only its registry, and what it promises.
	// +optional
	env string,
	// How the result is written.
	// +default="table"
	format Format,
) (string, error) {
	return with(ctx, b, env, func(o *opened) (string, error) {
		found, err := o.pipeline.CheckRegistries(ctx, pipelines.CheckRequest{Registries: registries, Environment: env})
		if err != nil {
			return "", err
		}
		text, err := write(format, found, found.Text)
		if err != nil {
			return "", err
		}
		if err := found.Err(); err != nil {
			// A function that fails returns nothing else.
			fmt.Fprint(os.Stderr, o.relative(text))
			return "", err
		}
		return text, nil
	})
}

// Make the Kubernetes secret to pull an environment's images with, from the login at its registry
//
// It is given out as a secret, which only plaintext prints: hand that to kubectl by a pipe. Where a cluster needs no
// secret it is comments that say so. Give a login that may only read.
//
// Example: dagger call --username ada --password env:TOKEN pull-secret --env dev plaintext | kubectl apply -f -
//
// +cache="never"
func (b *Berth) PullSecret(
	ctx context.Context,
	// Environment of berth.yaml; default: the one whose refs match the git ref best.
	// +optional
	env string,
	// Namespace of the pods; default: kubectl's own.
	// +optional
	namespace string,
	// Name of the secret; default: the registry's kind and -secret.
	// +optional
	name string,
	// Take a login that soon ends, such as ECR's of 12 hours.
	// +optional
	shortLived bool,
	// How the secret is written: as YAML (table), or as the same object in JSON.
	// +default="table"
	format Format,
) (*dagger.Secret, error) {
	return with(ctx, b, env, func(o *opened) (*dagger.Secret, error) {
		secret, err := o.pipeline.PullSecret(ctx, pipelines.PullSecretRequest{
			Environment: env, Namespace: namespace, Name: name, ShortLived: shortLived,
		})
		if err != nil {
			return nil, err
		}
		text, err := write(format, secret, secret.YAML)
		if err != nil {
			return nil, err
		}
		// The engine keeps a secret under its name: those for different clusters have different ones.
		return dag.SetSecret(strings.Join([]string{"berth", "pull-secret", secret.Host, namespace, name}, "/"), text), nil
	})
}
