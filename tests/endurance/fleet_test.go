package endurance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"

	"github.com/berth-sh/berth/internal/distribution"
	"github.com/berth-sh/berth/pipelines/registry"
)

// fleet is a repository whose images are built, and a registry to publish them to, under a prefix for each run.
type fleet struct {
	berth, dir string
	components []string
	host       string
}

// newFleet builds berth and the images of so many components, and starts a registry.
func newFleet(t *testing.T, components int) *fleet {
	t.Helper()
	if testing.Short() {
		t.Skip("builds programs")
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	f := &fleet{berth: filepath.Join(t.TempDir(), "berth"), dir: t.TempDir()}
	f.host = distribution.Start(t, distribution.Options{}).Host
	f.must(t, root, "go", "build", "-o", f.berth, ".")
	config := "apiVersion: berth/v1\nproject: fleet\nversion: {file: VERSION}\nsource: https://example.com/acme/fleet\n" +
		"platforms: [linux/amd64, linux/arm64]\nregistries: {main: {prefix: \"${FLEET}\"}}\n" +
		"tags: [{branch: main, set: [\"v{version}\", latest, \"{sha}\"]}]\nenvironments: {prd: {registry: main, refs: {branches: [main]}}}\ncomponents:\n"
	for i := range components {
		name := fmt.Sprintf("ship%02d", i)
		f.components = append(f.components, name)
		config += fmt.Sprintf("  %s: {go: {dir: ship}, labels: {ship: %q}}\n", name, name)
	}
	f.write(t, "berth.yaml", config)
	f.write(t, "VERSION", "1.0.0\n")
	f.write(t, ".gitignore", "images\n")
	f.write(t, "ship/go.mod", "module example.com/acme/fleet/ship\n\ngo "+strings.TrimPrefix(runtime.Version(), "go")+"\n")
	f.write(t, "ship/main.go", "package main\n\nfunc main() { println(\"ahoy\") }\n")
	for _, args := range [][]string{
		{"init", "--quiet", "--initial-branch=main"},
		{"add", "--all"},
		{"commit", "--quiet", "--message=feat: launch the fleet"},
	} {
		f.must(t, f.dir, "git", args...)
	}
	f.must(t, f.dir, f.berth, "build", "--output", "images")
	return f
}

func (f *fleet) write(t *testing.T, name, text string) {
	t.Helper()
	file := filepath.Join(f.dir, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// command is a program with nothing of a CI in its environment.
func (f *fleet) command(prefix, dir, name string, args ...string) (*exec.Cmd, *bytes.Buffer) {
	cmd, output := exec.Command(name, args...), new(bytes.Buffer)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, output, output
	cmd.Env = []string{
		"FLEET=" + prefix, "GIT_CONFIG_GLOBAL=" + os.DevNull, "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL=ada@example.com", "GIT_AUTHOR_DATE=2026-01-02T03:04:05Z",
		"GIT_COMMITTER_NAME=Ada", "GIT_COMMITTER_EMAIL=ada@example.com", "GIT_COMMITTER_DATE=2026-01-02T03:04:05Z",
		"DOCKER_CONFIG=" + f.dir, "BERTH_CACHE=" + filepath.Join(filepath.Dir(f.berth), "cache"),
	}
	for _, keep := range []string{
		"PATH", "HOME", "TMPDIR", "GOCACHE", "GOMODCACHE", "GOPATH", "GOPROXY", "GOFLAGS", "GOTOOLCHAIN",
	} {
		if v, ok := os.LookupEnv(keep); ok {
			cmd.Env = append(cmd.Env, keep+"="+v)
		}
	}
	return cmd, output
}

func (f *fleet) must(t *testing.T, dir, name string, args ...string) {
	t.Helper()
	if cmd, output := f.command("localhost:1/none", dir, name, args...); cmd.Run() != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), cmd.ProcessState, output)
	}
}

// publish is the command that publishes the images under a prefix.
func (f *fleet) publish(prefix string) (*exec.Cmd, *bytes.Buffer) {
	return f.command(prefix, f.dir, f.berth, "publish", "--from", "images")
}

// gate is a proxy in front of the registry that watches requests go by.
type gate struct {
	host string

	mu    sync.Mutex
	count int
	watch func(n int, r *http.Request) (pass bool)
}

// open opens a gate. watch is told each request with its number from 1, before the registry sees it; what it does not
// let pass is never answered.
func (f *fleet) open(t *testing.T, watch func(n int, r *http.Request) (pass bool)) *gate {
	t.Helper()
	g := &gate{watch: watch}
	behind := &url.URL{Scheme: "http", Host: f.host}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(behind)
		r.Out.Host = r.In.Host // the registry answers with addresses under the name that it was called by
	}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if g.pass(r) {
			proxy.ServeHTTP(w, r)
			return
		}
		// The body must be read, or the server does not notice that the client has gone.
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}))
	server.Config.ErrorLog, proxy.ErrorLog = quiet(), quiet()
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	g.host = strings.Replace(strings.TrimPrefix(server.URL, "http://"), "127.0.0.1", "localhost", 1)
	return g
}

func (g *gate) pass(r *http.Request) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.count++
	return g.watch(g.count, r)
}

// contents are the tags of every component below a path of the registry, "component:tag" → digest. Every image that a
// tag names must be whole.
func (f *fleet) contents(t *testing.T, path string) map[string]string {
	t.Helper()
	client, found := registry.NewClient(registry.Options{}), map[string]string{}
	for _, component := range f.components {
		r, err := client.Repository(f.host + "/" + path + "/" + component)
		if err != nil {
			t.Fatal(err)
		}
		tags, err := r.Tags(t.Context())
		if err != nil && !errors.Is(err, registry.ErrNotFound) {
			t.Fatal(err)
		}
		for _, tag := range tags {
			desc, err := r.Resolve(t.Context(), tag)
			if err != nil {
				t.Fatal(err)
			}
			found[component+":"+tag] = desc.Digest.String()
			if err := whole(t.Context(), r, desc); err != nil {
				t.Errorf("%s:%s names an image that is not whole: %v", r, tag, err)
			}
		}
	}
	return found
}

// whole checks that everything below a descriptor is there.
func whole(ctx context.Context, r *registry.Repository, desc ocispec.Descriptor) error {
	ok, err := r.Exists(ctx, desc)
	if err != nil || !ok {
		return errors.Join(err, fmt.Errorf("%s of type %s exists: %v", desc.Digest, desc.MediaType, ok))
	}
	children, err := content.Successors(ctx, r, desc)
	for _, child := range children {
		err = errors.Join(err, whole(ctx, r, child))
	}
	return err
}

func same(t *testing.T, what string, got, want map[string]string) {
	t.Helper()
	if !maps.Equal(got, want) {
		t.Errorf("%s: the registry has\n%s\nwant\n%s", what, lines(got), lines(want))
	}
}

func lines(m map[string]string) string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, k+" "+m[k])
	}
	return strings.Join(out, "\n")
}
