package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"
)

// ErrUnsupported is wrapped by an error when the registry does not offer what was asked for at all, such as deleting
// over the registry API.
var ErrUnsupported = errors.New("not supported by the registry")

// maxError is how much of an error answer is read, in bytes.
const maxError = 8 << 10

// Delete deletes a manifest or index by its digest, and with it every tag that names it. Where the registry has no
// referrers API, a referrer is also taken out of its subject's fallback index. The error wraps [ErrNotFound] when there
// is no such manifest and [ErrUnsupported] when the registry does not delete over its API.
func (r *Repository) Delete(ctx context.Context, reference string) error {
	op := operation{verb: "delete", ref: reference, writes: true}
	if _, err := digest.Parse(reference); err != nil {
		return r.fault(ctx, op, err) // a tag would delete what it names just now
	}
	ctx = r.deleting(ctx)
	body, desc, err := r.Manifest(ctx, reference)
	if err != nil {
		return err
	}
	// Not by oras: it changes the fallback index first, also where the registry then refuses to delete.
	if err := r.delete(ctx, op); err != nil {
		return err
	}
	return r.fault(ctx, op, r.forgetReferrer(ctx, body, desc))
}

// Untag deletes a tag and leaves what it names, as far as the registry can: some delete by digest only. The errors wrap
// [ErrNotFound] and [ErrUnsupported] as those of [Repository.Delete] do.
func (r *Repository) Untag(ctx context.Context, tag string) error {
	op := operation{verb: "delete the tag", ref: tag, writes: true}
	ref := r.remote.Reference
	ref.Reference = tag
	if err := ref.ValidateReferenceAsTag(); err != nil {
		return r.fault(ctx, op, err) // a digest would delete the image
	}
	return r.delete(r.deleting(ctx), op)
}

// delete sends the request.
func (r *Repository) delete(ctx context.Context, op operation) error {
	url := fmt.Sprintf("%s/v2/%s/manifests/%s", r.origin(), r.name, op.ref)
	req, err := http.NewRequestWithContext(ctx, http.MethodDelete, url, http.NoBody)
	if err != nil {
		return r.fault(ctx, op, err)
	}
	resp, err := r.client.auth.Do(req)
	if err != nil {
		return r.fault(ctx, op, err)
	}
	defer func() { _ = resp.Body.Close() }()
	switch resp.StatusCode {
	case http.StatusAccepted, http.StatusOK, http.StatusNoContent:
		return nil
	case http.StatusNotFound:
		return r.fault(ctx, op, errdef.ErrNotFound)
	default:
		return r.deleteFault(ctx, op, answerError(req, resp))
	}
}

// forgetReferrer takes a manifest that was deleted out of its subject's fallback index, where there is one.
func (r *Repository) forgetReferrer(ctx context.Context, manifest []byte, desc ocispec.Descriptor) error {
	var m struct {
		Subject *ocispec.Descriptor `json:"subject"`
	}
	if err := json.Unmarshal(manifest, &m); err != nil || m.Subject == nil {
		return err
	}
	if api, err := r.HasReferrersAPI(ctx); api || err != nil {
		return err
	}
	r.forgetting.Lock()
	defer r.forgetting.Unlock()
	tag := strings.ReplaceAll(m.Subject.Digest.String(), ":", "-")
	body, _, err := r.Manifest(ctx, tag)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	var index ocispec.Index
	if err != nil || json.Unmarshal(body, &index) != nil || index.MediaType != ocispec.MediaTypeImageIndex {
		return err // what is no index was put there by somebody else
	}
	kept := slices.DeleteFunc(index.Manifests, func(d ocispec.Descriptor) bool { return d.Digest == desc.Digest })
	if len(kept) == len(index.Manifests) {
		return nil
	}
	index.Manifests = kept
	if body, err = json.Marshal(index); err != nil {
		return err
	}
	return r.Tag(ctx, body, content.NewDescriptorFromBytes(index.MediaType, body), tag)
}

// deleting asks for every right that registries want for a deletion: the specification has "delete", Quay wants "push",
// and the index of referrers may have to be put. A token server leaves out what it does not know.
func (r *Repository) deleting(ctx context.Context) context.Context {
	return auth.AppendRepositoryScope(ctx, r.remote.Reference, auth.ActionPull, auth.ActionPush, auth.ActionDelete)
}

// deleteFault tells a registry that does not delete at all from a deletion that failed.
func (r *Repository) deleteFault(ctx context.Context, op operation, e *errcode.ErrorResponse) error {
	switch {
	case e.StatusCode == http.StatusMethodNotAllowed, e.StatusCode == http.StatusNotImplemented,
		hasCode(e.Errors, errcode.ErrorCodeUnsupported):
	case !strings.Contains(op.ref, ":") && hasCode(e.Errors, errcode.ErrorCodeDigestInvalid):
		// distribution before its version 3 deletes by digest only, and takes a tag for a bad one.
	default:
		return r.fault(ctx, op, e)
	}
	f := r.newFault(op, "the registry does not delete over its API ("+answer(e.StatusCode, e.Errors)+")",
		errors.Join(ErrUnsupported, e))
	f.Next = fill(deleteHint(r.kind()), r.host, r.name)
	return f
}

// deleteHint says how images are deleted where the registry API does not do it.
func deleteHint(kind Kind) string {
	switch kind {
	case GHCR:
		return "delete it with GitHub's REST API: gh api --method DELETE " +
			"/{orgs|users}/OWNER/packages/container/NAME/versions/ID"
	case ECR:
		return "delete it with AWS's API: aws ecr batch-delete-image --repository-name REPOSITORY --region REGION " +
			"--image-ids imageDigest=DIGEST"
	default:
		return "delete it in the registry's own interface, or allow deleting there (distribution: storage.delete.enabled)"
	}
}
