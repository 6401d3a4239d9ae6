package pipelines

import (
	"context"
	"strings"

	"github.com/berth-sh/berth/pipelines/cloud"
	"github.com/berth-sh/berth/pipelines/registry"
	"github.com/berth-sh/berth/pipelines/retention"
)

// tokenOfQuay names the variable with the OAuth token for Quay's REST API.
const tokenOfQuay = "QUAY_OAUTH_TOKEN"

// githubAPI is where GitHub's packages are looked after.
const githubAPI = "https://api.github.com"

// ecrImages are the images of ECR, by AWS's own API: ECR deletes nothing over the registry API.
type ecrImages interface {
	Images(ctx context.Context, repository string) ([]cloud.Image, error)
	DeleteImage(ctx context.Context, repository, digest string) error
	DeleteTags(ctx context.Context, repository string, tags []string) error
}

// ecrStore is one repository of ECR.
type ecrStore struct {
	images     ecrImages
	repository string
}

// List implements [retention.Lister].
func (s ecrStore) List(ctx context.Context) (retention.Repository, error) {
	out := retention.Repository{Manifests: map[string]retention.Manifest{}, Complete: true}
	images, err := s.images.Images(ctx, s.repository)
	for _, x := range images {
		out.Manifests[x.Digest] = retention.Manifest{Digest: x.Digest, Pushed: x.Pushed}
		for _, tag := range x.Tags {
			out.Tags = append(out.Tags, retention.Tag{Name: tag, Digest: x.Digest, Pushed: x.Pushed})
		}
	}
	return out, err
}

// Remove implements [retention.Remover].
func (s ecrStore) Remove(ctx context.Context, d retention.Deletion) error {
	if d.Manifest {
		return s.images.DeleteImage(ctx, s.repository, d.Digest)
	}
	return s.images.DeleteTags(ctx, s.repository, d.Tags)
}

// ownAPI takes the interface of the registry's own, where there is one and a login for it.
func (p *Pipeline) ownAPI(ctx context.Context, s *store) error {
	host := s.repository.Host()
	name := strings.TrimPrefix(s.repository.String(), host+"/")
	switch s.kind {
	case registry.ECR:
		images, ok := p.repositories.(ecrImages)
		if address, private := registry.ParseECR(host); ok && private && !address.Public {
			store := ecrStore{images, s.repository.String()}
			s.lister, s.remover = store, store
		}
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
