package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"syscall"
	"time"

	"oras.land/oras-go/v2/registry/remote/errcode"
)

// Policy says what is retried: answers 408, 429 and 5xx that may pass, connections that break or time out, and names
// that cannot be resolved just now. Never retried is an answer about who berth is or what is there. A zero field takes
// its default.
type Policy struct {
	// Attempts is the number of times that a request is sent at most; 0 is 7, which lets fourteen images through where a
	// fifth of all requests fails, and lasts for a quarter of a minute. A refused connection is tried at most
	// three times: it mostly means that nothing listens.
	Attempts int
	// Base is the wait before the second attempt; it doubles with each one. 0 is 250 ms.
	Base time.Duration
	// MaxWait is the longest wait that is accepted, from backoff or Retry-After; 0 is 60 s. When a registry asks for
	// more, berth gives up and says when to try again.
	MaxWait time.Duration
}

const refusedAttempts = 3

// backoff is a Policy with its clock and randomness. It is an oras retry.Policy.
type backoff struct {
	Policy
	clock func() time.Time
	rand  func() float64
}

func newBackoff(p Policy, clock func() time.Time, rand func() float64) *backoff {
	if p.Attempts == 0 {
		p.Attempts = 7
	}
	if p.Base == 0 {
		p.Base = 250 * time.Millisecond
	}
	if p.MaxWait == 0 {
		p.MaxWait = 60 * time.Second
	}
	return &backoff{Policy: p, clock: clock, rand: rand}
}

// pauseError is an answer that may pass, where the transport must not or cannot send the request again: the body can
// be read only once, or the registry asked for a longer wait than the policy accepts.
type pauseError struct {
	status  int
	details errcode.Errors
	wait    time.Duration // what Retry-After asked for, negative when it asked for nothing
	until   time.Time     // the end of that wait
	tooLong bool
}

func (e *pauseError) Error() string {
	text := answer(e.status, e.details)
	if e.tooLong {
		text += fmt.Sprintf("; the registry asks to wait until %s", e.until.UTC().Format(time.RFC3339))
	}
	return text
}

// Retry implements retry.Policy of oras-go. attempt counts from 0.
func (b *backoff) Retry(attempt int, resp *http.Response, err error) (time.Duration, error) {
	if err != nil {
		return b.retryError(attempt, err), nil
	}
	if !transientStatus(resp.StatusCode) {
		return -1, nil
	}
	asked := b.retryAfter(resp.Header.Get("Retry-After"))
	once := resp.Request != nil && resp.Request.Body != nil && resp.Request.GetBody == nil
	if asked > b.MaxWait || once {
		return -1, &pauseError{
			status: resp.StatusCode, details: readErrors(resp.Body), wait: asked,
			until: b.clock().Add(asked), tooLong: asked > b.MaxWait,
		}
	}
	if attempt+1 >= b.Attempts {
		return -1, nil
	}
	return b.pause(attempt, asked), nil
}

// retryError returns the wait before the next attempt after a broken connection, negative to give up.
func (b *backoff) retryError(attempt int, err error) time.Duration {
	limit := b.Attempts
	if errors.Is(err, syscall.ECONNREFUSED) {
		limit = min(limit, refusedAttempts)
	}
	if attempt+1 >= limit || !transient(err) {
		return -1
	}
	return b.pause(attempt, -1)
}

// pause is the wait that was asked for, or else the exponential one. The jitter spreads it over half to one and a half
// of its length, so that parallel requests that failed together do not come back together.
func (b *backoff) pause(attempt int, asked time.Duration) time.Duration {
	if asked >= 0 {
		return asked
	}
	wait := b.Base << min(attempt, 20)
	if wait <= 0 || wait > b.MaxWait {
		wait = b.MaxWait
	}
	return min(b.MaxWait, time.Duration(float64(wait)*(0.5+b.rand())))
}

// sleep waits before attempt+1 of a whole operation.
func (b *backoff) sleep(ctx context.Context, attempt int, asked time.Duration) error {
	timer := time.NewTimer(b.pause(attempt, asked))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// retryAfter reads the header in both of its forms, seconds and an HTTP date (RFC 9110, section 10.2.3). It is
// negative when there is none.
func (b *backoff) retryAfter(value string) time.Duration {
	if value == "" {
		return -1
	}
	if seconds, err := strconv.ParseInt(value, 10, 64); err == nil {
		if seconds < 0 {
			return -1
		}
		// A registry that asks for more than a year means "never".
		return time.Duration(min(seconds, 365*24*3600)) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(0, at.Sub(b.clock()))
	}
	return -1
}

// transientStatus tells whether an answer may be another one later. 501 and 505 are about the protocol. A full disk
// (507) does not empty itself in a minute.
func transientStatus(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooManyRequests:
		return true
	case http.StatusNotImplemented, http.StatusHTTPVersionNotSupported, http.StatusInsufficientStorage:
		return false
	default:
		return status >= 500 && status <= 599
	}
}

// transient tells whether a connection that failed may work the next time.
func transient(err error) bool {
	if errors.Is(err, context.Canceled) {
		return false
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return dns.IsTemporary || dns.IsTimeout
	}
	// net/http reports a connection that closed before any answer as a bare io.EOF, and one that it closed itself
	// because of the registry's reset, while it still wrote, as net.ErrClosed.
	for _, target := range []error{
		io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, syscall.ECONNRESET,
		syscall.ECONNABORTED, syscall.EPIPE, syscall.ECONNREFUSED,
	} {
		if errors.Is(err, target) {
			return true
		}
	}
	timeout, ok := errors.AsType[net.Error](err)
	return ok && timeout.Timeout()
}

// answerError is a refusal in the form in which oras gives its own, so that both are explained by the same code.
func answerError(req *http.Request, resp *http.Response) *errcode.ErrorResponse {
	return &errcode.ErrorResponse{
		Method: req.Method, URL: req.URL, StatusCode: resp.StatusCode, Errors: readErrors(resp.Body),
	}
}

// readErrors reads the errors of a registry's answer, as far as it has any.
func readErrors(body io.Reader) errcode.Errors {
	var answer struct {
		Errors errcode.Errors `json:"errors"`
	}
	// An answer that is no JSON has no errors to read.
	_ = json.NewDecoder(io.LimitReader(body, maxError)).Decode(&answer)
	return answer.Errors
}
