package registry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"

	"github.com/berth-sh/berth/pipelines/fault"
)

// answered fills in the fault for an answer of the registry, or of its token server.
func (r *Repository) answered(ctx context.Context, f *fault.Error, op operation, e *errcode.ErrorResponse) {
	hints := r.kind().hints()
	ours := e.URL != nil && strings.HasPrefix(e.URL.Path, "/v2/"+r.name+"/")
	switch status := e.StatusCode; {
	case r.loginRefused(ctx, e, ours):
		f.Code, f.Next = fault.Credentials, r.loginHint(ctx, hints)
	case r.rightMissing(e):
		f.Code, f.Next = fault.Credentials, fill(hints.write, r.host, r.name)
		if r.anonymous(ctx) {
			f.Next = r.loginHint(ctx, hints)
		}
	case status == http.StatusNotFound && ours && op.writes, hasCode(e.Errors, errcode.ErrorCodeNameUnknown) && op.writes:
		f.Err = cause{"the repository does not exist (" + f.Err.Error() + ")", errors.Join(ErrNotFound, e)}
		f.Next = fill(hints.missing, r.host, r.name)
	case status == http.StatusNotFound && ours:
		f.Err = cause{f.Err.Error(), errors.Join(ErrNotFound, e)}
	case status == http.StatusRequestEntityTooLarge:
		f.Next = "raise the size limit of uploads at the registry or at the proxy in front of it " +
			"(nginx: client_max_body_size 0)"
	case status == http.StatusProxyAuthRequired:
		f.Code, f.Next = fault.Unavailable, nextProxyLogin
	case status == http.StatusInsufficientStorage:
		f.Code, f.Retryable = fault.Unavailable, true
		f.Next = "the registry has no space left; free some there, then run the same command again"
	case status == http.StatusNotImplemented, status == http.StatusHTTPVersionNotSupported:
		f.Code = fault.Unavailable
	case status >= 500, transientStatus(status):
		f.Code, f.Retryable, f.Next = fault.Unavailable, true, r.laterHint(ctx, status)
	case isImmutable(e):
		f.Code = fault.Refused
		f.Next = "the registry keeps this tag as it is; publish under a new version"
	default:
		f.Next = "check that " + r.host + " is a container registry that takes what was asked of it"
	}
}

// nextProxyLogin is the next step after a proxy's 407.
const nextProxyLogin = "give the proxy's account in its address: HTTPS_PROXY=http://USER:PASSWORD@PROXY:PORT"

// kind is the registry's.
func (r *Repository) kind() Kind { return r.client.kind(r.host) }

// loginRefused tells that the registry does not take the credential itself, rather than what was to be done with it.
//
// Registries with a token server refuse a password there: with 401, GHCR and GitLab with 403. When the token server
// gave a token and the registry refuses that, the account lacks a right. ECR has no token server and answers 400 to
// what is no token of its own, without a code where the answer has no body (public.ecr.aws, to one that expired).
func (r *Repository) loginRefused(ctx context.Context, e *errcode.ErrorResponse, ours bool) bool {
	switch e.StatusCode {
	case http.StatusUnauthorized:
		return !ours || !r.hasToken(ctx) || r.anonymous(ctx)
	case http.StatusForbidden:
		return !ours && e.URL != nil && !strings.HasPrefix(e.URL.Path, "/v2/"+r.name)
	case http.StatusBadRequest:
		return r.kind() == ECR && (len(e.Errors) == 0 || hasCode(e.Errors, errcode.ErrorCodeDenied))
	default:
		return false
	}
}

// rightMissing tells that the account was taken, but may not do this.
func (r *Repository) rightMissing(e *errcode.ErrorResponse) bool {
	switch e.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		return true
	case http.StatusTooManyRequests, http.StatusPreconditionFailed: // Harbor's 412 DENIED is a quota or an immutable tag
		return false
	default:
		return hasCode(e.Errors, errcode.ErrorCodeDenied) || hasCode(e.Errors, errcode.ErrorCodeUnauthorized)
	}
}

// hasToken tells whether requests go with a token that the registry's token server gave out.
func (r *Repository) hasToken(ctx context.Context) bool {
	host := r.host
	if host == "docker.io" {
		host = "registry-1.docker.io"
	}
	scheme, err := r.client.auth.auth.Cache.GetScheme(ctx, host)
	return err == nil && scheme == auth.SchemeBearer
}

// anonymous tells whether there is no credential for the registry.
func (r *Repository) anonymous(ctx context.Context) bool {
	c, err := r.client.credentials.For(ctx, r.host) // known by now: nothing is looked up
	return err == nil && c.Anonymous()
}

// laterHint is the next step after a failure that passes.
func (r *Repository) laterHint(ctx context.Context, status int) string {
	if status == http.StatusTooManyRequests && r.anonymous(ctx) {
		return nextLater + ";\nregistries allow more to who has logged in: " +
			strings.TrimPrefix(fill(r.kind().hints().login, r.host, r.name), "log in: ")
	}
	return nextLater
}

// loginHint says how to log in, and first which account was refused, as several places may hold one.
func (r *Repository) loginHint(ctx context.Context, h hints) string {
	hint := fill(h.login, r.host, r.name)
	c, err := r.client.credentials.For(ctx, r.host) // known by now: nothing is looked up
	if err != nil || c.Anonymous() {
		if c.Note != "" {
			hint = c.Note + ";\n" + hint
		}
		return hint
	}
	refused := fmt.Sprintf("the registry refused user %q from %s: check the password there", c.Username, c.Source)
	if c.Source == passwordStdin {
		return refused
	}
	return refused + ", or " + hint
}

// passwordStdin is the source of a password that a person has just typed or piped.
const passwordStdin = "--password-stdin"

// unanswered fills in the fault when no answer came from the registry.
func (r *Repository) unanswered(ctx context.Context, f *fault.Error, err error) {
	_, authority := errors.AsType[x509.UnknownAuthorityError](err)
	_, name := errors.AsType[x509.HostnameError](err)
	_, certificate := errors.AsType[*tls.CertificateVerificationError](err)
	_, network := errors.AsType[net.Error](err)
	invalid, _ := errors.AsType[x509.CertificateInvalidError](err)
	proxy, proxied := errors.AsType[*proxyError](err)
	switch {
	case errors.Is(err, errdef.ErrNotFound):
		f.Err = cause{"not found", errors.Join(ErrNotFound, err)}
	case errors.Is(err, auth.ErrBasicCredentialNotFound):
		f.Err = cause{"the registry wants a login and there are no credentials for " + r.host, err}
		f.Code, f.Next = fault.Credentials, r.loginHint(ctx, r.kind().hints())
	case proxied:
		f.Err, f.Code = cause{proxy.Error(), err}, fault.Unavailable
		f.Next = "let the proxy pass " + r.host + ", or go past it: NO_PROXY=" + r.host
		if proxy.status == http.StatusProxyAuthRequired {
			f.Next = nextProxyLogin
		}
	case errors.Is(err, http.ErrSchemeMismatch):
		f.Err = cause{"the registry answered plain HTTP to HTTPS", err}
		f.Code, f.Next = fault.Unavailable, "if that is meant, set insecure: true for this registry in berth.yaml"
	case authority:
		f.Code = fault.Unavailable
		f.Next = "if the registry has a certificate of your own authority, name its file: ca: at the registry in " +
			"berth.yaml,\nor SSL_CERT_FILE=/path/to/ca.pem for all registries"
	case invalid.Cert != nil && invalid.Reason == x509.Expired:
		f.Code, f.Next = fault.Unavailable, r.clockHint(invalid.Cert)
	case name, certificate:
		f.Code, f.Next = fault.Unavailable, "check the registry's name and its certificate"
	case errors.Is(err, context.DeadlineExceeded), network, transient(err):
		f.Code, f.Retryable, f.Next = fault.Unavailable, true, nextNetwork
	}
}

// clockHint is the next step when a certificate is not valid at this time: one of the two is wrong.
func (r *Repository) clockHint(c *x509.Certificate) string {
	return fmt.Sprintf("the certificate is valid from %s to %s and this machine's clock says %s:\n"+
		"set the clock, or renew the certificate", c.NotBefore.UTC().Format(time.DateTime),
		c.NotAfter.UTC().Format(time.DateTime), r.client.policy.clock().UTC().Format(time.DateTime))
}
