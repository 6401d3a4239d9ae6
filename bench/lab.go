package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"
)

// Lab is the place where all sides run: their programs, folders and registries.
type Lab struct {
	dir     string
	root    string // berth's repository
	berth   string
	peers   map[string]string // path by name; absent when not installed
	environ []string          // of every child

	source, target *registry
}

// newLab builds berth, finds the peers and starts two registries.
func newLab(ctx context.Context, dir, tools string) (*Lab, error) {
	root, err := filepath.Abs(".")
	if err != nil {
		return nil, err
	}
	l := &Lab{dir: dir, root: root, berth: filepath.Join(dir, "bin", "berth"), peers: map[string]string{}}
	l.environ = []string{
		"HOME=" + filepath.Join(dir, "home"), "DOCKER_CONFIG=" + filepath.Join(dir, "home", "docker"),
		"REGCTL_CONFIG=" + filepath.Join(dir, "home", "regctl.json"), "GIT_CONFIG_NOSYSTEM=1",
		"BERTH_CACHE=" + filepath.Join(dir, "home", "berth"),
		"GIT_AUTHOR_NAME=bench", "GIT_AUTHOR_EMAIL=bench@example.com",
		"GIT_COMMITTER_NAME=bench", "GIT_COMMITTER_EMAIL=bench@example.com",
		"GIT_AUTHOR_DATE=2026-01-02T03:04:05Z", "GIT_COMMITTER_DATE=2026-01-02T03:04:05Z",
	}
	// The caches of the user: a cold cache is a case of its own.
	for _, name := range []string{"GOCACHE", "GOMODCACHE"} {
		out, err := exec.CommandContext(ctx, "go", "env", name).Output()
		if err != nil {
			return nil, fmt.Errorf("go env: %w", err)
		}
		l.environ = append(l.environ, name+"="+strings.TrimSpace(string(out)))
	}
	if err := os.MkdirAll(filepath.Join(dir, "home", "docker"), 0o755); err != nil {
		return nil, err
	}
	build := l.command(ctx, root, []string{"CGO_ENABLED=0"}, "go", "build", "-trimpath", "-o", l.berth, ".")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build berth: %w\n%s", err, out)
	}
	for _, name := range []string{"ko", "crane", "regctl"} {
		if file, err := filepath.Abs(filepath.Join(tools, name)); err == nil && isFile(file) {
			l.peers[name] = file
		}
	}
	for _, name := range []string{"skopeo", "git", "docker-registry", "xargs", "dagger"} {
		if file, err := exec.LookPath(name); err == nil {
			l.peers[name] = file
		}
	}
	if l.peers["docker-registry"] == "" {
		return nil, errors.New("docker-registry is missing; install it: apt-get install docker-registry skopeo")
	}
	if l.source, err = l.startRegistry(ctx, "source"); err != nil {
		return nil, err
	}
	if l.target, err = l.startRegistry(ctx, "target"); err != nil {
		l.close()
		return nil, err
	}
	for _, r := range []*registry{l.source, l.target} {
		if regctl := l.peers["regctl"]; regctl != "" {
			set := l.command(ctx, dir, nil, regctl, "registry", "set", "--tls", "disabled", "--skip-check", r.host)
			if out, err := set.CombinedOutput(); err != nil {
				return nil, fmt.Errorf("regctl: %w\n%s", err, out)
			}
		}
	}
	return l, nil
}

func (l *Lab) close() {
	for _, r := range []*registry{l.source, l.target} {
		if r != nil {
			r.close()
		}
	}
}

// start begins to count.
func (l *Lab) start(latency time.Duration) {
	for _, r := range []*registry{l.source, l.target} {
		r.latency.Store(int64(latency))
		r.requests.Store(0)
		r.sent.Store(0)
	}
}

// stop ends that, and gives the number of requests and the megabytes that were sent.
func (l *Lab) stop() (requests int, sent float64) {
	for _, r := range []*registry{l.source, l.target} {
		r.latency.Store(0)
		requests += int(r.requests.Load())
		sent += float64(r.sent.Load()) / 1e6
	}
	return requests, sent
}

// registry is a docker-registry behind a proxy.
type registry struct {
	host  string // of the proxy
	dir   string
	front *http.Server
	back  *exec.Cmd

	latency, sent atomic.Int64
	requests      atomic.Int64
}

func (l *Lab) startRegistry(ctx context.Context, name string) (*registry, error) {
	r := &registry{dir: filepath.Join(l.dir, name)}
	back, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	config := filepath.Join(l.dir, name+".yml")
	text := fmt.Sprintf("version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\n"+
		"storage: {filesystem: {rootdirectory: %q, maxthreads: 200}, delete: {enabled: true}}\n"+
		"http: {addr: %q}\n", r.dir, back)
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		return nil, err
	}
	r.back = exec.CommandContext(ctx, l.peers["docker-registry"], "serve", config)
	r.back.Env = append(os.Environ(), "OTEL_TRACES_EXPORTER=none")
	if err := r.back.Start(); err != nil {
		return nil, err
	}
	if err := waitFor(ctx, "http://"+back+"/v2/"); err != nil {
		r.close()
		return nil, fmt.Errorf("docker-registry: %w", err)
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		r.close()
		return nil, err
	}
	r.host = fmt.Sprintf("localhost:%d", listener.Addr().(*net.TCPAddr).Port) //nolint:forcetypeassert // it is TCP
	r.front = &http.Server{Handler: r.proxy(&url.URL{Scheme: "http", Host: back}), ReadHeaderTimeout: time.Minute}
	go func() { _ = r.front.Serve(listener) }()
	return r, nil
}

// proxy waits, counts and passes on.
func (r *registry) proxy(back *url.URL) http.Handler {
	p := &httputil.ReverseProxy{
		Rewrite: func(q *httputil.ProxyRequest) {
			q.SetURL(back)
			q.Out.Host = q.In.Host // so that upload locations come back here
		},
		Transport:  &http.Transport{MaxIdleConnsPerHost: 256, DisableCompression: true},
		BufferPool: pool{},
		ErrorLog:   nil,
	}
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		r.requests.Add(1)
		if d := time.Duration(r.latency.Load()); d > 0 {
			select {
			case <-time.After(d):
			case <-q.Context().Done():
				return
			}
		}
		if q.Body != nil {
			q.Body = &counted{ReadCloser: q.Body, n: &r.sent}
		}
		p.ServeHTTP(w, q)
	})
}

// pool gives the proxy large buffers, so that it does not slow down what it measures.
type pool struct{}

func (pool) Get() []byte { return make([]byte, 256<<10) }
func (pool) Put([]byte)  {}

type counted struct {
	io.ReadCloser
	n *atomic.Int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.n.Add(int64(n))
	return n, err
}

func (r *registry) close() {
	if r.front != nil {
		_ = r.front.Close()
	}
	if r.back != nil && r.back.Process != nil {
		_ = r.back.Process.Kill()
		_ = r.back.Wait()
	}
}

// wipe removes every repository. docker-registry without its cache reads its folder anew at each request.
func (r *registry) wipe(context.Context) error {
	return removeAll(filepath.Join(r.dir, "docker"))
}

// repositories is where repositories lie on the disk.
func (r *registry) repositories() string {
	return filepath.Join(r.dir, "docker/registry/v2/repositories")
}

func freePort(ctx context.Context) (string, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String(), nil
}

func waitFor(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for {
		q, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(q)
		if err == nil {
			_ = resp.Body.Close()
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func isFile(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.Mode().IsRegular()
}

// removeAll also removes what Go's module cache made read-only.
func removeAll(dir string) error {
	_ = filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			_ = os.Chmod(name, 0o755)
		}
		return nil
	})
	return os.RemoveAll(dir)
}
