package registry

import (
	"context"
	"errors"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/registry/remote"
)

// ErrNotFound is wrapped by an error only when the registry said 404: the tag, digest or repository is not there.
var ErrNotFound = errors.New("not found")

// Repository is one repository of a registry. It is safe for concurrent use.
type Repository struct {
	client *Client
	host   string
	name   string
	remote *remote.Repository
}

// Uploaded counts what a push really sent. What was there already, or was mounted, does not count.
type Uploaded struct {
	Blobs     int   `json:"blobs"`
	Bytes     int64 `json:"bytes"`
	Manifests int   `json:"manifests"`
}

// PushOptions adjust one push.
type PushOptions struct {
	// Mounts lets the pushes of one run share blobs; nil mounts nothing.
	Mounts *Mounts
	// Progress, when not nil, is told the bytes of each blob that were sent or found to be there. It may be called
	// from several goroutines.
	Progress func(desc ocispec.Descriptor, event Event)
	// Concurrency is the number of blobs under way; 0 is 8.
	Concurrency int
}

// Event is what happened to a piece of content during a push.
type Event string

// The events of a push.
const (
	Present Event = "present"
	Mounted Event = "mounted"
	Sent    Event = "sent"
)

// String is the full name, "host/repository".
func (r *Repository) String() string { return r.host + "/" + r.name }

// Push sends the graph under root by digest, children first. Nothing is sent that the repository has.
func (r *Repository) Push(ctx context.Context, src content.ReadOnlyStorage, root ocispec.Descriptor,
	o PushOptions) (Uploaded, error) {
	return Uploaded{}, errors.ErrUnsupported
}

// Repository returns the repository "host/name".
func (c *Client) Repository(name string) (*Repository, error) { return nil, errors.ErrUnsupported }

// NewClient returns a client.
func NewClient(o Options) *Client { return &Client{options: o} }

// Resolve asks for the descriptor of a tag or digest.
func (r *Repository) Resolve(ctx context.Context, ref string) (ocispec.Descriptor, error) {
	return ocispec.Descriptor{}, errors.ErrUnsupported
}

// Manifest reads a manifest or index by tag or digest.
func (r *Repository) Manifest(ctx context.Context, ref string) ([]byte, ocispec.Descriptor, error) {
	return nil, ocispec.Descriptor{}, errors.ErrUnsupported
}

// Tag puts the manifest's bytes under a tag.
func (r *Repository) Tag(ctx context.Context, manifest []byte, desc ocispec.Descriptor, tag string) error {
	return errors.ErrUnsupported
}

// Tags lists every tag, in the registry's order.
func (r *Repository) Tags(ctx context.Context) ([]string, error) { return nil, errors.ErrUnsupported }

// Account is the user name of the credential in use, "" when anonymous.
func (r *Repository) Account(ctx context.Context) (string, error) { return "", errors.ErrUnsupported }
