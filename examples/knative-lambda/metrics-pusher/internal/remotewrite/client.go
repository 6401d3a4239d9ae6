package remotewrite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/golang/snappy"

	"github.com/berth-sh/berth/examples/knative-lambda/metrics-pusher/internal/series"
)

const (
	maxRetryAfter = 5 * time.Minute // a server that asks for more gets this
	maxErrorBody  = 512             // bytes of an error's body that are told
)

// Rejected is an answer that a retry would only repeat: the samples are lost.
type Rejected struct {
	Status int
	Body   string
}

// Error tells the status and what the endpoint said.
func (r *Rejected) Error() string {
	return strings.TrimSuffix(fmt.Sprintf("rejected with status %d: %s", r.Status, r.Body), ": ")
}

// ErrUnavailable is wrapped when the last attempt failed, too.
var ErrUnavailable = errors.New("endpoint unavailable")

// Options of a client. URL, HTTP, Attempts and Sleep are needed.
type Options struct {
	URL       string
	HTTP      *http.Client
	TokenFile string // its content is the bearer token, read anew for each request; empty for none
	UserAgent string // RFC 7231 product, which the specification asks for
	Attempts  int    // at least 1
	Base, Max time.Duration
	// Jitter returns a number from 0 up to 1: many pushers must not come back at the same moment.
	Jitter func() float64
	Now    func() time.Time
	// Sleep waits, or returns the context's error.
	Sleep   func(context.Context, time.Duration) error
	Log     *slog.Logger
	Retried func()
}

// Client sends samples, one request at a time, so that those of one series arrive in order.
type Client struct{ Options }

// New returns a client that follows no redirect: a POST would become a GET.
func New(o Options) *Client {
	client := *o.HTTP
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	o.HTTP = &client
	return &Client{o}
}

// Send sends the samples in one request. Time-outs, connection errors, 5xx and 429 are tried again, after exponentially
// growing pauses or what Retry-After says. Another answer is a *Rejected; the last failed attempt is an ErrUnavailable.
func (c *Client) Send(ctx context.Context, samples []series.Sample) error {
	body := snappy.Encode(nil, Encode(samples))
	for attempt := 1; ; attempt++ {
		wait, err := c.try(ctx, body, attempt)
		if err == nil {
			return nil
		}
		if _, ok := errors.AsType[*Rejected](err); ok {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if attempt >= c.Attempts {
			return fmt.Errorf("%w after %d attempts: %w", ErrUnavailable, attempt, err)
		}
		wait = max(wait, c.backoff(attempt))
		c.Log.Warn("push failed, trying again", "attempt", attempt, "wait", wait.String(), "error", err.Error())
		c.Retried()
		if err := c.Sleep(ctx, wait); err != nil {
			return err
		}
	}
}

// backoff is the pause after an attempt: Base doubled each time up to Max, of which the upper half is random.
func (c *Client) backoff(attempt int) time.Duration {
	pause := c.Base
	for i := 1; i < attempt && pause < c.Max; i++ {
		pause *= 2
	}
	pause = min(pause, c.Max)
	return pause/2 + time.Duration(c.Jitter()*float64(pause/2))
}

// try sends one request. The duration is what Retry-After asks for.
func (c *Client) try(ctx context.Context, body []byte, attempt int) (time.Duration, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/x-protobuf")
	req.Header.Set("Content-Encoding", "snappy")
	req.Header.Set("X-Prometheus-Remote-Write-Version", "0.1.0")
	req.Header.Set("User-Agent", c.UserAgent)
	if attempt > 1 {
		req.Header.Set("Retry-Attempt", strconv.Itoa(attempt-1))
	}
	if c.TokenFile != "" {
		token, err := os.ReadFile(c.TokenFile)
		if err != nil {
			return 0, fmt.Errorf("bearer token: %w", err)
		}
		req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	}
	res, err := c.HTTP.Do(req)
	if err != nil {
		return 0, WithoutURL(err)
	}
	defer res.Body.Close()
	// A body that breaks off changes nothing: the status is there.
	text, _ := io.ReadAll(io.LimitReader(res.Body, maxErrorBody))
	switch {
	case res.StatusCode/100 == 2:
		return 0, nil
	case res.StatusCode/100 == 5 || res.StatusCode == http.StatusTooManyRequests:
		return c.retryAfter(res.Header), fmt.Errorf("status %s: %s", res.Status, oneLine(text))
	default:
		return 0, &Rejected{Status: res.StatusCode, Body: oneLine(text)}
	}
}

// retryAfter reads seconds or a date (RFC 9110, 10.2.3). It is 0 where the header is absent, wrong or in the past.
func (c *Client) retryAfter(header http.Header) time.Duration {
	value := header.Get("Retry-After")
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return min(time.Duration(seconds)*time.Second, maxRetryAfter)
	}
	if date, err := http.ParseTime(value); err == nil {
		return min(max(date.Sub(c.Now()), 0), maxRetryAfter)
	}
	return 0
}

// WithoutURL takes the URL out of an error of [http.Client]: its query may hold a key.
func WithoutURL(err error) error {
	if failed, ok := errors.AsType[*url.Error](err); ok {
		return fmt.Errorf("%s: %w", strings.ToLower(failed.Op), failed.Err)
	}
	return err
}

func oneLine(text []byte) string {
	return strings.Join(strings.Fields(strings.ToValidUTF8(string(text), "\uFFFD")), " ")
}
