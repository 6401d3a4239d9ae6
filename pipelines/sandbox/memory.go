package sandbox

import (
	"context"
	"net"
	"net/http"
	"sync"
)

// pipes is a listener without a socket: each connection is a pipe inside the process. A real HTTP server and a real
// HTTP client stand at its ends, so that bodies stream and requests can be cancelled as on a network.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), done: make(chan struct{})} }

// Accept implements net.Listener.
func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (p *pipes) Close() error {
	p.once.Do(func() { close(p.done) })
	return nil
}

// Addr implements net.Listener.
func (p *pipes) Addr() net.Addr { return pipeAddr{} }

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "sandbox" }

func (p *pipes) dial(ctx context.Context) (net.Conn, error) {
	client, server := net.Pipe()
	var err error
	select {
	case p.conns <- server:
		return client, nil
	case <-ctx.Done():
		err = context.Cause(ctx)
	case <-p.done:
		err = net.ErrClosed
	}
	_, _ = client.Close(), server.Close()
	return nil, err
}

// serving knows the requests that are being answered. A server that is closed does not wait for them, and olareg must
// not be closed under one.
type serving struct {
	mu    sync.RWMutex
	ended bool
}

// handler answers until the end.
func (s *serving) handler(answer http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.RLock()
		defer s.mu.RUnlock()
		if !s.ended {
			answer(w, r)
		}
	})
}

// end waits for the requests under way, whose connections must be closed, and lets no other begin.
func (s *serving) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
}

// schemeHeader tells the server in the process which scheme the URL had; it never leaves the process.
const schemeHeader = "X-Sandbox-Scheme"

// inProcess sends every request, whatever its host and scheme, into the pipes.
type inProcess struct {
	sandbox *Sandbox
	base    *http.Transport
}

func newInProcess(s *Sandbox, p *pipes) *inProcess {
	return &inProcess{sandbox: s, base: &http.Transport{
		DialContext:         func(ctx context.Context, _, _ string) (net.Conn, error) { return p.dial(ctx) },
		DisableCompression:  true,
		MaxIdleConnsPerHost: 16,
		WriteBufferSize:     64 << 10,
		ReadBufferSize:      64 << 10,
	}}
}

// RoundTrip implements http.RoundTripper. The first request of a process waits until no other process writes into the
// sandbox: what it reads decides what it writes, so that both must be under the lock.
func (t *inProcess) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := t.sandbox.own(req.Context()); err != nil {
		if req.Body != nil {
			_ = req.Body.Close()
		}
		return nil, err
	}
	inner := req.Clone(req.Context())
	inner.Header.Set(schemeHeader, req.URL.Scheme)
	inner.URL.Scheme = "http"
	if inner.Host == "" {
		inner.Host = req.URL.Host
	}
	resp, err := t.base.RoundTrip(inner)
	if resp != nil {
		resp.Request = req
	}
	return resp, err
}
