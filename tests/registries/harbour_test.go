package registries

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/Masterminds/semver/v3"

	"github.com/berth-sh/berth/internal/distribution"
	"github.com/berth-sh/berth/internal/faultproxy"
	"github.com/berth-sh/berth/pipelines/config"
	"github.com/berth-sh/berth/pipelines/facts"
	"github.com/berth-sh/berth/pipelines/image"
	"github.com/berth-sh/berth/pipelines/plan"
	"github.com/berth-sh/berth/pipelines/publish"
	"github.com/berth-sh/berth/pipelines/registry"
	"github.com/berth-sh/berth/pipelines/sandbox"
)

// harbour is a registry of some kind, with a proxy in front that counts and injects faults.
type harbour struct {
	kind       string
	host, path string
	user, pass string
	ca         string
	base       http.RoundTripper
	proxy      *faultproxy.Proxy
	box        *sandbox.Sandbox // nil for a real server
}

// kinds are the kinds of the table and a host of each. The last one is a real server, on a port of this machine.
func kinds() [][2]string {
	return [][2]string{
		{"ghcr", "ghcr.io"},
		{"ecr", "123456789012.dkr.ecr.eu-west-1.amazonaws.com"},
		{"gcr", "europe-west1-docker.pkg.dev"},
		{"quay", "quay.io"},
		{"oci", "registry.example.com"},
		{"docker-registry", ""},
	}
}

// open opens a registry that nobody has used yet.
func open(t *testing.T, kind, host string, o sandbox.Options) *harbour {
	t.Helper()
	h := &harbour{kind: kind, host: host, path: "acme/fleet", proxy: faultproxy.New(nil)}
	if host == "" {
		server := distribution.Start(t, distribution.Options{TLS: true, Login: true, Delete: true})
		h.host, h.ca = server.Host, server.CA
		h.user, h.pass = distribution.Username, distribution.Password
		pool, pem := x509.NewCertPool(), read(t, server.CA)
		pool.AppendCertsFromPEM(pem)
		direct := http.DefaultTransport.(*http.Transport).Clone()
		direct.TLSClientConfig = &tls.Config{RootCAs: pool}
		t.Cleanup(direct.CloseIdleConnections)
		h.base = direct
		return h
	}
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	box, err := sandbox.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = box.Close() })
	h.box, h.base, h.user, h.pass = box, box.Transport(), sandbox.Username, sandbox.Password
	return h
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// client is a new client with that password.
func (h *harbour) client(password string) *registry.Client {
	return registry.NewClient(registry.Options{
		Transport: h.proxy.Wrap(h.base),
		CA:        func(string) string { return h.ca },
		Policy:    registry.Policy{Base: time.Millisecond},
		Credentials: registry.NewCredentials(registry.Explicit{
			h.host: {Username: h.user, Password: password, Source: "test"},
		}),
	})
}

func (h *harbour) repository(t *testing.T, c *registry.Client, name string) *registry.Repository {
	t.Helper()
	r, err := c.Repository(h.host + "/" + h.path + "/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// ship is what is published: a component at a commit.
type ship struct {
	plan   plan.Plan
	images []image.Index
}

// load makes the image of one component and its plan: version 1.0.0 on main, with content of one's own.
func (h *harbour) load(t *testing.T, content string) ship {
	t.Helper()
	text := "apiVersion: berth/v1\nproject: fleet\nplatforms: [linux/amd64]\ncomponents: {web: {go: {}}}\n" +
		"registries: {main: {prefix: " + h.host + "/" + h.path + "}}\n" +
		"tags: [{branch: main, set: [\"v{version}\", latest]}]\nenvironments: {prd: {registry: main, refs: {branches: [main]}}}\n"
	c, err := config.Parse("berth.yaml", []byte(text), func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	commit := strings.Repeat("a", 40)
	var s ship
	s.plan, err = plan.Make(c, facts.Facts{Commit: commit, CommitTime: at, Branch: "main"}, semver.MustParse("1.0.0"),
		plan.Request{Environment: "prd"})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "web")
	if err := os.WriteFile(file, []byte(content), 0o755); err != nil {
		t.Fatal(err)
	}
	platform, err := image.ParsePlatform("linux/amd64")
	if err != nil {
		t.Fatal(err)
	}
	x, err := image.Assemble(t.Context(), image.Spec{
		Component: "web", Revision: commit, Version: "1.0.0", Created: at, CommitTime: at, Base: image.Scratch(),
		WorkDir: dir, Binaries: []image.Binary{{Platform: platform, Path: file}},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.images = []image.Index{x}
	return s
}

// publish does what `berth publish` does. between runs after the tags were looked at and before anything is sent.
func publishShip(ctx context.Context, c *registry.Client, s ship, between func()) (publish.Receipt, error) {
	p := publish.New(
		func(name string) (publish.Target, error) { return c.Repository(name) },
		func(ctx context.Context, name string) (string, error) {
			r, err := c.Repository(name)
			if err != nil {
				return "", err
			}
			return r.Account(ctx)
		},
		func(context.Context, string) (bool, error) { return false, nil },
		nil,
	)
	seen, err := p.Observe(ctx, s.plan)
	if err != nil {
		return publish.Receipt{}, err
	}
	between()
	return p.Apply(ctx, s.plan, seen, s.images)
}

func nothing() {}
