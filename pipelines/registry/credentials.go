package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// redacted stands for a password wherever a credential is printed.
const redacted = "[redacted]"

// Credential is a user name and a password or token for one host. It prints without the password.
type Credential struct {
	// Username may be empty when Password is an identity token.
	Username string
	// Password is the password or the token.
	Password string
	// IdentityToken is an OAuth2 refresh token from a credential helper; it is used in place of a password.
	IdentityToken string
	// AccessToken is a bearer token that is sent as it is.
	AccessToken string
	// Source says where the credential came from, for people: "GITHUB_TOKEN", "/home/me/.docker/config.json".
	Source string
	// Expires is when the registry stops taking it; zero when that is not known.
	Expires time.Time
	// Note says, of an anonymous credential, why its source found none, for people. It holds no secret.
	Note string
}

// Anonymous tells whether there is nothing to log in with.
func (c Credential) Anonymous() bool {
	return c.Username == "" && c.Password == "" && c.IdentityToken == "" && c.AccessToken == ""
}

// String prints the credential without its secrets.
func (c Credential) String() string {
	if c.Anonymous() {
		return "anonymous"
	}
	return fmt.Sprintf("%s:%s from %s", c.Username, redacted, c.Source)
}

// GoString prints the credential without its secrets.
func (c Credential) GoString() string { return "registry.Credential{" + c.String() + "}" }

// Format keeps every verb of package fmt from printing the secrets.
func (c Credential) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(c.String())) }

// LogValue logs the credential without its secrets.
func (c Credential) LogValue() slog.Value { return slog.StringValue(c.String()) }

// MarshalJSON writes the user name and the source, never a secret.
func (c Credential) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]string{"username": c.Username, "source": c.Source})
}

// Source finds the credential for a host. It returns an anonymous credential when it has none for that host.
type Source interface {
	Credential(ctx context.Context, host string) (Credential, error)
}

// renewal is how long before its end a credential is asked for anew, so that it does not end in mid-request.
const renewal = 5 * time.Minute

// Credentials asks its sources in order and remembers the first answer for each host until shortly before it expires.
type Credentials struct {
	sources []Source
	clock   func() time.Time

	mu    sync.Mutex
	hosts map[string]*lookup
}

type lookup struct {
	done chan struct{}
	cred Credential
	err  error
}

// NewCredentials returns credentials that come from the first source that has some.
func NewCredentials(sources ...Source) *Credentials { return NewCredentialsAt(time.Now, sources...) }

// NewCredentialsAt is NewCredentials with a clock of the caller's.
func NewCredentialsAt(clock func() time.Time, sources ...Source) *Credentials {
	return &Credentials{sources: sources, clock: clock, hosts: map[string]*lookup{}}
}

// For returns the credential for a host, anonymous when no source has one. Concurrent callers share one look-up; a
// failed or cancelled one is not remembered.
func (c *Credentials) For(ctx context.Context, host string) (Credential, error) {
	host = accountHost(host)
	for {
		c.mu.Lock()
		l, known := c.hosts[host]
		if known && l.over(c.clock()) {
			known = false
		}
		if !known {
			l = &lookup{done: make(chan struct{})}
			c.hosts[host] = l
			c.mu.Unlock()
			return c.find(ctx, host, l)
		}
		c.mu.Unlock()
		select {
		case <-ctx.Done():
			return Credential{}, context.Cause(ctx)
		case <-l.done:
		}
		// The caller that looked up may have been cancelled; that says nothing about this one.
		if !errors.Is(l.err, context.Canceled) && !errors.Is(l.err, context.DeadlineExceeded) {
			return l.cred, l.err
		}
	}
}

// over tells whether a look-up has ended with a credential that is about to expire.
func (l *lookup) over(now time.Time) bool {
	select {
	case <-l.done:
		return !l.cred.Expires.IsZero() && !now.Before(l.cred.Expires.Add(-renewal))
	default:
		return false
	}
}

// Renew asks the sources again for a host that refused a credential, and tells whether they have another one now. Only
// a credential that expires is asked for again: a registry's clock may be ahead of this machine's.
func (c *Credentials) Renew(ctx context.Context, host string, refused Credential) (Credential, bool, error) {
	if refused.Expires.IsZero() {
		return refused, false, nil
	}
	host = accountHost(host)
	c.mu.Lock()
	// Somebody else may have renewed it meanwhile.
	if l, known := c.hosts[host]; known && l.settled() && l.cred == refused {
		delete(c.hosts, host)
	}
	c.mu.Unlock()
	now, err := c.For(ctx, host)
	return now, err == nil && now != refused, err
}

func (l *lookup) settled() bool {
	select {
	case <-l.done:
		return true
	default:
		return false
	}
}

func (c *Credentials) find(ctx context.Context, host string, l *lookup) (Credential, error) {
	defer close(l.done)
	note := ""
	for _, s := range c.sources {
		l.cred, l.err = s.Credential(ctx, host)
		if end := l.cred.Expires; l.err == nil && !end.IsZero() && !c.clock().Before(end) {
			l.cred = Credential{Note: "the login from " + l.cred.Source + " expired at " + end.UTC().Format(time.RFC3339)}
		}
		if l.err != nil || !l.cred.Anonymous() {
			break
		}
		if l.cred.Note != "" {
			note = l.cred.Note
		}
	}
	if l.err == nil && l.cred.Anonymous() {
		l.cred.Note = note
	}
	if l.err != nil {
		c.mu.Lock()
		delete(c.hosts, host)
		c.mu.Unlock()
	}
	return l.cred, l.err
}

// Explicit are credentials that the user gave by hand, by host. The host "" stands for every host.
type Explicit map[string]Credential

// Credential returns the credential of the host, or that for every host.
func (e Explicit) Credential(_ context.Context, host string) (Credential, error) {
	for given, c := range e {
		if given != "" && accountHost(given) == accountHost(host) {
			return c, nil
		}
	}
	return e[""], nil
}

// DefaultSources are the sources in berth's order: by hand, Docker's configuration, then the kinds' own chains that
// need nothing but the environment. Those of the clouds are in package cloud.
func DefaultSources(explicit Explicit, lookup func(string) (string, bool)) []Source {
	return append([]Source{explicit, DockerConfig(lookup)}, OwnChains(lookup)...)
}
