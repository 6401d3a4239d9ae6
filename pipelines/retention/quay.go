package retention

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// quayPage is how many tags Quay gives at once.
const quayPage = 100

// Quay lists and deletes tags over Quay's REST API, which needs an OAuth token: robots and passwords are for the
// registry API only. It deletes tags alone: Quay itself takes what no tag needs any more, after the time in which a tag
// can be restored.
// Source: https://docs.quay.io/api/
type Quay struct {
	API API
	// Repository below the host, for example acme/web.
	Repository string
}

type quayTags struct {
	Tags []struct {
		Name   string `json:"name"`
		Digest string `json:"manifest_digest"`
		Start  int64  `json:"start_ts"`
		End    int64  `json:"end_ts"`
	} `json:"tags"`
	More bool `json:"has_additional"`
}

// List implements [Lister].
func (q Quay) List(ctx context.Context) (Repository, error) {
	out := Repository{TagsOnly: true}
	for page := 1; ; page++ {
		var got quayTags
		path := fmt.Sprintf("/api/v1/repository/%s/tag/?limit=%d&page=%d&onlyActiveTags=true", q.Repository, quayPage, page)
		if err := q.API.do(ctx, http.MethodGet, path, "list the tags of "+q.Repository, &got); err != nil {
			return out, err
		}
		for _, t := range got.Tags {
			tag := Tag{Name: t.Name, Digest: t.Digest, Pushed: time.Unix(t.Start, 0)}
			if t.End > 0 {
				tag.Expires = time.Unix(t.End, 0)
			}
			out.Tags = append(out.Tags, tag)
		}
		if !got.More || len(got.Tags) == 0 {
			return out, nil
		}
	}
}

// Remove implements [Remover].
func (q Quay) Remove(ctx context.Context, d Deletion) error {
	for _, tag := range d.Tags {
		path := "/api/v1/repository/" + q.Repository + "/tag/" + url.PathEscape(tag)
		err := q.API.do(ctx, http.MethodDelete, path, "delete "+q.Repository+":"+tag, nil)
		if err := absent(err); err != nil {
			return err
		}
	}
	return nil
}
