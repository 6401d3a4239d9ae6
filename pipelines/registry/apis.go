package registry

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote/auth"
)

// maxTagList bounds a list of tags with what a registry adds to it, in bytes.
const maxTagList = 256 << 20

// HTTP is the client for interfaces of a registry beside the registry API, such as GitHub's and Quay's REST APIs. It
// has the same budget of requests and the same retries, and logs in nowhere by itself.
func (c *Client) HTTP() *http.Client { return c.auth.auth.Client }

// origin is the address that the registry is reached at.
func (r *Repository) origin() string {
	if r.remote.PlainHTTP {
		return "http://" + r.remote.Reference.Host()
	}
	return "https://" + r.remote.Reference.Host()
}

// RawTags reads the list of tags as the registry wrote it, because some say more than the names: Artifact Registry adds
// digests and times. The error wraps [ErrNotFound] when the registry does not know the repository.
func (r *Repository) RawTags(ctx context.Context) ([]byte, error) {
	op := operation{verb: "list the tags of"}
	ctx = auth.AppendRepositoryScope(ctx, r.remote.Reference, auth.ActionPull)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet,
		fmt.Sprintf("%s/v2/%s/tags/list", r.origin(), r.name), http.NoBody)
	if err != nil {
		return nil, r.fault(ctx, op, err)
	}
	resp, err := r.client.auth.Do(req)
	if err != nil {
		return nil, r.fault(ctx, op, err)
	}
	defer func() { _ = resp.Body.Close() }()
	switch resp.StatusCode {
	case http.StatusOK:
		body, err := io.ReadAll(io.LimitReader(resp.Body, maxTagList))
		return body, r.fault(ctx, op, err)
	case http.StatusNotFound:
		return nil, r.fault(ctx, op, errdef.ErrNotFound)
	default:
		return nil, r.fault(ctx, op, answerError(req, resp))
	}
}
