package registry

import (
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
