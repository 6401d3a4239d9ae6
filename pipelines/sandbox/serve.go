package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/olareg/olareg"
	"github.com/olareg/olareg/config"

	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/registry"
)

// shutdownTime is how long a download may go on after the end of [Sandbox.Serve] was asked for.
const shutdownTime = 5 * time.Second

// Handler serves the sandbox read-only and without login, as /v2/<host>/<repository>, so that any registry client can
// look inside. It takes no lock and sees what another process publishes meanwhile.
func (s *Sandbox) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			readOnly().write(w)
		case r.URL.Path == "/":
			s.serveRoot(w, r)
		case r.URL.Path == "/v2/_catalog":
			s.serveCatalog(w, r)
		default:
			s.serveFresh(w, r)
		}
	})
}

// serveFresh reads with a registry made for this one request. olareg looks for changes of its folder once a second
// only; a new one always reads, and costs less than the file it sends.
func (s *Sandbox) serveFresh(w http.ResponseWriter, r *http.Request) {
	yes, no, referrers := true, false, true
	if m := endpoint.FindStringSubmatch(r.URL.Path); m != nil {
		inside, _, _ := strings.Cut(m[1], "/")
		referrers = habitsOf(s.options.Kinds(hostOf(inside))).referrers
		if m[2] == "referrers" && !referrers {
			noReferrers().write(w)
			return
		}
		if !s.exists(m[1]) {
			nameUnknown().write(w)
			return
		}
	}
	r = r.Clone(r.Context())
	acceptAnything(r)
	olareg.New(config.Config{
		Storage: config.ConfigStorage{
			StoreType: config.StoreDir, RootDir: s.root, ReadOnly: &yes,
			// Without a grace period no timer holds on to the registry.
			GC: config.ConfigGC{Frequency: -1, GracePeriod: -1},
		},
		API: config.ConfigAPI{PushEnabled: &no, Referrer: config.ConfigAPIReferrer{Enabled: &referrers}},
		Log: s.options.Log,
	}).ServeHTTP(w, r)
}

// serveCatalog lists the repositories, paged by n and last as in the distribution API.
func (s *Sandbox) serveCatalog(w http.ResponseWriter, r *http.Request) {
	names, err := s.repositories()
	if err != nil {
		refusal{http.StatusInternalServerError, "UNKNOWN", "the sandbox cannot be read"}.write(w)
		return
	}
	if last := r.URL.Query().Get("last"); last != "" {
		names = slices.DeleteFunc(names, func(n string) bool { return n <= last })
	}
	if n, err := strconv.Atoi(r.URL.Query().Get("n")); err == nil && n > 0 && n < len(names) {
		names = names[:n]
		w.Header().Set("Link", fmt.Sprintf(`</v2/_catalog?n=%d&last=%s>; rel="next"`, n, names[n-1]))
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string][]string{"repositories": names})
}

// serveRoot tells a person who opens the address how to look inside.
func (s *Sandbox) serveRoot(w http.ResponseWriter, r *http.Request) {
	names, err := s.repositories()
	if err != nil {
		http.Error(w, "the sandbox cannot be read", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = fmt.Fprintf(w, "berth sandbox, read-only. Look inside with crane, skopeo or docker:\n\n")
	for _, n := range names {
		_, _ = fmt.Fprintf(w, "crane ls %s/%s\n", r.Host, n)
	}
}

// repositories lists <host>/<repository> of all layouts, sorted. It is never nil.
func (s *Sandbox) repositories() ([]string, error) {
	names := []string{}
	err := filepath.WalkDir(s.root, func(file string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil // a file that was renamed while we looked
		case err != nil:
			return err
		case d.IsDir() && d.Name() == "blobs":
			return fs.SkipDir
		case d.Name() == "index.json":
			rel, err := filepath.Rel(s.root, filepath.Dir(file))
			if err != nil {
				return err
			}
			names = append(names, filepath.ToSlash(rel))
		}
		return nil
	})
	slices.Sort(names)
	return names, err
}

// Serve serves [Sandbox.Handler] on a loopback address until ctx ends; ready is told the address in use, which has the
// real port when addr asked for port 0. Addresses that other machines reach are refused: there is no login.
func (s *Sandbox) Serve(ctx context.Context, addr string, ready func(addr string)) error {
	host, port, err := net.SplitHostPort(addr)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil || !registry.Loopback(host) {
		if err == nil {
			err = errors.New("the sandbox has no login and is served on loopback addresses only")
		}
		return &fault.Error{
			Op: "serve on", Subject: addr, Err: err, Code: fault.Usage,
			Next: "use an address such as 127.0.0.1:5000, or 127.0.0.1:0 for any free port",
		}
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return &fault.Error{
			Op: "serve on", Subject: addr, Err: err, Code: fault.Failed,
			Next: "use another port, or 127.0.0.1:0 for any free one",
		}
	}
	server := &http.Server{Handler: s.Handler(), ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	if ready != nil {
		ready(listener.Addr().String())
	}
	select {
	case err := <-ended:
		return &fault.Error{Op: "serve on", Subject: addr, Err: err, Code: fault.Failed}
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime)
	defer cancel()
	if err := server.Shutdown(stop); err != nil {
		return errors.Join(err, server.Close())
	}
	return nil
}
