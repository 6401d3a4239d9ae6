package registry

import (
	"net/http"
	"time"

	"oras.land/oras-go/v2/registry/remote/auth"
)

// Options say how a [Client] reaches registries. The zero value reaches them over the network, anonymously.
type Options struct {
	// Transport carries the requests; nil is a real one with time-outs. Budget and retries are put in front of it.
	Transport http.RoundTripper
	// Credentials tells who berth is at each host; nil is anonymous everywhere.
	Credentials *Credentials
	// Insecure tells whether a host may be reached over plain HTTP. Loopback hosts may in any case: they are tried
	// with HTTPS only when Secure says so. nil allows none.
	Insecure func(host string) bool
	// Secure tells that a loopback host speaks HTTPS. nil means that none does.
	Secure func(host string) bool
	// UserAgent goes with every request, for example "berth/1.2.3".
	UserAgent string
	// Policy says what is retried, how often and after how long. Its zero value is the default policy.
	Policy Policy
	// Requests is the number of requests that may be under way at one host; 0 is 8.
	Requests int
	// Clock tells the time for Retry-After dates; nil is time.Now.
	Clock func() time.Time
	// Rand gives the jitter, a number in [0,1); nil is math/rand/v2.
	Rand func() float64
}

// Client reaches registries. It is safe for concurrent use, and made once per run, so that tokens, credentials and the
// budget of requests are shared.
type Client struct {
	options Options
	auth    *auth.Client
}
