package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

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
		f.Err, f.Code, f.Retryable, f.Next = cause{p.Error(), err}, fault.Unavailable, true, r.laterHint(ctx, p.status)
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

// hasCode tells whether the registry gave this code among its errors.
func hasCode(errs errcode.Errors, code string) bool {
	return slices.ContainsFunc(errs, func(e errcode.Error) bool { return e.Code == code })
}

// isImmutable tells the refusal of a tag that may not be put again. Harbor answers 412, others 409.
func isImmutable(err error) bool {
	e, ok := errors.AsType[*errcode.ErrorResponse](err)
	return ok && (hasCode(e.Errors, codeTagImmutable) || hasCode(e.Errors, codeTagInvalid) ||
		e.StatusCode == http.StatusConflict || e.StatusCode == http.StatusPreconditionFailed)
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

// answered is the registry's answer that an error holds, in words.
func answered(err error) string {
	if e, ok := errors.AsType[*errcode.ErrorResponse](err); ok {
		return answer(e.StatusCode, e.Errors)
	}
	return plain(err)
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
