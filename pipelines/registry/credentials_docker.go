package registry

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"time"

	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/credentials"

	"github.com/berth-sh/berth/pipelines/fault"
)

// DockerConfig reads Docker's configuration as Docker does: DOCKER_AUTH_CONFIG, which holds logins itself, and then
// config.json with the credential helpers that it names. That file's folder is DOCKER_CONFIG or ~/.docker of the
// injected environment. A missing file has no credentials.
// Source: https://docs.docker.com/reference/cli/docker/#environment-variables
func DockerConfig(lookup func(string) (string, bool)) Source {
	content, _ := lookup(dockerAuth)
	return dockerConfig{content: content, path: dockerFile(lookup)}
}

// dockerAuth is a variable with the content of a config.json.
const dockerAuth = "DOCKER_AUTH_CONFIG"

// dockerFile is the path of config.json, "" when there is no home.
func dockerFile(lookup func(string) (string, bool)) string {
	if dir, _ := lookup("DOCKER_CONFIG"); dir != "" {
		return filepath.Join(dir, "config.json")
	}
	for _, name := range []string{"HOME", "USERPROFILE"} {
		if home, _ := lookup(name); home != "" {
			return filepath.Join(home, ".docker", "config.json")
		}
	}
	return ""
}

type dockerConfig struct{ content, path string }

func (d dockerConfig) Credential(ctx context.Context, host string) (Credential, error) {
	if d.content != "" {
		store, err := credentials.NewMemoryStoreFromDockerConfig([]byte(d.content))
		if err != nil {
			// The parser's words may repeat what it could not read, and that is a secret.
			return Credential{}, fault.New(fault.Credentials, dockerAuth,
				`set it to {"auths":{"HOST":{"auth":"BASE64 OF USER:PASSWORD"}}}, or unset it`, "it is no configuration of Docker")
		}
		if found, err := stored(ctx, store, host, dockerAuth); err != nil || !found.Anonymous() {
			return found, err
		}
	}
	if d.path == "" {
		return Credential{}, nil
	}
	store, err := credentials.NewStore(d.path, credentials.StoreOptions{})
	if errors.Is(err, fs.ErrNotExist) {
		return Credential{}, nil
	}
	if err != nil {
		return Credential{}, credentialsFault(host, d.path, err)
	}
	return stored(ctx, store, host, d.path)
}

// stored asks a store for the login of a host, under every name that Docker gives it.
func stored(ctx context.Context, store credentials.Store, host, source string) (Credential, error) {
	for _, name := range dockerNames(host) {
		found, err := store.Get(ctx, name)
		if err != nil {
			if ctx.Err() != nil {
				return Credential{}, context.Cause(ctx)
			}
			return Credential{}, credentialsFault(host, source, err)
		}
		if found != auth.EmptyCredential {
			return Credential{
				Username: found.Username, Password: found.Password, IdentityToken: found.RefreshToken,
				AccessToken: found.AccessToken, Source: source, Expires: expiry(host, found.Username, found.Password),
			}, nil
		}
	}
	return Credential{}, nil
}

// expiry is when a token of ECR ends, as the token itself says: a login of yesterday must not stand before a chain that
// can get one of today. It is zero for whatever else a password is, as AWS promises nothing about the form.
func expiry(host, user, password string) time.Time {
	if KindOf(host) != ECR || user != "AWS" {
		return time.Time{}
	}
	text, err := base64.StdEncoding.DecodeString(password)
	var token struct {
		Expiration int64 `json:"expiration"`
	}
	if err != nil || json.Unmarshal(text, &token) != nil || token.Expiration <= 0 {
		return time.Time{}
	}
	return time.Unix(token.Expiration, 0)
}

// dockerNames are the keys under which Docker's configuration may keep the login of a host, the one that Docker writes
// first.
func dockerNames(host string) []string {
	names := []string{credentials.ServerAddressFromRegistry(accountHost(host))}
	if !slices.Contains(names, host) {
		names = append(names, host)
	}
	return names
}
