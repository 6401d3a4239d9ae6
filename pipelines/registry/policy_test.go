package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// policyCase is an answer or an error, and how long berth waits before it asks again.
type policyCase struct {
	attempt int
	status  int
	after   string
	err     error
	want    time.Duration // negative: not again
	tooLong bool
}

func policyCases(now time.Time) map[string]policyCase {
	date := func(d time.Duration) string { return now.Add(d).Format(http.TimeFormat) }
	dns := func(e net.DNSError) error { return &net.OpError{Op: "dial", Err: &e} }
	return map[string]policyCase{
		"200":                      {status: 200, want: -1},
		"401":                      {status: 401, want: -1},
		"403":                      {status: 403, after: "1", want: -1},
		"404":                      {status: 404, want: -1},
		"501":                      {status: 501, want: -1},
		"505":                      {status: 505, want: -1},
		"507":                      {status: 507, want: -1},
		"408":                      {status: 408, want: time.Second},
		"429":                      {status: 429, want: time.Second},
		"500":                      {status: 500, want: time.Second},
		"502 second":               {status: 502, attempt: 1, want: 2 * time.Second},
		"503 third":                {status: 503, attempt: 2, want: 4 * time.Second},
		"504 longest":              {status: 504, attempt: 3, want: 6 * time.Second},
		"599":                      {status: 599, want: time.Second},
		"the last attempt":         {status: 503, attempt: 6, want: -1},
		"seconds":                  {status: 429, after: "3", want: 3 * time.Second},
		"no seconds":               {status: 429, after: "0", want: 0},
		"date":                     {status: 503, after: date(5 * time.Second), want: 5 * time.Second},
		"date that is over":        {status: 503, after: date(-time.Hour), want: 0},
		"nonsense":                 {status: 429, after: "soon", want: time.Second},
		"negative":                 {status: 429, after: "-5", want: time.Second},
		"seconds beyond the limit": {status: 429, after: "7", want: -1, tooLong: true},
		"date beyond the limit":    {status: 429, after: date(time.Hour), want: -1, tooLong: true},
		"an overflow":              {status: 429, after: "9223372036854775807", want: -1, tooLong: true},
		"reset":                    {err: &net.OpError{Err: os.NewSyscallError("read", syscall.ECONNRESET)}, want: time.Second},
		"closed while writing":     {err: &net.OpError{Op: "write", Err: net.ErrClosed}, want: time.Second},
		"unexpected EOF":           {err: fmt.Errorf("x: %w", io.ErrUnexpectedEOF), want: time.Second},
		"EOF":                      {err: io.EOF, want: time.Second},
		"time-out":                 {err: &net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded}, want: time.Second},
		"refused":                  {err: syscall.ECONNREFUSED, attempt: 1, want: 2 * time.Second},
		"refused three times":      {err: syscall.ECONNREFUSED, attempt: 2, want: -1},
		"name server silent":       {err: dns(net.DNSError{IsTimeout: true}), want: time.Second},
		"name server failed":       {err: dns(net.DNSError{IsTemporary: true}), want: time.Second},
		"no such name":             {err: dns(net.DNSError{IsNotFound: true}), want: -1},
		"cancelled":                {err: context.Canceled, want: -1},
		"something else":           {err: errors.New("unsupported protocol scheme"), want: -1},
	}
}

func TestPolicy(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	for name, c := range policyCases(now) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBackoff(Policy{Base: time.Second, MaxWait: 6 * time.Second}, func() time.Time { return now },
				func() float64 { return 0.5 })
			var resp *http.Response
			if c.err == nil {
				resp = &http.Response{
					StatusCode: c.status, Header: http.Header{"Retry-After": {c.after}},
					Body: io.NopCloser(strings.NewReader("")), Request: &http.Request{},
				}
			}
			wait, err := b.Retry(c.attempt, resp, c.err)
			if c.want < 0 && wait >= 0 || c.want >= 0 && wait != c.want {
				t.Errorf("wait %v, want %v", wait, c.want)
			}
			pause, ok := errors.AsType[*pauseError](err)
			if ok != c.tooLong {
				t.Errorf("error %v", err)
			}
			if ok && !strings.Contains(pause.Error(), "until 202") {
				t.Errorf("%v does not say until when", pause)
			}
		})
	}
}

func TestJitterStaysAroundTheWait(t *testing.T) {
	t.Parallel()
	for random, want := range map[float64]time.Duration{0: 500 * time.Millisecond, 0.999999: 1499 * time.Millisecond} {
		b := newBackoff(Policy{Base: time.Second}, time.Now, func() float64 { return random })
		if got := b.pause(0, -1).Truncate(time.Millisecond); got != want {
			t.Errorf("random %v: %v, want %v", random, got, want)
		}
		if got := b.pause(400, -1); got > b.MaxWait || got <= 0 {
			t.Errorf("attempt 400 waits %v", got)
		}
	}
}

func TestABodyThatIsReadOnceIsLeftToTheCaller(t *testing.T) {
	t.Parallel()
	b := newBackoff(Policy{}, time.Now, func() float64 { return 0 })
	req := &http.Request{Body: io.NopCloser(strings.NewReader("x"))}
	resp := &http.Response{
		StatusCode: http.StatusServiceUnavailable, Header: http.Header{"Retry-After": {"2"}}, Request: req,
		Body: io.NopCloser(strings.NewReader(`{"errors":[{"code":"BUSY","message":"later"}]}`)),
	}
	_, err := b.Retry(0, resp, nil)
	wait, again := brokenUpload(&url.Error{Op: "Put", Err: err})
	if !again || wait != 2*time.Second || err.Error() != "503 Service Unavailable: BUSY later" {
		t.Errorf("again %v after %v: %v", again, wait, err)
	}
}

func TestFirstFailureOfAnUploadHandsItOn(t *testing.T) {
	t.Parallel()
	m := NewMounts()
	_, settle, err := m.claim(t.Context(), "h", "sha256:a")
	if settle == nil || err != nil {
		t.Fatal("the first caller does not upload")
	}
	type claimed struct {
		from   string
		settle func(string)
	}
	next := make(chan claimed)
	go func() {
		from, s, _ := m.claim(t.Context(), "h", "sha256:a")
		next <- claimed{from, s}
	}()
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := m.claim(cancelled, "h", "sha256:a"); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled caller got %v", err)
	}
	settle("")
	second := <-next
	if second.settle == nil {
		t.Fatalf("after a failure the second caller mounts from %q", second.from)
	}
	second.settle("two")
	if from, _, _ := m.claim(t.Context(), "h", "sha256:a"); from != "two" {
		t.Errorf("the third caller mounts from %q", from)
	}
	if _, settle, _ := m.claim(t.Context(), "other", "sha256:a"); settle == nil {
		t.Error("a blob was mounted from another host")
	}
	m.found("h", "sha256:b", "there")
	m.found("h", "sha256:b", "elsewhere")
	if from, _, _ := m.claim(t.Context(), "h", "sha256:b"); from != "there" {
		t.Errorf("a blob that was found is mounted from %q", from)
	}
}

// net/http must know that it may send a request again on a new connection, and must not try with a stream.
func TestRequestsThatMayBeSentAgainSaySo(t *testing.T) {
	t.Parallel()
	stream := struct{ io.Reader }{strings.NewReader("x")}
	for name, c := range map[string]struct {
		body io.Reader
		want bool
	}{"empty": {nil, true}, "in memory": {strings.NewReader("x"), true}, "a stream": {stream, false}} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://localhost/", c.body)
		if err != nil {
			t.Fatal(err)
		}
		value, ok := idempotent(req).Header["X-Idempotency-Key"]
		if ok != c.want || len(value) != 0 {
			t.Errorf("%s: %v, %v", name, value, ok)
		}
		if len(req.Header) != 0 {
			t.Errorf("%s: the caller's request was changed: %v", name, req.Header)
		}
	}
}
