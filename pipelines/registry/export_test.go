package registry

import (
	"context"
	"net/http"
	"net/url"
)

// Proxied is the real transport with a proxy of the test's: net/http reads the environment once in a process.
func Proxied(address string) (http.RoundTripper, error) {
	proxy, err := url.Parse(address)
	t := network(defaultRequests)
	t.Proxy = http.ProxyURL(proxy)
	return t, err
}

// Turn is a wait for a place among the uploads of large blobs to a host.
type Turn struct{ u *uploads }

// NewTurn has so many places.
func NewTurn(size int) Turn { return Turn{newUploads(size)} }

// Begin waits for a place.
func (t Turn) Begin(ctx context.Context, host string, size int64) (end func(), err error) {
	return t.u.begin(ctx, host, size)
}

// Waiting is the number of those that wait.
func (t Turn) Waiting(host string) int {
	t.u.mu.Lock()
	defer t.u.mu.Unlock()
	if t.u.hosts[host] == nil {
		return 0
	}
	return len(t.u.hosts[host].waiting)
}
