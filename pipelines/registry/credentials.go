package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"

	"oras.land/oras-go/v2/registry/remote/credentials"
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

// Credentials asks its sources in order and remembers the first answer for each host.
type Credentials struct {
	sources []Source

	mu    sync.Mutex
	hosts map[string]*lookup
}

type lookup struct {
	done chan struct{}
	cred Credential
	err  error
}

// NewCredentials returns credentials that come from the first source that has some.
func NewCredentials(sources ...Source) *Credentials {
	return &Credentials{sources: sources, hosts: map[string]*lookup{}}
}

// For returns the credential for a host, anonymous when no source has one. Concurrent callers share one look-up; a
// failed or cancelled one is not remembered.
func (c *Credentials) For(ctx context.Context, host string) (Credential, error) {
	for {
		c.mu.Lock()
		l, running := c.hosts[host]
		if !running {
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

func (c *Credentials) find(ctx context.Context, host string, l *lookup) (Credential, error) {
	defer close(l.done)
	for _, s := range c.sources {
		l.cred, l.err = s.Credential(ctx, host)
		if l.err != nil || !l.cred.Anonymous() {
			break
		}
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
	if c, ok := e[host]; ok {
		return c, nil
	}
	return e[""], nil
}

// DockerConfig reads Docker's config.json and asks the credential helpers that it names. The folder is DOCKER_CONFIG
// or ~/.docker of the injected environment. A missing file has no credentials.
func DockerConfig(lookup func(string) (string, bool)) Source {
	if dir, _ := lookup("DOCKER_CONFIG"); dir != "" {
		return dockerConfig{filepath.Join(dir, "config.json")}
	}
	for _, name := range []string{"HOME", "USERPROFILE"} {
		if home, _ := lookup(name); home != "" {
			return dockerConfig{filepath.Join(home, ".docker", "config.json")}
		}
	}
	return dockerConfig{}
}

type dockerConfig struct{ path string }

func (d dockerConfig) Credential(ctx context.Context, host string) (Credential, error) {
	if d.path == "" {
		return Credential{}, nil
	}
	store, err := credentials.NewStore(d.path, credentials.StoreOptions{})
	if errors.Is(err, fs.ErrNotExist) {
		return Credential{}, nil
	}
	if err != nil {
		return Credential{}, credentialsFault(host, d.path, err)
	}
	found, err := store.Get(ctx, credentials.ServerAddressFromRegistry(host))
	if err != nil {
		if ctx.Err() != nil {
			return Credential{}, context.Cause(ctx)
		}
		return Credential{}, credentialsFault(host, d.path, err)
	}
	return Credential{
		Username: found.Username, Password: found.Password, IdentityToken: found.RefreshToken,
		AccessToken: found.AccessToken, Source: d.path,
	}, nil
}

// GitHubToken logs in to GHCR with GITHUB_TOKEN or GH_TOKEN, as GITHUB_ACTOR or GITHUB_USERNAME. GHCR checks only the
// token, so that any user name does.
func GitHubToken(lookup func(string) (string, bool)) Source { return githubToken{lookup} }

type githubToken struct {
	lookup func(string) (string, bool)
}

func (g githubToken) Credential(_ context.Context, host string) (Credential, error) {
	if KindOf(host) != GHCR {
		return Credential{}, nil
	}
	source, token := g.first("GITHUB_TOKEN", "GH_TOKEN")
	if token == "" {
		return Credential{}, nil
	}
	_, user := g.first("GITHUB_ACTOR", "GITHUB_USERNAME")
	if user == "" {
		user = "x-access-token"
	}
	return Credential{Username: user, Password: token, Source: source}, nil
}

func (g githubToken) first(names ...string) (name, value string) {
	for _, n := range names {
		if v, _ := g.lookup(n); strings.TrimSpace(v) != "" {
			return n, strings.TrimSpace(v)
		}
	}
	return "", ""
}

// DefaultSources are the sources in berth's order: by hand, Docker's configuration, then the kinds' own chains.
func DefaultSources(explicit Explicit, lookup func(string) (string, bool)) []Source {
	return []Source{explicit, DockerConfig(lookup), GitHubToken(lookup)}
}
