package registry

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Exchange is a request to a registry, or to the token service of one, and what came of it. It holds no header, no body
// and of the query only what the protocol names: storage services sign addresses there.
type Exchange struct {
	Method string
	// URL is the address without what could be a secret.
	URL string
	// Status is that of the answer, 0 when there was none.
	Status int
	// Err says why there was no answer.
	Err error
	// Took is the time until the headers of the answer.
	Took time.Duration
}

// traced tells every request that goes over the network, each repetition too.
type traced struct {
	base http.RoundTripper
	tell func(Exchange)
	now  func() time.Time
}

// RoundTrip implements http.RoundTripper.
func (t traced) RoundTrip(req *http.Request) (*http.Response, error) {
	begun := t.now()
	answer, err := t.base.RoundTrip(req)
	x := Exchange{Method: req.Method, URL: plainURL(req.URL), Err: err, Took: t.now().Sub(begun)}
	if answer != nil {
		x.Status = answer.StatusCode
	}
	t.tell(x)
	return answer, err
}

// plainURL is an address that can be shown.
func plainURL(u *url.URL) string {
	shown := []string{"account", "artifactType", "digest", "from", "last", "mount", "n", "scope", "service", "tag"}
	var query []string
	values := u.Query()
	for key := range values {
		if !slices.Contains(shown, key) {
			values.Set(key, "…")
		}
		for _, v := range values[key] {
			query = append(query, key+"="+v)
		}
	}
	slices.Sort(query)
	out := u.Scheme + "://" + u.Host + u.Path
	if len(query) > 0 {
		out += "?" + strings.Join(query, "&")
	}
	return out
}
