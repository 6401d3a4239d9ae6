package faultproxy

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
)

// Wrap injects the same faults into a RoundTripper.
func (p *Proxy) Wrap(base http.RoundTripper) http.RoundTripper { return transport{p, base} }

type transport struct {
	proxy *Proxy
	base  http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	f := t.proxy.pick(r)
	if f.Status == 0 && !f.Reset && !f.Close && !f.Hang {
		return t.pass(r, f)
	}
	if r.Body != nil {
		defer func() { _ = r.Body.Close() }()
		limit := int64(1) << 62
		if f.Reset {
			limit = f.ResetAfter
		}
		if _, err := io.CopyN(io.Discard, r.Body, limit); err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
	}
	switch {
	case f.Reset:
		return nil, io.ErrUnexpectedEOF
	case f.Close:
		return nil, io.EOF
	case f.Hang:
		<-r.Context().Done()
		return nil, context.Cause(r.Context())
	}
	header := f.Header.Clone()
	if header == nil {
		header = http.Header{}
	}
	return &http.Response{
		Status: http.StatusText(f.Status), StatusCode: f.Status, Proto: "HTTP/1.1", ProtoMajor: 1,
		ProtoMinor: 1, Header: header, Body: io.NopCloser(strings.NewReader(f.Body)), ContentLength: int64(len(f.Body)),
		Request: r,
	}, nil
}

// pass sends the request on and spoils the answer where the fault says so.
func (t transport) pass(r *http.Request, f Fault) (*http.Response, error) {
	resp, err := t.base.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	switch {
	case f.LoseAnswer:
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		return nil, io.ErrUnexpectedEOF
	case f.Truncate > 0:
		resp.Body = &cut{ReadCloser: resp.Body, left: f.Truncate}
	}
	return resp, nil
}

// cut ends a body too early.
type cut struct {
	io.ReadCloser
	left int64
}

func (c *cut) Read(b []byte) (int, error) {
	if c.left <= 0 {
		return 0, io.ErrUnexpectedEOF
	}
	if int64(len(b)) > c.left {
		b = b[:c.left]
	}
	n, err := c.ReadCloser.Read(b)
	c.left -= int64(n)
	return n, err
}
