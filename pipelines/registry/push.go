package registry

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"
)

// Uploaded counts what a push really sent. What was there already, or was mounted, does not count.
type Uploaded struct {
	Blobs     int   `json:"blobs"`
	Bytes     int64 `json:"bytes"` // of the blobs, without manifests
	Manifests int   `json:"manifests"`
}

// PushOptions adjust one push.
type PushOptions struct {
	// Mounts lets the pushes of one run share blobs; nil mounts nothing.
	Mounts *Mounts
	// Progress, when not nil, is told what happened to each piece of content. It may be called from several
	// goroutines at once. What is below a manifest that was present is not told.
	Progress func(desc ocispec.Descriptor, event Event)
	// Known, when not nil, answers whether the repository has a piece of content where that is known, or where asking is
	// not worth a request: what is sent twice does no harm.
	Known func(desc ocispec.Descriptor) (there, known bool)
	// Guess says that Known only guesses that blobs are missing. Who is the first of a run to send one makes sure.
	Guess bool
	// Concurrency is the number of pieces under way; 0 is 8.
	Concurrency int
}

// defaultPieces is the number of pieces of one push under way.
const defaultPieces = 8

// Event is what happened to a piece of content during a push.
type Event string

// The events of a push.
const (
	Present Event = "present"
	Mounted Event = "mounted"
	Sent    Event = "sent"
)

// Push sends the graph under root by digest, children before parents and no tag. Nothing is sent that the repository
// has: when it has root, that is one request. The count is valid also when an error is returned.
func (r *Repository) Push(ctx context.Context, src content.ReadOnlyStorage, root ocispec.Descriptor,
	o PushOptions,
) (Uploaded, error) {
	if o.Concurrency == 0 {
		o.Concurrency = defaultPieces
	}
	// Asking for the right to push at once saves a second token for the requests that only look.
	scoped := auth.AppendRepositoryScope(ctx, r.remote.Reference, auth.ActionPull, auth.ActionPush)
	d := &destination{repository: r, remote: r.remote, src: src, options: o}
	err := oras.CopyGraph(scoped, src, d, root, oras.CopyGraphOptions{
		Concurrency: o.Concurrency,
		OnCopySkipped: func(_ context.Context, desc ocispec.Descriptor) error {
			d.tell(desc, Present)
			return nil
		},
	})
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.sent, r.fault(ctx, operation{verb: "push", ref: root.Digest.String(), writes: true}, err)
}

// destination decorates the remote repository for one push: it counts, mounts, and sends blobs again.
type destination struct {
	repository *Repository
	remote     *remote.Repository
	src        content.ReadOnlyStorage
	options    PushOptions

	mu   sync.Mutex
	sent Uploaded
}

// Exists implements content.ReadOnlyStorage.
func (d *destination) Exists(ctx context.Context, desc ocispec.Descriptor) (bool, error) {
	if d.options.Known != nil {
		if there, known := d.options.Known(desc); known {
			return there, nil
		}
	}
	ok, err := d.remote.Exists(ctx, desc)
	if ok && d.options.Mounts != nil && !isManifest(desc) {
		d.options.Mounts.found(d.repository.host, desc.Digest, d.repository.name)
	}
	return ok, err
}

// Fetch implements content.ReadOnlyStorage.
func (d *destination) Fetch(ctx context.Context, desc ocispec.Descriptor) (io.ReadCloser, error) {
	return d.remote.Fetch(ctx, desc)
}

// Push implements content.Pusher.
func (d *destination) Push(ctx context.Context, desc ocispec.Descriptor, body io.Reader) error {
	if isManifest(desc) {
		if err := d.remote.Push(ctx, desc, body); err != nil {
			return err
		}
		d.count(desc, Uploaded{Manifests: 1})
		return nil
	}
	if d.options.Mounts == nil {
		return d.upload(ctx, desc, body)
	}
	from, settle, err := d.options.Mounts.claim(ctx, d.repository.host, desc.Digest)
	switch {
	case err != nil:
		return err
	case from == d.repository.name:
		// Another push of this run into the same repository sent it after this one had looked.
		d.tell(desc, Present)
		return nil
	case from != "":
		return d.mount(ctx, desc, from, body)
	}
	err = d.upload(ctx, desc, body)
	if err != nil {
		settle("")
		return err
	}
	settle(d.repository.name)
	return nil
}

// errNotMounted stops oras after a registry answered a mount with an upload session.
var errNotMounted = errors.New("not mounted")

// mount takes the blob over from another repository of the host. A registry that will not mount says 202, or refuses
// because a token covers one repository only; neither is a failure: the blob is uploaded.
func (d *destination) mount(ctx context.Context, desc ocispec.Descriptor, from string, body io.Reader) error {
	err := d.remote.Mount(ctx, desc, from, func() (io.ReadCloser, error) { return nil, errNotMounted })
	if err == nil {
		d.tell(desc, Mounted)
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return d.upload(ctx, desc, body)
}

// upload sends a blob, again from its start and in a new session when the transfer broke. The transport cannot do
// that, because a body is read only once.
func (d *destination) upload(ctx context.Context, desc ocispec.Descriptor, body io.Reader) error {
	policy := d.repository.client.policy
	refused := false
	for attempt := 0; ; attempt++ {
		there, err := d.attempt(ctx, desc, body, d.options.Guess && attempt == 0)
		switch {
		case there:
			d.tell(desc, Present)
			return nil
		case err == nil:
			d.count(desc, Uploaded{Blobs: 1, Bytes: desc.Size})
			return nil
		}
		asked, again := brokenUpload(err)
		// A login that expired between the beginning and the end of an upload is renewed by beginning again. A second
		// refusal is meant.
		if !again && !refused && expiredInUpload(err) {
			again, refused = true, true
		}
		if !again || attempt+1 >= policy.Attempts || ctx.Err() != nil {
			return err
		}
		if err := policy.sleep(ctx, attempt, asked); err != nil {
			return err
		}
		// A new reader, because net/http may still read the old one for a moment after it failed.
		reader, err := d.src.Fetch(ctx, desc)
		if err != nil {
			return err
		}
		defer func() { _ = reader.Close() }()
		body = reader
	}
}

// attempt sends a blob once. One that was guessed to be missing is sent only if it is.
func (d *destination) attempt(
	ctx context.Context, desc ocispec.Descriptor, body io.Reader, guessed bool,
) (there bool, err error) {
	switch {
	case desc.Size > smallBlob:
		if guessed {
			if there, err := d.remote.Exists(ctx, desc); there || err != nil {
				return there, err
			}
		}
		end, err := d.repository.client.uploads.begin(ctx, d.repository.host, desc.Size)
		if err != nil {
			return false, err
		}
		defer end()
	case guessed:
		sent, err := d.askAndSend(ctx, desc, body)
		if err == nil || sent {
			return !sent, err
		}
	}
	if late, ok := body.(*lateBlob); ok {
		late.begin()
	}
	return false, d.send(ctx, desc, body)
}

// askAndSend asks whether the repository has a blob and begins to upload it by one request: it mounts the blob from the
// repository itself. A registry that does not mount takes it again, which does no harm: it is small.
func (d *destination) askAndSend(ctx context.Context, desc ocispec.Descriptor, body io.Reader) (sent bool, err error) {
	err = d.remote.Mount(ctx, desc, d.repository.name, func() (io.ReadCloser, error) {
		sent = true
		if late, ok := body.(*lateBlob); ok {
			// Not while the upload holds a place in the budget of requests that this may need.
			if _, err := late.opened(); err != nil {
				return nil, err
			}
		}
		return io.NopCloser(body), nil
	})
	return sent, err
}

// brokenUpload tells whether sending the body failed in a way that may pass, and the wait that was asked for (negative
// for none). Failures of other requests were retried by the transport already.
func brokenUpload(err error) (asked time.Duration, again bool) {
	if p, ok := errors.AsType[*pauseError](err); ok {
		return p.wait, !p.tooLong
	}
	if e, ok := errors.AsType[*errcode.ErrorResponse](err); ok {
		// The registry lost the session, as one of several servers behind a balancer may.
		return -1, e.StatusCode == http.StatusRequestedRangeNotSatisfiable || e.Method != http.MethodPost &&
			(hasCode(e.Errors, errcode.ErrorCodeBlobUploadUnknown) || hasCode(e.Errors, errcode.ErrorCodeBlobUploadInvalid))
	}
	// Any failure without an answer: net/http has no type for some of them ("server closed idle connection"), and to
	// send a blob once more does no harm.
	if e, ok := errors.AsType[*url.Error](err); ok {
		return -1, (e.Op == "Put" || e.Op == "Patch") && !errors.Is(err, context.Canceled)
	}
	return -1, false
}

// expiredInUpload tells whether the body was refused because of who sends it, after the registry had begun the upload.
func expiredInUpload(err error) bool {
	if errors.Is(err, errRenewed) {
		return true
	}
	e, ok := errors.AsType[*errcode.ErrorResponse](err)
	return ok && e.Method != http.MethodPost && e.StatusCode == http.StatusUnauthorized
}

func (d *destination) count(desc ocispec.Descriptor, u Uploaded) {
	d.mu.Lock()
	d.sent.Blobs += u.Blobs
	d.sent.Bytes += u.Bytes
	d.sent.Manifests += u.Manifests
	d.mu.Unlock()
	d.tell(desc, Sent)
}

func (d *destination) tell(desc ocispec.Descriptor, event Event) {
	if d.options.Progress != nil {
		d.options.Progress(desc, event)
	}
}
