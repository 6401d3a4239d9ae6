package registry

import (
	"context"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"

	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"

	"github.com/berth-sh/berth/pipelines/fault"
)

// Options say how a [Client] reaches registries. The zero value reaches them over the network, anonymously.
type Options struct {
	// Transport carries the requests; nil is a real one with time-outs. Budget and retries are put in front of it.
	Transport http.RoundTripper
	// Credentials tells who berth is at each host; nil is anonymous everywhere.
	Credentials *Credentials
	// Insecure tells whether a host is reached over plain HTTP. Loopback hosts are in any case. nil allows no other.
	Insecure func(host string) bool
	// CA names the PEM file with the authority of a host's certificate, "" for those of the system. Such a host is
	// reached over HTTPS also on loopback. It counts for the real transport only; nil is the system's everywhere.
	CA func(host string) string
	// Kind tells the kind of a host, as the configuration may name it; nil is [KindOf].
	Kind func(host string) Kind
	// UserAgent goes with every request, for example "berth/1.2.3"; "" is "berth".
	UserAgent string
	// Policy says what is retried, how often and after how long. Its zero value is the default policy.
	Policy Policy
	// Requests is the number of requests that may be under way at one host; 0 is 32. At most eight of them send a large
	// blob.
	Requests int
	// Trace is told each request; it may be called from several goroutines. nil tells nobody.
	Trace func(Exchange)
	// Clock tells the time for Retry-After dates; nil is time.Now.
	Clock func() time.Time
	// Rand gives the jitter of waits, a number in [0,1); nil is math/rand/v2.
	Rand func() float64
}

// Client reaches registries. It is safe for concurrent use, and made once per run, so that tokens, credentials and the
// budget of requests are shared.
type Client struct {
	credentials *Credentials
	insecure    func(host string) bool
	ca          func(host string) string
	policy      *backoff
	auth        *session
	kind        func(host string) Kind

	chunks  chunkSizes
	uploads *uploads

	mu           sync.Mutex
	repositories map[string]*Repository
	apis         map[string]*referrersAPI // by the path above the repositories
}

// NewClient returns a client.
func NewClient(o Options) *Client {
	if o.Credentials == nil {
		o.Credentials = NewCredentials()
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Rand == nil {
		o.Rand = rand.Float64
	}
	if o.CA == nil {
		o.CA = func(string) string { return "" }
	}
	if o.Kind == nil {
		o.Kind = KindOf
	}
	if o.Requests == 0 {
		o.Requests = defaultRequests
	}
	if o.UserAgent == "" {
		o.UserAgent = "berth"
	}
	policy := newBackoff(o.Policy, o.Clock, o.Rand)
	c := &Client{
		credentials: o.Credentials, insecure: o.Insecure, ca: o.CA, policy: policy, kind: o.Kind,
		uploads: newUploads(min(defaultUploads, o.Requests)), repositories: map[string]*Repository{},
		apis: map[string]*referrersAPI{},
	}
	login := &auth.Client{
		Client:     &http.Client{Transport: newTransport(o, policy)},
		Header:     http.Header{"User-Agent": {o.UserAgent}},
		Credential: c.credential,
		Cache:      renewing{Cache: auth.NewCache(), credentials: o.Credentials},
		ClientID:   "berth",
	}
	c.auth = &session{auth: login, credentials: o.Credentials, kind: o.Kind}
	return c
}

// Repository returns the repository "host/name". It sends no request. The same name gives the same value, so that what
// was found out about it is known to all, and referrers that are noted in one fallback index wait for each other.
func (c *Client) Repository(name string) (*Repository, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if known, ok := c.repositories[name]; ok {
		return known, nil
	}
	host, path, err := ParseName(name)
	if err != nil {
		return nil, &fault.Error{Subject: name, Err: err, Code: fault.Usage}
	}
	r, err := remote.NewRepository(name)
	if err != nil {
		return nil, &fault.Error{Subject: name, Err: err, Code: fault.Usage}
	}
	r.Client = c.auth
	r.PlainHTTP = c.plain(host)
	// A registry that cannot delete must not fail an upload: an old fallback index may stay.
	r.SkipReferrersGC = true
	above := name[:strings.LastIndex(name, "/")]
	if c.apis[above] == nil {
		c.apis[above] = &referrersAPI{answered: make(chan struct{})}
	}
	c.repositories[name] = &Repository{client: c, host: host, name: path, remote: r, api: c.apis[above]}
	return c.repositories[name], nil
}

// plain tells whether a host is reached over plain HTTP.
func (c *Client) plain(host string) bool {
	return Loopback(host) && c.ca(host) == "" || c.insecure != nil && c.insecure(host)
}

// credential translates between the names of a host: oras asks for Docker Hub by the host that it really talks to.
func (c *Client) credential(ctx context.Context, host string) (auth.Credential, error) {
	cred, err := c.credentials.For(ctx, accountHost(host))
	if err != nil {
		return auth.EmptyCredential, err
	}
	return auth.Credential{
		Username: cred.Username, Password: cred.Password, RefreshToken: cred.IdentityToken,
		AccessToken: cred.AccessToken,
	}, nil
}
