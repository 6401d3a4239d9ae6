package retention

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/berth-sh/berth/pipelines/registry"
)

// githubPage is how many versions GitHub gives at once.
const githubPage = 100

// GitHub lists and deletes the versions of a container package over GitHub's REST API: GHCR deletes nothing over the
// registry API. Each manifest is a version, the platforms of an index too, and a version goes with all its tags. It
// needs a token with read:packages and delete:packages.
// Source: https://docs.github.com/rest/packages/packages
type GitHub struct {
	API API
	// Repository below ghcr.io, for example acme/web: the owner and the package.
	Repository string

	mu   sync.Mutex
	base string           // the path of the package, "" before it was looked up
	ids  map[string]int64 // versions by digest
}

// List implements [Lister].
func (g *GitHub) List(ctx context.Context) (Repository, error) {
	out := Repository{Manifests: map[string]Manifest{}, Complete: true}
	base, err := g.path(ctx)
	if err != nil {
		return out, err
	}
	ids := map[string]int64{}
	for page := 1; ; page++ {
		var got []struct {
			ID       int64     `json:"id"`
			Digest   string    `json:"name"`
			Created  time.Time `json:"created_at"`
			Updated  time.Time `json:"updated_at"`
			Metadata struct {
				Container struct {
					Tags []string `json:"tags"`
				} `json:"container"`
			} `json:"metadata"`
		}
		path := fmt.Sprintf("%s/versions?state=active&per_page=%d&page=%d", base, githubPage, page)
		if err := g.API.do(ctx, http.MethodGet, path, "list the versions of "+g.Repository, &got); err != nil {
			return out, err
		}
		for _, v := range got {
			ids[v.Digest] = v.ID
			out.Manifests[v.Digest] = Manifest{Digest: v.Digest, Pushed: v.Created}
			for _, tag := range v.Metadata.Container.Tags {
				// A tag may have come later than its version; the later time keeps it longer.
				out.Tags = append(out.Tags, Tag{Name: tag, Digest: v.Digest, Pushed: later(v.Created, v.Updated)})
			}
		}
		if len(got) < githubPage {
			break
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ids = ids
	return out, nil
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// path finds out whether the owner is an organisation or a person, which have different addresses.
func (g *GitHub) path(ctx context.Context) (string, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.base != "" {
		return g.base, nil
	}
	owner, name, _ := strings.Cut(g.Repository, "/")
	var who struct {
		Type string `json:"type"`
	}
	err := g.API.do(ctx, http.MethodGet, "/users/"+url.PathEscape(owner), "look up "+owner, &who)
	if err != nil {
		return "", err
	}
	kind := "users"
	if who.Type == "Organization" {
		kind = "orgs"
	}
	g.base = "/" + kind + "/" + url.PathEscape(owner) + "/packages/container/" + url.PathEscape(name)
	return g.base, nil
}

// Remove implements [Remover].
func (g *GitHub) Remove(ctx context.Context, d Deletion) error {
	if !d.Manifest {
		return fmt.Errorf("GitHub deletes a version with all its tags: %w", registry.ErrUnsupported)
	}
	g.mu.Lock()
	id, known := g.ids[d.Digest]
	g.mu.Unlock()
	if !known {
		return nil // not listed, and so gone
	}
	base, err := g.path(ctx)
	if err != nil {
		return err
	}
	return absent(g.API.do(ctx, http.MethodDelete, fmt.Sprintf("%s/versions/%d", base, id),
		"delete "+g.Repository+"@"+short(d.Digest), nil))
}
