package registry

import (
	"net/http"
	"net/url"
)

// Reroute answers requests for registries from another endpoint, such as a service in a test: repositories and tags
// keep their names, and only the connection goes elsewhere.
type Reroute struct {
	// Base carries the requests.
	Base http.RoundTripper
	// To is where the endpoint listens; only its scheme and host count.
	To *url.URL
	// Hosts are the registries to answer; none means all.
	Hosts []string
}

// RoundTrip implements [http.RoundTripper].
func (t Reroute) RoundTrip(r *http.Request) (*http.Response, error) {
	if !t.covers(r.URL.Host) {
		return t.Base.RoundTrip(r)
	}
	elsewhere := r.Clone(r.Context())
	elsewhere.URL.Scheme, elsewhere.URL.Host = t.To.Scheme, t.To.Host
	// A registry builds the addresses that it answers with from the name by which it was called.
	elsewhere.Host = r.URL.Host
	elsewhere.Header.Set("X-Forwarded-Proto", r.URL.Scheme)
	resp, err := t.Base.RoundTrip(elsewhere)
	if err != nil {
		return nil, err
	}
	resp.Request = r
	if place, err := url.Parse(resp.Header.Get("Location")); err == nil && place.IsAbs() && t.ours(place, r) {
		place.Scheme, place.Host = r.URL.Scheme, r.URL.Host
		resp.Header.Set("Location", place.String())
	}
	return resp, nil
}

func (t Reroute) covers(host string) bool {
	for _, h := range t.Hosts {
		if h == host {
			return true
		}
	}
	return len(t.Hosts) == 0
}

// ours tells whether an address that the endpoint answered with is the endpoint itself, under either name.
func (t Reroute) ours(place *url.URL, r *http.Request) bool {
	return place.Host == t.To.Host || place.Host == r.URL.Host || place.Hostname() == r.URL.Hostname()
}
