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
	"os"
	"sync"
	"time"

	"oras.land/oras-go/v2/registry/remote/retry"

	"github.com/berth-sh/berth/pipelines/fault"
)

// defaultRequests is the number of requests under way at one host: what eight copies at a time by other tools have.
// Most of them only look or put a few bytes, and take the time of the way there and back. What fills a line is limited
// by defaultUploads.
const defaultRequests = 32

// newTransport builds the chain of one client: retries in front of the budget in front of the network. In this order
// no request holds a place in the budget while it waits to be sent again.
func newTransport(o Options, policy *backoff) http.RoundTripper {
	base := o.Transport
	if base == nil {
		base = &trusting{ca: o.CA, common: network(o.Requests), own: map[string]*http.Transport{}}
	}
	if o.Trace != nil {
		base = traced{base, o.Trace, o.Clock}
	}
	return &retry.Transport{
		Base:   &budget{base: base, size: o.Requests, hosts: map[string]chan struct{}{}},
		Policy: func() retry.Policy { return policy },
	}
}

// trusting is the real transport, with one of its own for each host that has an authority of its own: what such an
// authority signs is trusted for that host alone.
type trusting struct {
	ca     func(host string) string
	common *http.Transport

	mu  sync.Mutex
	own map[string]*http.Transport
}

// RoundTrip implements http.RoundTripper.
func (t *trusting) RoundTrip(req *http.Request) (*http.Response, error) {
	transport, err := t.of(req.URL.Host)
	if err != nil {
		if req.Body != nil {
			_ = req.Body.Close()
		}
		return nil, err
	}
	return transport.RoundTrip(req)
}

func (t *trusting) of(host string) (*http.Transport, error) {
	file := t.ca(host)
	if file == "" {
		return t.common, nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if known, ok := t.own[host]; ok {
		return known, nil
	}
	pem, err := os.ReadFile(file)
	pool := x509.NewCertPool()
	if err == nil && !pool.AppendCertsFromPEM(pem) {
		err = errors.New("it holds no certificate in PEM format")
	}
	if err != nil {
		return nil, &fault.Error{
			Op: "read the certificate authority of " + host + " from", Subject: file, Err: err, Code: fault.Usage,
			Next: "name a PEM file under ca: of the registry in berth.yaml",
		}
	}
	transport := t.common.Clone()
	transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	t.own[host] = transport
	return transport, nil
}

// network is the real transport. Proxies come from the environment and certificate authorities from the system or
// SSL_CERT_FILE, both by Go's own rules. An upload has no time limit as a whole, because its size has none; a
// connection that is dead is noticed by TCP keep-alive, a registry that is silent after the last byte by the header
// time-out.
func network(requests int) *http.Transport {
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment,
		DialContext: (&net.Dialer{
			Timeout:   15 * time.Second,
			KeepAlive: 30 * time.Second,
		}).DialContext,
		ForceAttemptHTTP2:     true,
		MaxIdleConns:          4 * requests,
		MaxIdleConnsPerHost:   requests,
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   15 * time.Second,
		ResponseHeaderTimeout: 2 * time.Minute,
		ExpectContinueTimeout: time.Second,
		WriteBufferSize:       8 << 10,
		ReadBufferSize:        8 << 10,
		OnProxyConnectResponse: func(_ context.Context, proxy *url.URL, _ *http.Request, resp *http.Response) error {
			if resp.StatusCode == http.StatusOK {
				return nil
			}
			return &proxyError{proxy: proxy.Host, status: resp.StatusCode}
		},
	}
}

// proxyError is a proxy's refusal to connect to a registry; net/http has only a text for it.
type proxyError struct {
	proxy  string
	status int
}

func (e *proxyError) Error() string {
	return fmt.Sprintf("the proxy %s answered %d %s", e.proxy, e.status, http.StatusText(e.status))
}

// budget limits the requests under way at each host. A place is held from sending a request until its answer's headers
// are there, which for an upload includes its body. The body of an answer is read without a place: otherwise a copy
// from a registry to itself, which reads one answer while it sends the next request, could wait for itself.
type budget struct {
	base http.RoundTripper
	size int

	mu    sync.Mutex
	hosts map[string]chan struct{}
}

func (b *budget) RoundTrip(req *http.Request) (*http.Response, error) {
	places := b.places(req.URL.Host)
	select {
	case places <- struct{}{}:
	case <-req.Context().Done():
		if req.Body != nil {
			_ = req.Body.Close()
		}
		return nil, context.Cause(req.Context())
	}
	defer func() { <-places }()
	return b.base.RoundTrip(idempotent(req))
}

// idempotent lets net/http send the request again when a connection that it kept turns out to be closed by the
// registry, as it does for GET without asking. All that berth sends may be sent twice: an upload that is begun twice is
// begun once too often, and a manifest is the same. The empty header is net/http's sign for that; it is not sent.
func idempotent(req *http.Request) *http.Request {
	if req.Body != nil && req.Body != http.NoBody && req.GetBody == nil {
		return req
	}
	again := req.Clone(req.Context())
	again.Header["X-Idempotency-Key"] = nil
	return again
}

func (b *budget) places(host string) chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.hosts[host] == nil {
		b.hosts[host] = make(chan struct{}, b.size)
	}
	return b.hosts[host]
}
