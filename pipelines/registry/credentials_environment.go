package registry

import (
	"context"
	"strings"
)

// OwnChains are the sources that the kinds have of their own, for their own hosts alone: GITHUB_TOKEN for GHCR, the
// job's login in GitLab CI, a service principal for Azure, an access token for Google.
func OwnChains(lookup func(string) (string, bool)) []Source {
	return []Source{GitHubToken(lookup), GitLabJob(lookup), AzurePrincipal(lookup), GoogleToken(lookup)}
}

// GitHubToken logs in to GHCR with GITHUB_TOKEN or GH_TOKEN, as GITHUB_ACTOR or GITHUB_USERNAME. GHCR checks only the
// token, so that any user name does.
func GitHubToken(lookup func(string) (string, bool)) Source {
	return environment(func(host string) Credential {
		if KindOf(host) != GHCR {
			return Credential{}
		}
		source, token := first(lookup, "GITHUB_TOKEN", "GH_TOKEN")
		_, user := first(lookup, "GITHUB_ACTOR", "GITHUB_USERNAME")
		if user == "" {
			user = "x-access-token"
		}
		return of(user, token, source)
	})
}

// GitLabJob logs in as the job of GitLab CI to the registry that the job is told of, CI_REGISTRY, and to no other: the
// token of one GitLab is no business of another.
// Source: https://docs.gitlab.com/ci/variables/predefined_variables/
func GitLabJob(lookup func(string) (string, bool)) Source {
	return environment(func(host string) Credential {
		if _, own := first(lookup, "CI_REGISTRY"); own == "" || !strings.EqualFold(own, host) {
			return Credential{}
		}
		_, user := first(lookup, "CI_REGISTRY_USER")
		source, password := first(lookup, "CI_REGISTRY_PASSWORD")
		if user != "" && password != "" {
			return of(user, password, source)
		}
		source, token := first(lookup, "CI_JOB_TOKEN")
		return of(jobUser, token, source)
	})
}

// jobUser is the user name that goes with a CI_JOB_TOKEN.
const jobUser = "gitlab-ci-token"

// AzurePrincipal logs in to Azure's registries as the service principal of AZURE_CLIENT_ID and AZURE_CLIENT_SECRET.
// Source: https://learn.microsoft.com/azure/container-registry/container-registry-auth-service-principal
func AzurePrincipal(lookup func(string) (string, bool)) Source {
	return environment(func(host string) Credential {
		if KindOf(host) != ACR {
			return Credential{}
		}
		_, user := first(lookup, "AZURE_CLIENT_ID")
		source, secret := first(lookup, "AZURE_CLIENT_SECRET")
		if user == "" {
			return Credential{}
		}
		return of(user, secret, source)
	})
}

// GoogleToken logs in to Google's registries with the access token in CLOUDSDK_AUTH_ACCESS_TOKEN, the variable that
// gcloud reads one from.
// Source: https://docs.cloud.google.com/sdk/docs/authorizing#auth-access-token
func GoogleToken(lookup func(string) (string, bool)) Source {
	return environment(func(host string) Credential {
		if KindOf(host) != GCR {
			return Credential{}
		}
		source, token := first(lookup, "CLOUDSDK_AUTH_ACCESS_TOKEN")
		return of(GoogleTokenUser, token, source)
	})
}

// The user names that Google's registries take, each with its own form of password.
// Source: https://docs.cloud.google.com/artifact-registry/docs/docker/authentication
const (
	// GoogleTokenUser goes with an access token, which lives an hour.
	GoogleTokenUser = "oauth2accesstoken"
	// GoogleKeyUser goes with the JSON of a service account's key.
	GoogleKeyUser = "_json_key"
	// GoogleKeyUser64 goes with that JSON in base64.
	GoogleKeyUser64 = "_json_key_base64"
)

// environment is a source that only reads variables.
type environment func(host string) Credential

func (e environment) Credential(_ context.Context, host string) (Credential, error) {
	return e(host), nil
}

// of is a credential with a password, anonymous without one.
func of(user, password, source string) Credential {
	if password == "" {
		return Credential{}
	}
	return Credential{Username: user, Password: password, Source: source}
}

// first is the first of the variables that has a value.
func first(lookup func(string) (string, bool), names ...string) (name, value string) {
	for _, n := range names {
		if v, _ := lookup(n); strings.TrimSpace(v) != "" {
			return n, strings.TrimSpace(v)
		}
	}
	return "", ""
}
