package registry

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
)

// Copier copies graphs of manifests and blobs from one repository to another, byte for byte. Blobs stream through, or
// are mounted within one registry; manifests are read once. What the copier itself has read or written is not asked
// for again. It is safe for concurrent use, and made for one run.
type Copier struct {
	from, to *Repository
	mounts   *Mounts

	mu    sync.Mutex
	read  map[digest.Digest][]byte
	known map[digest.Digest]bool // manifests that the target has for sure, or had not when it was asked
}

// NewCopier returns a copier between two repositories. The copiers of one run share mounts.
func NewCopier(from, to *Repository, mounts *Mounts) *Copier {
	return &Copier{from: from, to: to, mounts: mounts, read: map[digest.Digest][]byte{}, known: map[digest.Digest]bool{}}
}

// From is the source.
func (c *Copier) From() *Repository { return c.from }

// To is the target.
func (c *Copier) To() *Repository { return c.to }

// Find resolves a tag or digest at the source by reading the manifest, which [Copier.Read] then has already. Docker Hub
// counts each manifest that is read against a limit, and looks are free there.
// Source: https://docs.docker.com/docker-hub/usage/pulls/
func (c *Copier) Find(ctx context.Context, ref string) (ocispec.Descriptor, error) {
	if c.from.kind() == DockerHub {
		return c.from.Resolve(ctx, ref)
	}
	raw, desc, err := c.from.Manifest(ctx, ref)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.read[desc.Digest] = raw
	return desc, nil
}

// Look asks whether the target has a manifest, so that [Copier.Copy] need not.
func (c *Copier) Look(ctx context.Context, desc ocispec.Descriptor) error {
	_, err := c.there(ctx, desc)
	return err
}

// there tells whether the target has a manifest, by what is known or by asking.
func (c *Copier) there(ctx context.Context, desc ocispec.Descriptor) (bool, error) {
	if c.from.String() == c.to.String() {
		return true, nil
	}
	c.mu.Lock()
	there, known := c.known[desc.Digest]
	c.mu.Unlock()
	if known {
		return there, nil
	}
	there, err := c.to.Exists(ctx, desc)
	if err != nil {
		return false, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.known[desc.Digest] = there
	return there, nil
}

// Read reads a manifest or a small blob, such as an image's configuration, at the source and verifies its digest. It is
// kept in memory, so that copying does not read it again.
func (c *Copier) Read(ctx context.Context, desc ocispec.Descriptor) ([]byte, error) {
	c.mu.Lock()
	raw, ok := c.read[desc.Digest]
	c.mu.Unlock()
	if ok {
		return raw, nil
	}
	raw, err := c.readOnce(ctx, desc)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.read[desc.Digest] = raw
	return raw, nil
}

func (c *Copier) readOnce(ctx context.Context, desc ocispec.Descriptor) ([]byte, error) {
	if isManifest(desc) {
		raw, _, err := c.from.Manifest(ctx, desc.Digest.String())
		return raw, err
	}
	op := operation{verb: "read", ref: desc.Digest.String()}
	if desc.Size > maxManifest {
		return nil, c.from.fault(ctx, op, errors.New("the blob is too large to be read into memory"))
	}
	body, err := c.from.Fetch(ctx, desc)
	if err != nil {
		return nil, err
	}
	raw, err := content.ReadAll(body, desc)
	_ = body.Close() // it was read to its end
	return raw, c.from.fault(ctx, op, err)
}

// Copy brings a manifest and everything below it to the target, children first and no tag. A manifest that is there is
// complete: registries take one only after what it names. Nothing is copied within one repository.
func (c *Copier) Copy(ctx context.Context, root ocispec.Descriptor) (Uploaded, error) {
	if there, err := c.there(ctx, root); there || err != nil {
		return Uploaded{}, err
	}
	return c.send(ctx, root)
}

// send copies a manifest that the target lacks.
func (c *Copier) send(ctx context.Context, root ocispec.Descriptor) (Uploaded, error) {
	return c.to.Push(ctx, source{c}, root, PushOptions{
		Mounts: c.mounts,
		Known:  c.answer,
		Guess:  true,
		Progress: func(desc ocispec.Descriptor, _ Event) {
			if isManifest(desc) {
				c.know(desc.Digest)
			}
		},
	})
}

// answer says what need not be asked of the target. A manifest that is sent again does no harm, and below a root that
// is missing most are. About a blob the target is asked when it is to be sent; to mount it from elsewhere is one
// request, as to ask is.
func (c *Copier) answer(desc ocispec.Descriptor) (there, known bool) {
	if isManifest(desc) {
		return c.isKnown(desc.Digest), true
	}
	if c.from.host == c.to.host {
		c.mounts.found(c.to.host, desc.Digest, c.from.name)
	}
	return false, true
}

func (c *Copier) isKnown(d digest.Digest) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.known[d]
}

func (c *Copier) know(d digest.Digest) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.known[d] = true
}

// source is what a copier gives to a push: manifests from memory, blobs opened when they are first read.
type source struct{ c *Copier }

// Exists implements content.ReadOnlyStorage.
func (s source) Exists(ctx context.Context, desc ocispec.Descriptor) (bool, error) {
	return s.c.from.Exists(ctx, desc)
}

// Fetch implements content.ReadOnlyStorage.
func (s source) Fetch(ctx context.Context, desc ocispec.Descriptor) (io.ReadCloser, error) {
	s.c.mu.Lock()
	raw, ok := s.c.read[desc.Digest]
	s.c.mu.Unlock()
	if !ok && isManifest(desc) {
		var err error
		if raw, err = s.c.Read(ctx, desc); err != nil {
			return nil, err
		}
		ok = true
	}
	if ok {
		return io.NopCloser(bytes.NewReader(raw)), nil
	}
	return &lateBlob{open: sync.OnceValues(func() (io.ReadCloser, error) { return s.c.from.Fetch(ctx, desc) })}, nil
}

// lateBlob is a blob that the source is asked for only when it is needed: one that is mounted is not.
type lateBlob struct {
	open  func() (io.ReadCloser, error)
	begun atomic.Bool
	// using keeps Close from a Read: net/http may still read a body when the answer to its request is there already.
	using sync.Mutex
}

// begin asks the source in the background, while the target opens an upload.
func (b *lateBlob) begin() {
	if b.begun.CompareAndSwap(false, true) {
		go func() { _, _ = b.open() }() // Read reports the error
	}
}

// opened asks the source, unless that was done, and waits for its answer.
func (b *lateBlob) opened() (io.ReadCloser, error) {
	b.begun.Store(true)
	return b.open()
}

// Read implements io.Reader.
func (b *lateBlob) Read(p []byte) (int, error) {
	body, err := b.opened()
	if err != nil {
		return 0, err
	}
	b.using.Lock()
	defer b.using.Unlock()
	return body.Read(p)
}

// Close implements io.Closer.
func (b *lateBlob) Close() error {
	if !b.begun.Load() {
		return nil
	}
	body, err := b.open()
	if err != nil {
		return nil // Read has reported it, and there is nothing to close
	}
	b.using.Lock()
	defer b.using.Unlock()
	return body.Close()
}
