package registry

import (
	"context"
	"errors"
	"net/http"

	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"

	"github.com/berth-sh/berth/pipelines/fault"
)

// Host tells whether the text names a registry's host, with or without a port, and nothing below it.
func Host(text string) bool { return validHost(text) }

// Ping asks a host for the base of the registry API, with the login of the host. An error tells what is wrong: nothing
// answers, what answers is no registry, or it refuses the login.
func (c *Client) Ping(ctx context.Context, host string) error {
	if !validHost(host) {
		return fault.New(fault.Usage, host, "write it as ghcr.io or localhost:5000", "it is not a registry's host")
	}
	reg, err := remote.NewRegistry(host)
	if err != nil {
		return &fault.Error{Subject: host, Err: err, Code: fault.Usage}
	}
	reg.Client = c.auth
	reg.PlainHTTP = c.plain(host)
	err = reg.Ping(ctx)
	return (&Repository{client: c, host: host}).fault(ctx, operation{verb: "log in to"}, err)
}

// Credential is the login in use at a host. It sends no request to the registry, but may ask a credential helper or a
// cloud for one.
func (c *Client) Credential(ctx context.Context, host string) (Credential, error) {
	cred, err := c.credentials.For(ctx, host)
	if err == nil || ctx.Err() != nil {
		return cred, err
	}
	if f, ok := errors.AsType[*fault.Error](err); ok {
		return cred, f
	}
	return cred, &fault.Error{Op: "read the credentials for", Subject: host, Err: err, Code: fault.Credentials}
}

// Login tries the login of a host, and returns it when the registry takes it. There must be one: an anonymous login is
// refused with what the sources say about it.
func (c *Client) Login(ctx context.Context, host string) (Credential, error) {
	cred, err := c.Credential(ctx, host)
	if err != nil {
		return Credential{}, err
	}
	if cred.Anonymous() {
		return Credential{}, (&Repository{client: c, host: host}).noLogin(ctx)
	}
	if err := CheckForm(host, cred); err != nil {
		return Credential{}, err
	}
	return cred, c.Ping(ctx, host)
}

func (r *Repository) noLogin(ctx context.Context) error {
	f := r.newFault(operation{verb: "log in to"}, "there are no credentials for it", nil)
	f.Code, f.Next = fault.Credentials, r.loginHint(ctx, r.kind().hints())
	return f
}

// CanPush asks whether the login may write: it begins an upload and cancels it. Nothing is left, but for registries
// that create a repository when one may push to it.
func (r *Repository) CanPush(ctx context.Context) error {
	op := operation{verb: "begin an upload to", writes: true}
	ctx = auth.AppendRepositoryScope(ctx, r.remote.Reference, auth.ActionPull, auth.ActionPush)
	begin := r.origin() + "/v2/" + r.name + "/blobs/uploads/"
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, begin, http.NoBody)
	if err != nil {
		return r.fault(ctx, op, err)
	}
	resp, err := r.client.auth.Do(req)
	if err != nil {
		return r.fault(ctx, op, err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusAccepted {
		return r.fault(ctx, op, answerError(req, resp))
	}
	// Where an upload cannot be cancelled, the registry forgets it by itself.
	place, err := req.URL.Parse(resp.Header.Get("Location"))
	if err != nil || place.Host != req.URL.Host {
		return nil
	}
	cancel, err := http.NewRequestWithContext(ctx, http.MethodDelete, place.String(), http.NoBody)
	if err != nil {
		return nil
	}
	if cancelled, err := r.client.auth.Do(cancel); err == nil {
		_ = cancelled.Body.Close()
	}
	return nil
}
