package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"
)

// The sizes of pieces, in bytes. A piece is kept in memory, so that it can be sent again, and eight may be under way.
// The smallest is a quarter of nginx's default limit of a request, 1 MiB.
const (
	largestChunk  = 8 << 20
	smallestChunk = 256 << 10
)

// chunkSizes remembers the hosts that limit the size of a request, and the size of piece that they took.
type chunkSizes struct {
	mu    sync.Mutex
	hosts map[string]int64
}

// of is the size for a host, 0 when no limit was met there.
func (c *chunkSizes) of(host string) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.hosts[host]
}

// limit notes that a host refused a request of so many bytes, and returns the size of piece to try next; 0 when even
// the smallest piece is refused.
func (c *chunkSizes) limit(host string, refused int64) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	size := c.hosts[host]
	if size == 0 {
		size = largestChunk
	}
	for size >= refused {
		size /= 2
	}
	if size < smallestChunk {
		return 0
	}
	if c.hosts == nil {
		c.hosts = map[string]int64{}
	}
	c.hosts[host] = size
	return size
}

// tooLarge tells whether the registry, or a proxy in front of it, refused a request for its size.
func tooLarge(err error) bool {
	e, ok := errors.AsType[*errcode.ErrorResponse](err)
	return ok && e.StatusCode == http.StatusRequestEntityTooLarge
}

// send sends a blob, in one request or in pieces where the host is known to limit requests.
func (d *destination) send(ctx context.Context, desc ocispec.Descriptor, body io.Reader) error {
	chunks := &d.repository.client.chunks
	if size := chunks.of(d.repository.host); size > 0 && desc.Size > size {
		return d.sendChunks(ctx, desc, body)
	}
	// The bare reader hides its type, so that nothing below seeks it and sends it into the broken session.
	err := d.remote.Push(ctx, desc, struct{ io.Reader }{body})
	if !tooLarge(err) || chunks.limit(d.repository.host, desc.Size) == 0 {
		return err
	}
	again, fetchErr := d.src.Fetch(ctx, desc)
	if fetchErr != nil {
		return fetchErr
	}
	defer func() { _ = again.Close() }()
	return d.sendChunks(ctx, desc, again)
}

// sendChunks uploads a blob in pieces.
// Source: https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-a-blob-in-chunks
func (d *destination) sendChunks(ctx context.Context, desc ocispec.Descriptor, body io.Reader) error {
	r := d.repository
	ctx = auth.AppendRepositoryScope(ctx, r.remote.Reference, auth.ActionPull, auth.ActionPush)
	at, err := url.Parse(r.origin() + "/v2/" + r.name + "/blobs/uploads/")
	if err != nil {
		return err
	}
	if at, err = r.step(ctx, http.MethodPost, at, nil, "", http.StatusAccepted); err != nil {
		return err
	}
	for sent := int64(0); sent < desc.Size; {
		// A new one each time, because net/http may still read the old one for a moment after an early answer, such as a
		// refusal of its size.
		piece := make([]byte, min(desc.Size-sent, r.client.chunks.of(r.host)))
		if _, err := io.ReadFull(body, piece); err != nil {
			return fmt.Errorf("read %s: %w", desc.Digest, err)
		}
		if at, err = r.sendPiece(ctx, at, piece, sent); err != nil {
			return err
		}
		sent += int64(len(piece))
	}
	q := at.Query()
	q.Set("digest", desc.Digest.String())
	at.RawQuery = q.Encode()
	_, err = r.step(ctx, http.MethodPut, at, nil, "", http.StatusCreated)
	return err
}

// sendPiece sends what belongs at an offset, in smaller pieces when it is too large for the host.
func (r *Repository) sendPiece(ctx context.Context, at *url.URL, piece []byte, offset int64) (*url.URL, error) {
	for len(piece) > 0 {
		n := min(int64(len(piece)), r.client.chunks.of(r.host))
		place := fmt.Sprintf("%d-%d", offset, offset+n-1)
		next, err := r.step(ctx, http.MethodPatch, at, piece[:n], place, http.StatusAccepted)
		switch {
		case err == nil:
			at, piece, offset = next, piece[n:], offset+n
		case tooLarge(err) && r.client.chunks.limit(r.host, n) > 0:
		default:
			return nil, err
		}
	}
	return at, nil
}

// step is one request of an upload. It returns where the next one goes.
func (r *Repository) step(
	ctx context.Context, method string, at *url.URL, body []byte, place string, want int,
) (*url.URL, error) {
	req, err := http.NewRequestWithContext(ctx, method, at.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if place != "" {
		req.Header.Set("Content-Type", "application/octet-stream")
		req.Header.Set("Content-Range", place)
		req.Header.Set("Content-Length", strconv.Itoa(len(body)))
	}
	resp, err := r.client.auth.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != want {
		return nil, answerError(req, resp)
	}
	next, err := at.Parse(resp.Header.Get("Location"))
	if err != nil {
		return nil, err
	}
	// The login goes along, so that the upload must not lead elsewhere.
	if next.Hostname() != at.Hostname() || next.Scheme != at.Scheme {
		return nil, fmt.Errorf("the upload leads to %s://%s, which is not the registry", next.Scheme, next.Host)
	}
	return next, nil
}
