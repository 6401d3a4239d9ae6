package registry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"

	"github.com/berth-sh/berth/pipelines/fault"
)

// Codes that registries use beyond those of the specification.
const (
	codeTagImmutable = "TAG_IMMUTABLE" // Quay, 409
	codeTagInvalid   = "TAG_INVALID"   // ECR, 400, for an immutable tag
)

// operation is what was being done when something failed.
type operation struct {
	verb   string
	ref    string // tag or digest, "" for the whole repository
	writes bool
}

// cause is what went wrong in berth's words. It keeps the error it came from for errors.Is and errors.As, but not in
// its text: that text may hold a URL with a session or a token request.
type cause struct {
	text string
	err  error
}

func (c cause) Error() string { return c.text }
func (c cause) Unwrap() error { return c.err }

// credentialsFault is the failure to read credentials from a configuration file or its helper.
func credentialsFault(host, path string, err error) error {
	return &fault.Error{
		Op: "read the credentials for", Subject: host, Err: err, Code: fault.Credentials,
		Next: "check " + path + " and the credential helper that it names, or log in again: docker login " + host,
	}
}

// fault turns an error of oras or net/http into berth's. A cancelled context passes through as it is.
func (r *Repository) fault(ctx context.Context, op operation, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return context.Canceled
	}
	if inner, ok := errors.AsType[*fault.Error](err); ok {
		return inner
	}
	f := r.newFault(op, plain(err), err)
	if e, ok := errors.AsType[*errcode.ErrorResponse](err); ok {
		f.Err = cause{answer(e.StatusCode, e.Errors), err}
		r.answered(ctx, f, op, e)
		return f
	}
	if p, ok := errors.AsType[*pauseError](err); ok {
		f.Err, f.Code, f.Retryable, f.Next = cause{p.Error(), err}, fault.Unavailable, true, nextLater
		return f
	}
	r.unanswered(ctx, f, err)
	return f
}

// newFault is a failure that nothing more is known about.
func (r *Repository) newFault(op operation, text string, err error) *fault.Error {
	return &fault.Error{Op: op.verb, Subject: r.subject(op.ref), Code: fault.Failed, Err: cause{text, err}}
}

const (
	nextLater   = "run the same command again later: what is up already is not sent again"
	nextNetwork = "check the registry's name, the network and the proxy settings, then run the same command again"
)

// answered fills in the fault for an answer of the registry, or of its token server.
func (r *Repository) answered(ctx context.Context, f *fault.Error, op operation, e *errcode.ErrorResponse) {
	hints := KindOf(r.host).hints()
	ours := e.URL != nil && strings.HasPrefix(e.URL.Path, "/v2/"+r.name+"/")
	switch status := e.StatusCode; {
	case status == http.StatusUnauthorized:
		f.Code, f.Next = fault.Credentials, r.loginHint(ctx, hints)
	case status == http.StatusForbidden, hasCode(e.Errors, errcode.ErrorCodeDenied),
		hasCode(e.Errors, errcode.ErrorCodeUnauthorized):
		f.Code, f.Next = fault.Credentials, fill(hints.write, r.host, r.name)
		if !op.writes {
			f.Next = fill(hints.login, r.host, r.name)
		}
	case status == http.StatusNotFound && ours && op.writes, hasCode(e.Errors, errcode.ErrorCodeNameUnknown) && op.writes:
		f.Err = cause{"the repository does not exist (" + f.Err.Error() + ")", errors.Join(ErrNotFound, e)}
		f.Next = fill(hints.missing, r.host, r.name)
	case status == http.StatusNotFound && ours:
		f.Err = cause{f.Err.Error(), errors.Join(ErrNotFound, e)}
	case status == http.StatusRequestEntityTooLarge:
		f.Next = "raise the size limit of uploads at the registry or at the proxy in front of it " +
			"(nginx: client_max_body_size 0)"
	case status == http.StatusInsufficientStorage:
		f.Code, f.Retryable = fault.Unavailable, true
		f.Next = "the registry has no space left; free some there, then run the same command again"
	case status == http.StatusNotImplemented, status == http.StatusHTTPVersionNotSupported:
		f.Code = fault.Unavailable
	case status >= 500, transientStatus(status):
		f.Code, f.Retryable, f.Next = fault.Unavailable, true, nextLater
	case isImmutable(e):
		f.Code = fault.Refused
		f.Next = "the registry keeps this tag as it is; publish under a new version"
	default:
		f.Next = "check that " + r.host + " is a container registry that takes what was asked of it"
	}
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
	kind := KindOf(r.host)
	_, authority := errors.AsType[x509.UnknownAuthorityError](err)
	_, name := errors.AsType[x509.HostnameError](err)
	_, certificate := errors.AsType[*tls.CertificateVerificationError](err)
	_, network := errors.AsType[net.Error](err)
	switch {
	case errors.Is(err, errdef.ErrNotFound):
		f.Err = cause{"not found", errors.Join(ErrNotFound, err)}
	case errors.Is(err, auth.ErrBasicCredentialNotFound):
		f.Err = cause{"the registry wants a login and there are no credentials for " + r.host, err}
		f.Code, f.Next = fault.Credentials, r.loginHint(ctx, kind.hints())
	case errors.Is(err, http.ErrSchemeMismatch):
		f.Err = cause{"the registry answered plain HTTP to HTTPS", err}
		f.Code, f.Next = fault.Unavailable, "if that is meant, set insecure: true for this registry in berth.yaml"
	case authority:
		f.Code = fault.Unavailable
		f.Next = "if the registry has a certificate of your own authority, name its file: SSL_CERT_FILE=/path/to/ca.pem"
	case name, certificate:
		f.Code, f.Next = fault.Unavailable, "check the registry's name and its certificate"
	case errors.Is(err, context.DeadlineExceeded), network, transient(err):
		f.Code, f.Retryable, f.Next = fault.Unavailable, true, nextNetwork
	}
}

// hasCode tells whether the registry gave this code among its errors.
func hasCode(errs errcode.Errors, code string) bool {
	return slices.ContainsFunc(errs, func(e errcode.Error) bool { return e.Code == code })
}

// isImmutable tells the refusal of a tag that may not be put again.
func isImmutable(err error) bool {
	e, ok := errors.AsType[*errcode.ErrorResponse](err)
	return ok && (hasCode(e.Errors, codeTagImmutable) || hasCode(e.Errors, codeTagInvalid))
}

// answer is a registry's answer in words: the status, and the codes and messages of the body. Details are left out:
// registries put all kinds of things there.
func answer(status int, errs errcode.Errors) string {
	text := strings.TrimSpace(fmt.Sprintf("%d %s", status, http.StatusText(status)))
	for _, e := range errs {
		text += ": " + strings.Trim(e.Code+" "+e.Message, " ")
	}
	return text
}

// query is the part of a URL that may hold a session or a token request.
var query = regexp.MustCompile(`(https?://[^\s"?]*)\?[^\s"]*`)

// plain is the text of an error without the URL that net/http puts in front and without the query of any other.
func plain(err error) string {
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	return query.ReplaceAllString(err.Error(), "$1")
}

// subject is host/repository:tag or host/repository@digest.
func (r *Repository) subject(ref string) string {
	switch {
	case ref == "":
		return r.String()
	case strings.Contains(ref, ":"):
		return r.String() + "@" + ref
	default:
		return r.String() + ":" + ref
	}
}
