package main

import (
	"context"
	"net/http"
	"strings"

	"github.com/berth-sh/berth/.dagger/internal/dagger"
	"github.com/berth-sh/berth/pipelines/cloud"
	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/registry"
)

// aws asks AWS with the key of the constructor; nil is no key. The regions are those in the names of registries. What
// AWS's own chain would find in this container is nobody's login, so that it is never asked.
func (b *Berth) aws(transport http.RoundTripper) (*cloud.ECR, error) {
	a := b.Accounts
	switch {
	case a.AwsAccessKeyID == nil && a.AwsSecretAccessKey == nil && a.AwsSessionToken == nil:
		return nil, nil
	case a.AwsAccessKeyID == nil || a.AwsSecretAccessKey == nil:
		return nil, fault.New(fault.Usage, "",
			"give both: --aws-access-key-id env:AWS_ACCESS_KEY_ID --aws-secret-access-key env:AWS_SECRET_ACCESS_KEY",
			"an access key of AWS and its secret go together")
	}
	// Nothing is created at AWS for a registry that a service stands in for.
	if _, ok := registry.ParseECR(b.Settings.RegistryHost); ok && b.Settings.RegistryService != nil {
		return nil, nil
	}
	return cloud.NewECR(cloud.Options{Transport: transport, Keys: a.awsKey}), nil
}

func (a Accounts) awsKey(ctx context.Context) (cloud.Key, error) {
	var key cloud.Key
	for _, part := range []struct {
		argument string
		secret   *dagger.Secret
		to       *string
	}{
		{"--aws-access-key-id", a.AwsAccessKeyID, &key.ID},
		{"--aws-secret-access-key", a.AwsSecretAccessKey, &key.Secret},
		{"--aws-session-token", a.AwsSessionToken, &key.Session},
	} {
		if part.secret == nil {
			continue
		}
		text, err := plaintext(ctx, part.argument, part.secret)
		if err != nil {
			return cloud.Key{}, err
		}
		*part.to = strings.TrimSpace(text)
	}
	return key, nil
}
