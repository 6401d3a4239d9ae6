package promote_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Masterminds/semver/v3"
	"github.com/olareg/olareg"
	olaregconfig "github.com/olareg/olareg/config"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/berth-sh/berth/pipelines/approve"
	"github.com/berth-sh/berth/pipelines/attest"
	"github.com/berth-sh/berth/pipelines/config"
	"github.com/berth-sh/berth/pipelines/facts"
	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/image"
	"github.com/berth-sh/berth/pipelines/plan"
	"github.com/berth-sh/berth/pipelines/promote"
	"github.com/berth-sh/berth/pipelines/publish"
	"github.com/berth-sh/berth/pipelines/registry"
)

// The road of kubernaut with two components: dev has a registry of its own, staging and production share one.
const project = `
apiVersion: berth/v1
project: fleet
platforms: [linux/amd64, linux/arm64]
components: {alpha: {go: {}}, bravo: {go: {}}}
registries:
  development: {prefix: dev.example.com/o}
  production:  {prefix: prd.example.com/o}
environments:
  dev:
    registry: development
    refs: {branches: ["**"]}
    tags: [{branch: "feature/**", set: ["dev-{sha}", "feature-{branch}"]}, {branch: "**", set: ["dev-{sha}", dev-latest]}]
    retention: [{match: "dev-latest", keep: forever}, {match: "*", keep: 30d}]
  staging:
    registry: production
    retention: [{match: "staging-*", keep: 90d}]
    WRITERS
    promote: {from: dev, APPROVALS set: ["staging-v{version}-rc{n}", staging-latest]}
  production:
    registry: production
    promote: {from: staging, QA SIGNED set: ["v{version}", "v{major}.{minor}", "v{major}", latest]}
    immutable: ["v*.*.*"]
approvers:
  - {name: Ann, role: release-manager, key: ann.pub}
  - {name: Bob, role: qa, key: bob.pub}
`

// yard is two registries in memory and the rules of the project. Everything in it is safe for concurrent use.
type yard struct {
	t       *testing.T
	config  *config.Config
	servers map[string]*olareg.Server
	keys    approve.Keyring
	signers map[string]*attest.Signer

	requests atomic.Int64
	mu       sync.Mutex
	log      []string
	before   func(*http.Request) error
	after    func(*http.Request, *http.Response) error
	// shared are the images that were made, by cargo: yards of the same project may have them in common.
	shared *sync.Map
	ticks  atomic.Int64
	wait   func(context.Context, time.Duration) error
}

// options vary the project.
type options struct {
	approvals bool // as in DD-REGISTRY-001
	writers   string
	signed    bool
	fallback  bool // the production registry has no referrers API
	small     bool // one component for one platform
}

func newYard(t *testing.T, o options) *yard {
	t.Helper()
	replace := []string{"WRITERS", "", "APPROVALS", "", "QA", "", "SIGNED", ""}
	if o.approvals {
		replace = []string{"APPROVALS", "approvals: [release-manager],", "QA", "approvals: [release-manager, qa],"}
	}
	if o.writers != "" {
		replace = append([]string{"WRITERS", "writers: [" + o.writers + "]"}, replace...)
	}
	if o.signed {
		replace = append([]string{"SIGNED", "signed: true,"}, replace...)
	}
	replace = append(replace, "WRITERS", "", "SIGNED", "")
	if o.small {
		replace = append(replace, "bravo: {go: {}}", "", "linux/amd64, linux/arm64", "linux/amd64")
	}
	c, err := config.Parse("berth.yaml", []byte(strings.NewReplacer(replace...).Replace(project)),
		func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	y := &yard{
		t: t, config: c, servers: map[string]*olareg.Server{}, signers: map[string]*attest.Signer{},
		shared: &sync.Map{},
	}
	yes := true
	for host, referrers := range map[string]bool{"dev.example.com": true, "prd.example.com": !o.fallback} {
		y.servers[host] = olareg.New(olaregconfig.Config{
			Storage: olaregconfig.ConfigStorage{StoreType: olaregconfig.StoreMem, GC: olaregconfig.ConfigGC{Frequency: -1}},
			API: olaregconfig.ConfigAPI{
				DeleteEnabled: &yes, Referrer: olaregconfig.ConfigAPIReferrer{Enabled: &referrers},
			},
		})
	}
	people := keyPairs()
	for name, person := range people {
		y.signers[name] = person.signer
	}
	y.keys, err = approve.LoadKeys(c, func(name string) ([]byte, error) { return people[strings.TrimSuffix(name, ".pub")].public, nil })
	if err != nil {
		t.Fatal(err)
	}
	return y
}

// person has a key.
type person struct {
	signer *attest.Signer
	public []byte
}

// keyPairs are made once: to encrypt and decrypt a private key takes long on purpose.
var keyPairs = sync.OnceValue(func() map[string]person {
	out := map[string]person{}
	for _, name := range []string{"ann", "bob"} {
		pair, err := attest.GeneratePair(nil)
		if err != nil {
			panic(err)
		}
		signer, err := attest.ParsePrivateKey(pair.Private, func() ([]byte, error) { return nil, nil })
		if err != nil {
			panic(err)
		}
		out[name] = person{signer, pair.Public}
	}
	return out
})

// clock ticks once each time it is read, so that records have an order.
func (y *yard) clock() time.Time { return day(28).Add(time.Duration(y.ticks.Add(1)) * time.Second) }

// RoundTrip answers in memory, without a connection.
func (y *yard) RoundTrip(r *http.Request) (*http.Response, error) {
	y.requests.Add(1)
	y.mu.Lock()
	y.log = append(y.log, r.Method+" "+r.URL.Host+r.URL.Path)
	before, after := y.before, y.after
	y.mu.Unlock()
	if before != nil {
		if err := before(r); err != nil {
			return nil, err
		}
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	server, ok := y.servers[r.URL.Host]
	if !ok {
		return nil, fmt.Errorf("no registry %s", r.URL.Host)
	}
	inner := r.Clone(r.Context())
	inner.RequestURI = r.URL.RequestURI()
	if inner.Body == nil {
		inner.Body = http.NoBody
	}
	w := httptest.NewRecorder()
	server.ServeHTTP(w, inner)
	resp := w.Result()
	resp.Request = r
	if after != nil {
		if err := after(r, resp); err != nil {
			return nil, err
		}
	}
	return resp, nil
}

// reset forgets the requests so far.
func (y *yard) reset() {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.log = nil
	y.requests.Store(0)
}

func (y *yard) count(method, part string) int {
	y.mu.Lock()
	defer y.mu.Unlock()
	n := 0
	for _, line := range y.log {
		if strings.HasPrefix(line, method) && strings.Contains(line, part) {
			n++
		}
	}
	return n
}

// hook runs before every request, until it is set to nil.
func (y *yard) hook(before func(*http.Request) error) { y.hooks(before, nil) }

// hooks run before every request, and after it was answered.
func (y *yard) hooks(before func(*http.Request) error, after func(*http.Request, *http.Response) error) {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.before, y.after = before, after
}

func (y *yard) close() {
	for _, s := range y.servers {
		_ = s.Close()
	}
}

func (y *yard) client(account string) *registry.Client {
	return registry.NewClient(registry.Options{
		Transport: y, Clock: y.clock, Policy: registry.Policy{Attempts: 1, Base: time.Nanosecond},
		Credentials: registry.NewCredentials(registry.Explicit{"": {Username: account, Password: "secret"}}),
	})
}

func commit(n int) string { return fmt.Sprintf("%07d%033d", 4200000+n, 0) }

func day(n int) time.Time { return time.Date(2026, 3, n, 12, 0, 0, 0, time.UTC) }

// cargo says what is built: the version, and the day of the commit, which also numbers it.
type cargo struct {
	version string
	day     int
	expires string // quay.expires-after
	only    string // an architecture
	suffix  string // of the revision
}

// build makes the images of a commit.
func (y *yard) build(k cargo) []image.Index {
	y.t.Helper()
	y.mu.Lock()
	defer y.mu.Unlock()
	if made, ok := y.shared.Load(k); ok {
		return made.([]image.Index)
	}
	dir := y.t.TempDir()
	var made []image.Index
	for _, name := range y.config.ComponentNames() {
		spec := image.Spec{
			Component: name, Revision: commit(k.day) + k.suffix, Version: k.version, Created: day(k.day),
			CommitTime: day(k.day), Base: image.Scratch(), WorkDir: dir,
		}
		if k.expires != "" {
			spec.Labels = map[string]string{"quay.expires-after": k.expires}
		}
		for _, arch := range []string{"amd64", "arm64"} {
			if k.only != "" && arch != k.only || !slices.Contains(y.config.Platforms, "linux/"+arch) {
				continue
			}
			path := filepath.Join(dir, name+arch)
			if err := os.WriteFile(path, []byte(name+arch+k.version), 0o755); err != nil {
				y.t.Fatal(err)
			}
			spec.Binaries = append(spec.Binaries, image.Binary{Platform: ocispec.Platform{OS: "linux", Architecture: arch}, Path: path})
		}
		x, err := image.Assemble(context.Background(), spec)
		if err != nil {
			y.t.Fatal(err)
		}
		made = append(made, x)
	}
	y.shared.Store(k, made)
	return made
}

// publish builds a commit of develop and publishes it to dev.
func (y *yard) publish(ctx context.Context, k cargo) error {
	y.t.Helper()
	f := facts.Facts{Commit: commit(k.day), CommitTime: day(k.day), Branch: "develop"}
	request := plan.Request{Environment: "dev"}
	if k.only != "" {
		request.Platforms = []string{"linux/" + k.only}
	}
	pl, err := plan.Make(y.config, f, semver.MustParse(k.version), request)
	if err != nil {
		return err
	}
	c := y.client("ci")
	p := publish.New(
		func(name string) (publish.Target, error) { return c.Repository(name) },
		func(context.Context, string) (string, error) { return "ci", nil },
		func(_ context.Context, other string) (bool, error) { return other > commit(k.day), nil }, nil,
	)
	if y.wait != nil {
		p = p.Waiting(y.wait)
	}
	seen, err := p.Observe(ctx, pl)
	if err != nil {
		return err
	}
	_, err = p.Apply(ctx, pl, seen, y.build(k))
	return err
}

// promoter is one run with a commit checked out.
func (y *yard) promoter(k cargo, account string, signer *attest.Signer) *promote.Promoter {
	return promote.New(promote.Options{
		Config: y.config,
		Checkout: promote.Checkout{
			Commit: commit(k.day), Version: semver.MustParse(k.version),
			Released: func(context.Context, *semver.Version) (string, error) { return "", nil },
			Descends: func(_ context.Context, a, b string) (bool, error) { return a > b, nil },
		},
		Open: y.client(account).Repository,
		Approved: func(ctx context.Context, s promote.Subject) (approve.Verdict, error) {
			rules, err := approve.RulesFor(y.config, y.keys, s.To)
			if err != nil {
				return approve.Verdict{}, err
			}
			return approve.Check(ctx, rules, s.Repository, s.Digest, nil, y.clock())
		},
		Trusted: func(ctx context.Context, record attest.Document) bool {
			return y.keys.RecorderOf(ctx, record) != ""
		},
		Signer: signer,
		Now:    y.clock,
		Wait:   y.wait,
	})
}

// promote is what berth does: look, then act.
func (y *yard) promote(ctx context.Context, k cargo, r promote.Request) (promote.Receipt, error) {
	p := y.promoter(k, "robot", nil)
	w, err := p.Prepare(ctx, r)
	if err != nil {
		return promote.Receipt{}, err
	}
	return p.Apply(ctx, w)
}

// approve signs for everything that a tag names, in the environment that to's rule names.
func (y *yard) approve(ctx context.Context, who, role, to, tag string) error {
	rules, err := approve.RulesFor(y.config, y.keys, to)
	if err != nil {
		return err
	}
	prefix := y.config.Registries[y.config.Environments[rules.From].Registry].Prefix
	for _, name := range y.config.ComponentNames() {
		r, err := y.client(who).Repository(prefix + "/" + name)
		if err != nil {
			return err
		}
		desc, err := r.Resolve(ctx, tag)
		if err != nil {
			return err
		}
		_, err = rules.Give(ctx, r, approve.Image{Component: name, Repository: r.String(), Descriptor: desc},
			approve.Approval{Signer: y.signers[who], Role: role}, y.clock())
		if err != nil {
			return err
		}
	}
	return nil
}

func (y *yard) repository(name string) *registry.Repository {
	y.t.Helper()
	r, err := y.client("reader").Repository(name)
	if err != nil {
		y.t.Fatal(err)
	}
	return r
}

// tags reads every tag at a host: "component:tag" → digest. The fallback tags of referrers are left out.
func (y *yard) tags(host string) map[string]string {
	y.t.Helper()
	found := map[string]string{}
	for _, name := range y.config.ComponentNames() {
		r := y.repository(host + "/o/" + name)
		list, err := r.Tags(context.Background())
		if err != nil && !errors.Is(err, registry.ErrNotFound) {
			y.t.Fatal(err)
		}
		for _, tag := range list {
			if strings.HasPrefix(tag, "sha256-") {
				continue
			}
			desc, err := r.Resolve(context.Background(), tag)
			if err != nil {
				y.t.Fatal(err)
			}
			found[name+":"+tag] = desc.Digest.String()
		}
	}
	return found
}

// records reads the promotions of an image at the production registry.
func (y *yard) records(component, digest string) []*attest.Promotion {
	y.t.Helper()
	return y.recordsAt("prd.example.com/o/"+component, digest)
}

func (y *yard) recordsAt(repository, d string) []*attest.Promotion {
	y.t.Helper()
	listed, err := attest.List(context.Background(), y.repository(repository), digest.Digest(d), attest.PromotionType)
	if err != nil && !errors.Is(err, registry.ErrNotFound) {
		y.t.Fatal(err)
	}
	var out []*attest.Promotion
	for _, a := range listed {
		if said, ok := a.Predicate.(*attest.Promotion); ok {
			out = append(out, said)
		}
	}
	return out
}

// actions are what a receipt says: "component:tag" → action.
func actions(r promote.Receipt) map[string]string {
	out := map[string]string{}
	for _, x := range r.Images {
		for _, tag := range x.Tags {
			out[x.Component+":"+tag.Name] = string(tag.Action)
		}
	}
	return out
}

func version(s string) *semver.Version { return semver.MustParse(s) }

// must stops the test at an error.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%v\nnext: %s", err, fault.NextOf(err))
	}
}

// failed checks that an error has a code, and that its text or next step holds the parts.
func failed(t *testing.T, err error, code fault.Code, parts ...string) {
	t.Helper()
	if fault.CodeOf(err) != code {
		t.Errorf("code %d, want %d: %v", fault.CodeOf(err), code, err)
		return
	}
	for _, part := range parts {
		if !strings.Contains(err.Error()+"\n"+fault.NextOf(err), part) {
			t.Errorf("%q is missing in: %v\nnext: %s", part, err, fault.NextOf(err))
		}
	}
}

func same(t *testing.T, what string, got, want map[string]string) {
	t.Helper()
	if maps.Equal(got, want) {
		return
	}
	for _, tag := range slices.Sorted(maps.Keys(got)) {
		if got[tag] != want[tag] {
			t.Errorf("%s: %s names %s, want %q", what, tag, got[tag], want[tag])
		}
	}
	for _, tag := range slices.Sorted(maps.Keys(want)) {
		if got[tag] == "" {
			t.Errorf("%s: %s is gone, it named %s", what, tag, want[tag])
		}
	}
}
