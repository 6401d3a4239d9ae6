package pipelines

import (
	"context"
	"strings"

	"github.com/berth-sh/berth/pipelines/registry"
	"github.com/berth-sh/berth/pipelines/retention"
)

// tokenOfQuay names the variable with the OAuth token for Quay's REST API.
const tokenOfQuay = "QUAY_OAUTH_TOKEN"

// githubAPI is where GitHub's packages are looked after.
const githubAPI = "https://api.github.com"

// ownAPI takes the interface of the registry's own, where there is one and a login for it.
func (p *Pipeline) ownAPI(ctx context.Context, s *store) error {
	host := s.repository.Host()
	name := strings.TrimPrefix(s.repository.String(), host+"/")
	switch s.kind {
	case registry.Quay:
		token, _ := p.options.Lookup(tokenOfQuay)
		if token = strings.TrimSpace(token); token == "" {
			return nil // the registry API does without
		}
		quay := retention.Quay{Repository: name, API: retention.API{
			Client: p.client.HTTP(), Base: "https://" + host, Token: token,
			Login: "set " + tokenOfQuay + " to the token of an OAuth application with the right to write to the repository",
		}}
		s.lister, s.remover = quay, quay
	case registry.GHCR:
		login, err := p.client.Credential(ctx, host)
		if err != nil || login.Password == "" {
			return err
		}
		github := &retention.GitHub{Repository: name, API: retention.API{
			Client: p.client.HTTP(), Base: githubAPI, Token: login.Password,
			Login: "use a classic token with read:packages and delete:packages, or in GitHub Actions give the job " +
				"permissions: {packages: write} and the package's admin role to the repository",
		}}
		s.lister, s.remover = github, github
	case registry.GCR:
		s.lister = retention.Google{Repository: s.repository}
		s.remover = retention.TagsFirst{Repository: s.repository}
	}
	return nil
}
