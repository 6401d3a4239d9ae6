package sandbox

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// maxManifest is more than any registry takes for a manifest, in bytes.
const maxManifest = 16 << 20

// acceptAnything names the types of manifests where the client did not: olareg takes a missing Accept, or "*/*", for
// none at all, where real registries send what they have.
func acceptAnything(r *http.Request) {
	if accept := strings.Join(r.Header.Values("Accept"), ","); accept == "" || strings.Contains(accept, "*/*") {
		r.Header.Set("Accept", strings.Join([]string{
			ocispec.MediaTypeImageIndex, ocispec.MediaTypeImageManifest,
			"application/vnd.docker.distribution.manifest.list.v2+json",
			"application/vnd.docker.distribution.manifest.v2+json",
		}, ", "))
	}
}

// forward translates the names of the request into olareg's and those of the answer back.
func (s *Sandbox) forward(w http.ResponseWriter, r *http.Request, c call) {
	inner := r.Clone(r.Context())
	inner.URL.Path = "/v2/" + c.inside() + strings.TrimPrefix(r.URL.Path, "/v2/"+c.repository)
	inner.URL.RawPath = ""
	acceptAnything(inner)
	if q := inner.URL.Query(); q.Get("from") != "" {
		s.translateMount(r, c, q)
		inner.URL.RawQuery = q.Encode()
	}
	if c.endpoint == "tags" && r.Method == http.MethodGet {
		q := inner.URL.Query()
		c.habits.page(q)
		inner.URL.RawQuery = q.Encode()
		m := &memo{header: http.Header{}}
		s.guarded(m, inner, c)
		m.rename(c).replay(&translated{ResponseWriter: w, prefix: c.folder})
		return
	}
	s.guarded(&translated{ResponseWriter: w, prefix: c.folder}, inner, c)
}

// translateMount maps the source of a mount. Without the right to read the source there is no mount, and the request
// begins a plain upload, as the specification wants. So it does where the registry does not mount.
func (s *Sandbox) translateMount(r *http.Request, c call, q url.Values) {
	unmountable := c.habits.mountless && !s.options.MountBlobs
	if unmountable || c.habits.tokens != "" && !s.mayPull(r, c.host, q.Get("from")) {
		q.Del("from")
		q.Del("mount")
		return
	}
	q.Set("from", c.folder+"/"+q.Get("from"))
}

// locks has one lock for each repository.
type locks struct {
	mu    sync.Mutex
	repos map[string]*sync.RWMutex
}

func (l *locks) of(name string) *sync.RWMutex {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.repos == nil {
		l.repos = map[string]*sync.RWMutex{}
	}
	if l.repos[name] == nil {
		l.repos[name] = new(sync.RWMutex)
	}
	return l.repos[name]
}

// guarded hands a request to olareg under the locks that it needs: olareg v0.2.1 reads the state of a repository
// without its own lock while a manifest request writes it. The locks are let go as soon as the answer begins, so that
// nobody waits for a download, and sending a blob needs none.
func (s *Sandbox) guarded(w http.ResponseWriter, r *http.Request, c call) {
	if c.endpoint == "manifests" && r.Body != nil {
		// A client that stops in the middle of a manifest must not hold the lock.
		body, err := io.ReadAll(io.LimitReader(r.Body, maxManifest))
		if err != nil {
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	release := sync.OnceFunc(s.hold(r, c))
	defer release()
	s.store(c.kind).ServeHTTP(&early{ResponseWriter: w, begin: release}, r)
}

// hold takes the locks of a request. Beginning an upload may create the repository.
func (s *Sandbox) hold(r *http.Request, c call) (release func()) {
	if strings.HasPrefix(c.target, "uploads/") && c.target != "uploads/" {
		return func() {}
	}
	names := []string{c.inside()}
	if from := r.URL.Query().Get("from"); from != "" && from != names[0] {
		names = append(names, from)
	}
	// One order for all, so that two mounts in opposite directions do not wait for each other.
	slices.Sort(names)
	var releases []func()
	for _, name := range names {
		l := s.locks.of(name)
		if name == c.inside() && (c.endpoint != "blobs" || r.Method == http.MethodPost) {
			l.Lock()
			releases = append(releases, l.Unlock)
		} else {
			l.RLock()
			releases = append(releases, l.RUnlock)
		}
	}
	return func() {
		for _, release := range releases {
			release()
		}
	}
}

// early calls begin before an answer begins.
type early struct {
	http.ResponseWriter
	begin func()
}

// WriteHeader implements http.ResponseWriter.
func (e *early) WriteHeader(status int) {
	e.begin()
	e.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (e *early) Write(b []byte) (int, error) {
	e.begin()
	return e.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (e *early) Unwrap() http.ResponseWriter { return e.ResponseWriter }
