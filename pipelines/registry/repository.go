package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote"

	"github.com/berth-sh/berth/pipelines/fault"
)

// ErrNotFound is wrapped by an error only when the registry said 404: the tag, digest or repository is not there.
var ErrNotFound = errors.New("not found")

// maxManifest is the largest manifest that is read, in bytes; registries agree on 4 MiB.
const maxManifest = 4 << 20

// Repository is one repository of a registry. It is safe for concurrent use.
type Repository struct {
	client *Client
	host   string
	name   string
	remote *remote.Repository
	api    *referrersAPI // shared with the repositories beside it
	// forgetting is held while a referrer is taken out of a fallback index, which is read and then written.
	forgetting sync.Mutex
}

// String is the full name, "host/repository".
func (r *Repository) String() string { return strings.TrimSuffix(r.host+"/"+r.name, "/") }

// Host is the registry's host, with its port.
func (r *Repository) Host() string { return r.host }

// Resolve asks for the descriptor of a tag or digest without reading it. The error wraps [ErrNotFound] only when the
// registry said 404.
func (r *Repository) Resolve(ctx context.Context, ref string) (ocispec.Descriptor, error) {
	desc, err := r.remote.Resolve(ctx, ref)
	return desc, r.fault(ctx, operation{verb: "look up", ref: ref}, err)
}

// Manifest reads a manifest or index by tag or digest and verifies its digest.
func (r *Repository) Manifest(ctx context.Context, ref string) ([]byte, ocispec.Descriptor, error) {
	policy := r.client.policy
	for attempt := 0; ; attempt++ {
		body, desc, err := r.readManifest(ctx, ref)
		if err == nil {
			return body, desc, nil
		}
		// The transport repeats requests, but cannot repeat an answer that broke off while it was read.
		_, request := errors.AsType[*url.Error](err)
		if request || !transient(err) || attempt+1 >= policy.Attempts || ctx.Err() != nil {
			return nil, ocispec.Descriptor{}, r.fault(ctx, operation{verb: "read", ref: ref}, err)
		}
		if err := policy.sleep(ctx, attempt, -1); err != nil {
			return nil, ocispec.Descriptor{}, err
		}
	}
}

func (r *Repository) readManifest(ctx context.Context, ref string) ([]byte, ocispec.Descriptor, error) {
	desc, reader, err := r.remote.FetchReference(ctx, ref)
	if err != nil {
		return nil, ocispec.Descriptor{}, err
	}
	defer func() { _ = reader.Close() }()
	if desc.Size > maxManifest {
		return nil, ocispec.Descriptor{}, fmt.Errorf("the manifest has %d bytes; at most %d are read", desc.Size, maxManifest)
	}
	body, err := content.ReadAll(reader, desc)
	return body, desc, err
}

// Tag puts the manifest's bytes under a tag; the tag moves when it exists. The manifest must be in the repository's
// format already: the very bytes are sent.
func (r *Repository) Tag(ctx context.Context, manifest []byte, desc ocispec.Descriptor, tag string) error {
	op := operation{verb: "tag", ref: tag, writes: true}
	if got := digest.FromBytes(manifest); got != desc.Digest {
		return r.fault(ctx, op, fmt.Errorf("the manifest has digest %s, not %s", got, desc.Digest))
	}
	err := r.remote.PushReference(ctx, desc, bytes.NewReader(manifest), tag)
	if err == nil {
		return nil
	}
	if !isImmutable(err) {
		return r.fault(ctx, op, err)
	}
	// A lost answer makes the transport put the tag again, and ECR and Quay refuse an immutable tag even with the
	// same digest. Then the registry has what was wanted.
	now, lookErr := r.remote.Resolve(ctx, tag)
	switch {
	case lookErr == nil && now.Digest == desc.Digest:
		return nil
	case lookErr == nil:
		f := r.newFault(op, fmt.Sprintf("the registry keeps it at %s and refuses %s (%s)", now.Digest, desc.Digest,
			answered(err)), err)
		f.Code, f.Next = fault.Refused, "publish under a new version"
		return f
	case errors.Is(lookErr, errdef.ErrNotFound):
		f := r.newFault(op, "the registry refuses a tag of this name ("+answered(err)+")", err)
		f.Next = "look at the registry's rules for tags"
		return f
	default:
		return r.fault(ctx, op, err)
	}
}

// Tags lists every tag, in the registry's order. The error wraps [ErrNotFound] when the registry does not know the
// repository.
func (r *Repository) Tags(ctx context.Context) ([]string, error) {
	var all []string
	err := r.remote.Tags(ctx, "", func(page []string) error {
		all = append(all, page...)
		return nil
	})
	if err != nil {
		return nil, r.fault(ctx, operation{verb: "list the tags of"}, err)
	}
	return all, nil
}

// Account is the user name of the credential in use at this host, "" when anonymous. It sends no request.
func (r *Repository) Account(ctx context.Context) (string, error) {
	cred, err := r.client.Credential(ctx, r.host)
	return cred.Username, err
}

// isManifest tells content that goes to the manifest endpoint from blobs, by media type.
func isManifest(desc ocispec.Descriptor) bool {
	switch desc.MediaType {
	case ocispec.MediaTypeImageManifest, ocispec.MediaTypeImageIndex,
		"application/vnd.docker.distribution.manifest.v2+json",
		"application/vnd.docker.distribution.manifest.list.v2+json",
		"application/vnd.oci.artifact.manifest.v1+json":
		return true
	default:
		return false
	}
}
