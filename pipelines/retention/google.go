package retention

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/berth-sh/berth/pipelines/registry"
)

// Google reads the list of tags of Artifact Registry and its gcr.io repositories, which holds every manifest with its
// tags and times.
// Source: https://pkg.go.dev/github.com/google/go-containerregistry/pkg/v1/google#Tags
type Google struct {
	Repository interface {
		RawTags(ctx context.Context) ([]byte, error)
	}
}

// List implements [Lister]. The error wraps registry.ErrUnsupported when the list holds the names alone.
func (g Google) List(ctx context.Context) (Repository, error) {
	out := Repository{Manifests: map[string]Manifest{}, Complete: true}
	body, err := g.Repository.RawTags(ctx)
	if err != nil {
		return out, err
	}
	var list struct {
		Manifest map[string]struct {
			Tags     []string `json:"tag"`
			Uploaded string   `json:"timeUploadedMs"`
		} `json:"manifest"`
	}
	if err := json.Unmarshal(body, &list); err != nil || list.Manifest == nil {
		return out, fmt.Errorf("the list of tags has no manifests: %w", registry.ErrUnsupported)
	}
	for digest, m := range list.Manifest {
		one := Manifest{Digest: digest}
		if ms, err := strconv.ParseInt(m.Uploaded, 10, 64); err == nil && ms > 0 {
			one.Pushed = time.UnixMilli(ms)
		}
		out.Manifests[digest] = one
		for _, tag := range m.Tags {
			// The time is that of the manifest: a tag that was moved to an older one looks older than it is.
			out.Tags = append(out.Tags, Tag{Name: tag, Digest: digest, Pushed: one.Pushed})
		}
	}
	return out, nil
}
