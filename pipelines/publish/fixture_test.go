package publish_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Masterminds/semver/v3"
	"github.com/olareg/olareg"
	olaregconfig "github.com/olareg/olareg/config"

	"github.com/berth-sh/berth/internal/faultproxy"
	"github.com/berth-sh/berth/pipelines/config"
	"github.com/berth-sh/berth/pipelines/facts"
	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/image"
	"github.com/berth-sh/berth/pipelines/plan"
	"github.com/berth-sh/berth/pipelines/publish"
	"github.com/berth-sh/berth/pipelines/registry"
)

// Three components, five tags each: three float, two never move.
const project = `
apiVersion: berth/v1
project: fleet
platforms: [linux/amd64, linux/arm64]
components: {alpha: {go: {}}, bravo: {go: {}}, charlie: {go: {}}}
registries: {main: {prefix: HOST/acme, writers: WRITERS}}
tags:
  - {branch: main, set: ["v{version}", "v{major}.{minor}", "v{major}", latest, "{sha}"]}
  - {branch: "**", set: ["v{version}-dev.{sha}", edge]}
environments: {prd: {registry: main}}
`

const tagsOfMain, components = 5, 3

// harbour is a real registry on loopback with a proxy that injects faults in front of it.
type harbour struct {
	t        *testing.T
	host     string
	proxy    *faultproxy.Proxy
	client   *registry.Client
	direct   *registry.Client // without the proxy, and under another host
	behind   string
	onBefore func(*http.Request)
	onAfter  func(*http.Request)
	mu       sync.Mutex
	stock    stock
}

func newHarbour(t *testing.T) *harbour {
	t.Helper()
	store := olareg.New(olaregconfig.Config{Storage: olaregconfig.ConfigStorage{
		StoreType: olaregconfig.StoreMem, GC: olaregconfig.ConfigGC{Frequency: -1},
	}})
	h := &harbour{t: t}
	h.proxy = faultproxy.New(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		before, after := h.hooks()
		if before != nil {
			before(r)
		}
		store.ServeHTTP(w, r)
		if after != nil {
			after(r)
		}
	}))
	front, back := httptest.NewServer(h.proxy), httptest.NewServer(store)
	t.Cleanup(func() {
		for _, s := range []*httptest.Server{front, back} {
			s.CloseClientConnections()
			s.Close()
		}
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	h.host, h.behind = strings.TrimPrefix(front.URL, "http://"), strings.TrimPrefix(back.URL, "http://")
	h.client, h.direct = newClient(t, time.Minute), newClient(t, time.Minute)
	return h
}

// newClient retries as berth does, with waits that no test notices. silence is how long a registry may say nothing.
func newClient(t *testing.T, silence time.Duration) *registry.Client {
	t.Helper()
	transport := &http.Transport{ResponseHeaderTimeout: silence, MaxIdleConnsPerHost: 16}
	t.Cleanup(transport.CloseIdleConnections)
	return registry.NewClient(registry.Options{
		Transport: transport,
		Clock:     func() time.Time { return time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC) },
		Policy:    registry.Policy{Attempts: 3, Base: time.Millisecond},
	})
}

func (h *harbour) hooks() (before, after func(*http.Request)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.onBefore, h.onAfter
}

// once runs do a single time, at the first request that fits: before the registry sees it, or after it answered.
func (h *harbour) once(after bool, fits func(*http.Request) bool, do func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var one sync.Once
	hook := func(r *http.Request) {
		if fits(r) {
			one.Do(do)
		}
	}
	if after {
		h.onAfter = hook
	} else {
		h.onBefore = hook
	}
}

// ship is one commit's plan and images.
type ship struct {
	plan   plan.Plan
	images []image.Index
}

// digest of a component's image.
func (s ship) digest(component string) string {
	for _, x := range s.images {
		if x.Component == component {
			return x.Descriptor.Digest.String()
		}
	}
	return ""
}

func commit(n int) string { return fmt.Sprintf("%07d%033d", 4200000+n, 0) }

func day(n int) time.Time { return time.Date(2026, 3, n, 12, 0, 0, 0, time.UTC) }

// cargo says what is built.
type cargo struct {
	version string
	branch  string // main when empty
	day     int    // of the commit, which is also what tells commits apart
	hash    int    // number of the commit where it is not the day
	epoch   int    // day that SOURCE_DATE_EPOCH gives the image, where it is not that of the commit
	content string // differs where the same commit gives other bytes
	writers string // a YAML list
	ships   int    // number of components with other names than those of the project; 0 is its own three
}

// stock are images that were made already. They are the same for every registry.
type stock map[cargo][]image.Index

// load makes plan and images of a commit for the registry at host.
func load(t *testing.T, host string, k cargo, made stock) ship {
	t.Helper()
	asked := k
	if k.branch == "" {
		k.branch = "main"
	}
	if k.writers == "" {
		k.writers = "[]"
	}
	text := strings.NewReplacer("HOST", host, "WRITERS", k.writers).Replace(project)
	if k.ships > 0 {
		text = strings.Replace(text, "alpha: {go: {}}, bravo: {go: {}}, charlie: {go: {}}", strings.Join(ships(k.ships), ": {go: {}}, ")+": {go: {}}", 1)
	}
	c, err := config.Parse("berth.yaml", []byte(text), func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	if k.hash == 0 {
		k.hash = k.day
	}
	f := facts.Facts{Commit: commit(k.hash), CommitTime: day(k.day), Branch: k.branch}
	var s ship
	if s.plan, err = plan.Make(c, f, semver.MustParse(k.version), plan.Request{Environment: "prd"}); err != nil {
		t.Fatal(err)
	}
	if s.images = made[asked]; s.images != nil {
		return s
	}
	dir := t.TempDir()
	for _, name := range c.ComponentNames() {
		spec := image.Spec{
			Component: name, Revision: f.Commit, Version: k.version, Created: f.CommitTime,
			CommitTime: f.CommitTime, Base: image.Scratch(), WorkDir: dir,
		}
		if k.epoch != 0 {
			spec.Created = day(k.epoch)
		}
		for _, arch := range []string{"amd64", "arm64"} {
			platform, err := image.ParsePlatform("linux/" + arch)
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, name+arch)
			if err := os.WriteFile(path, []byte(name+arch+k.version+k.content), 0o755); err != nil {
				t.Fatal(err)
			}
			spec.Binaries = append(spec.Binaries, image.Binary{Platform: platform, Path: path})
		}
		x, err := image.Assemble(t.Context(), spec)
		if err != nil {
			t.Fatal(err)
		}
		s.images = append(s.images, x)
	}
	return s
}

// ships are the names of that many components.
func ships(n int) []string {
	var names []string
	for i := range n {
		names = append(names, fmt.Sprintf("ship%02d", i))
	}
	return names
}

func (h *harbour) load(k cargo) ship {
	h.t.Helper()
	return load(h.t, h.host, k, h.stock)
}

func publisher(c *registry.Client) *publish.Publisher {
	return publish.New(
		func(name string) (publish.Target, error) { return c.Repository(name) },
		func(ctx context.Context, name string) (string, error) {
			r, err := c.Repository(name)
			if err != nil {
				return "", err
			}
			return r.Account(ctx)
		},
		laterDay,
		nil,
	)
}

// laterDay is git's answer where all commits stand in one line, by the number in their hash. What is published here is
// numbered below 20.
func laterDay(_ context.Context, other string) (bool, error) { return other >= commit(20), nil }

// publish is what berth does: look, then act.
func (h *harbour) publish(ctx context.Context, s ship) (publish.Receipt, error) {
	return run(ctx, publisher(h.client), s)
}

func run(ctx context.Context, p *publish.Publisher, s ship) (publish.Receipt, error) {
	seen, err := p.Observe(ctx, s.plan)
	if err != nil {
		return publish.Receipt{}, err
	}
	return p.Apply(ctx, s.plan, seen, s.images)
}

// must publishes without a fault.
func (h *harbour) must(k cargo) ship {
	h.t.Helper()
	s := h.load(k)
	if _, err := h.publish(h.t.Context(), s); err != nil {
		h.t.Fatal(err)
	}
	return s
}

// elsewhere publishes past the proxy, as somebody else does. It may be called from any goroutine.
func (h *harbour) elsewhere(s ship) error {
	_, err := run(context.Background(), publisher(h.direct), s)
	return err
}

// loadElsewhere loads what somebody else publishes.
func (h *harbour) loadElsewhere(k cargo) ship {
	h.t.Helper()
	return load(h.t, h.behind, k, h.stock)
}

// tags reads every tag of every component, past the proxy: "component:tag" → digest.
func (h *harbour) tags() map[string]string {
	h.t.Helper()
	return h.tagsOf("alpha", "bravo", "charlie")
}

func (h *harbour) tagsOf(names ...string) map[string]string {
	h.t.Helper()
	found := map[string]string{}
	for _, name := range names {
		r, err := h.direct.Repository(h.behind + "/acme/" + name)
		if err != nil {
			h.t.Fatal(err)
		}
		list, err := r.Tags(context.Background())
		if err != nil && !errors.Is(err, registry.ErrNotFound) {
			h.t.Fatal(err)
		}
		for _, tag := range list {
			desc, err := r.Resolve(context.Background(), tag)
			if err != nil {
				h.t.Fatal(err)
			}
			found[name+":"+tag] = desc.Digest.String()
		}
	}
	return found
}

// expected are the tags that a clean publish of ships, one after the other, leaves behind, and the ships' images.
func expected(t *testing.T, cargos ...cargo) (map[string]string, stock) {
	t.Helper()
	h, made := newHarbour(t), stock{}
	for _, k := range cargos {
		made[k] = h.must(k).images
	}
	return h.tags(), made
}

func same(t *testing.T, what string, got, want map[string]string) {
	t.Helper()
	if maps.Equal(got, want) {
		return
	}
	for tag := range got {
		if got[tag] != want[tag] {
			t.Errorf("%s: %s names %s, want %q", what, tag, got[tag], want[tag])
		}
	}
	for tag := range want {
		if got[tag] == "" {
			t.Errorf("%s: %s is gone, it named %s", what, tag, want[tag])
		}
	}
}

// failed checks that an error is a fault with the code and a next step that holds the text.
func failed(t *testing.T, err error, code fault.Code, next string) {
	t.Helper()
	if fault.CodeOf(err) != code || !strings.Contains(fault.NextOf(err), next) {
		t.Errorf("code %d, want %d: %v\nnext: %s\nwant: %s", fault.CodeOf(err), code, err, fault.NextOf(err), next)
	}
}
