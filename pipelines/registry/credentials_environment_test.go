package registry_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/registry"
)

// Each variable is for the hosts of its kind: the token of one registry must never reach another.
func TestOwnChainsAreForTheirOwnHosts(t *testing.T) {
	t.Parallel()
	gitlab := map[string]string{
		"CI_REGISTRY": "registry.gitlab.example.com:5050", "CI_REGISTRY_USER": "job", "CI_REGISTRY_PASSWORD": "p",
		"CI_JOB_TOKEN": "t",
	}
	job := map[string]string{"CI_REGISTRY": "registry.gitlab.com", "CI_JOB_TOKEN": "t"}
	all := map[string]string{
		"GITHUB_TOKEN": "t", "CI_REGISTRY": "registry.gitlab.com", "CI_JOB_TOKEN": "t", "AZURE_CLIENT_ID": "id",
		"AZURE_CLIENT_SECRET": "s", "CLOUDSDK_AUTH_ACCESS_TOKEN": "t",
	}
	for name, c := range map[string]struct {
		env        map[string]string
		host, want string
	}{
		"gitlab":               {gitlab, "registry.gitlab.example.com:5050", "job:[redacted] from CI_REGISTRY_PASSWORD"},
		"another gitlab":       {gitlab, "registry.gitlab.com", "anonymous"},
		"job token":            {job, "registry.gitlab.com", "gitlab-ci-token:[redacted] from CI_JOB_TOKEN"},
		"no CI_REGISTRY":       {map[string]string{"CI_JOB_TOKEN": "t"}, "registry.gitlab.com", "anonymous"},
		"azure":                {all, "acme.azurecr.io", "id:[redacted] from AZURE_CLIENT_SECRET"},
		"azure without a name": {map[string]string{"AZURE_CLIENT_SECRET": "s"}, "acme.azurecr.io", "anonymous"},
		"google":               {all, "europe-west1-docker.pkg.dev", "oauth2accesstoken:[redacted] from CLOUDSDK_AUTH_ACCESS_TOKEN"},
		"gcr.io":               {all, "gcr.io", "oauth2accesstoken:[redacted] from CLOUDSDK_AUTH_ACCESS_TOKEN"},
		"nothing for quay":     {all, "quay.io", "anonymous"},
		"nothing for any":      {all, "registry.example.com", "anonymous"},
		"nothing for hub":      {all, "docker.io", "anonymous"},
		"nothing for a look-alike": {
			all, "ghcr.io.example.com", "anonymous",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := registry.NewCredentials(registry.OwnChains(environment(c.env))...).For(t.Context(), c.host)
			if err != nil || got.String() != c.want {
				t.Errorf("%v, %v, want %s", got, err, c.want)
			}
		})
	}
}

// The hosts of Docker Hub have one login, whichever name it was given or is asked by.
func TestDockerHubHasOneLogin(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"https://index.docker.io/v1/", "docker.io"} {
		env := environment(map[string]string{"DOCKER_CONFIG": dockerConfig(t, `{"auths":{"`+key+`":{"auth":"aHViOnNlY3JldA=="}}}`)})
		c := registry.NewCredentials(registry.DefaultSources(nil, env)...)
		for _, host := range []string{"docker.io", "index.docker.io", "registry-1.docker.io"} {
			if got, err := c.For(t.Context(), host); got.Username != "hub" || err != nil {
				t.Errorf("%s: %v, %v", host, got, err)
			}
		}
	}
	byHand := registry.NewCredentials(registry.Explicit{"docker.io": {Username: "hand", Password: "p"}})
	if got, err := byHand.For(t.Context(), "index.docker.io"); got.Username != "hand" || err != nil {
		t.Errorf("%v, %v", got, err)
	}
}

func TestDockerAuthConfig(t *testing.T) {
	t.Parallel()
	file := dockerConfig(t, `{"auths":{"quay.io":{"auth":"ZG9ja2VyOnNlY3JldA=="},"ghcr.io":{"auth":"ZG9ja2VyOnNlY3JldA=="}}}`)
	env := map[string]string{
		"DOCKER_CONFIG":      file,
		"DOCKER_AUTH_CONFIG": `{"auths":{"quay.io":{"username":"acme+ci","password":"secret"}}}`,
	}
	c := registry.NewCredentials(registry.DefaultSources(nil, environment(env))...)
	if got, err := c.For(t.Context(), "quay.io"); got.String() != "acme+ci:[redacted] from DOCKER_AUTH_CONFIG" || err != nil {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := c.For(t.Context(), "ghcr.io"); got.Username != "docker" || err != nil {
		t.Errorf("what the variable does not have comes from the file: %v, %v", got, err)
	}
	for _, broken := range []string{"hunter2", `{"auths":"hunter2"}`, `{"auths":{"quay.io":{"auth":"hunter2"}}}`} {
		env := environment(map[string]string{"DOCKER_AUTH_CONFIG": broken})
		_, err := registry.NewCredentials(registry.DefaultSources(nil, env)...).For(t.Context(), "quay.io")
		if fault.CodeOf(err) != fault.Credentials || strings.Contains(err.Error()+fault.NextOf(err), "hunter2") {
			t.Errorf("%s: %v", broken, err)
		}
	}
}

// Docker keeps yesterday's token of ECR. It must not stand before a chain that can get one of today.
func TestAnExpiredTokenInDockersConfigurationIsPassedOver(t *testing.T) {
	t.Parallel()
	const host = "339954290315.dkr.ecr.us-west-2.amazonaws.com"
	end := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	token := base64.StdEncoding.EncodeToString(fmt.Appendf(nil, `{"payload":"x","type":"DATA_KEY","expiration":%d}`, end.Unix()))
	auth := base64.StdEncoding.EncodeToString([]byte("AWS:" + token))
	env := environment(map[string]string{"DOCKER_CONFIG": dockerConfig(t, `{"auths":{"`+host+`":{"auth":"`+auth+`"}}}`)})
	for now, want := range map[time.Time]string{end.Add(-time.Hour): token, end: "fresh"} {
		c := registry.NewCredentialsAt(func() time.Time { return now }, registry.DockerConfig(env),
			registry.Explicit{host: {Username: "AWS", Password: "fresh"}})
		if got, err := c.For(t.Context(), host); err != nil || got.Password != want {
			t.Errorf("at %s: %s, %v", now, got.Password, err)
		}
	}
	alone := registry.NewCredentialsAt(func() time.Time { return end }, registry.DockerConfig(env))
	if got, err := alone.For(t.Context(), host); err != nil || !strings.Contains(got.Note, "expired at 2026-01-02T03:04:05Z") {
		t.Errorf("%v %q, %v", got, got.Note, err)
	}
}
