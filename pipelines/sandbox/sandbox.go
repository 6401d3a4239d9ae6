// Package sandbox embeds registries in the process: every host is answered by a real OCI registry with the habits of
// its kind, under its real name, without a socket and without touching the network.
//
// The registry is olareg, with its state in a folder of OCI layouts. In front of it stand the habits: how one logs in,
// which tags may not be put again, whether a repository must be created first, whether there is a referrers API.
package sandbox

import (
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/olareg/olareg"
	"github.com/olareg/olareg/config"
	"github.com/rogpeppe/go-internal/lockedfile"

	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/registry"
)

// The account that every sandboxed registry accepts. Any other user name with the same password is accepted too, so
// that the accounts in `writers` can be rehearsed.
const (
	Username = "sandbox"
	Password = "sandbox"
)

// Options describe a sandbox.
type Options struct {
	// Dir holds the registries' state, normally .berth/sandbox. It is created when needed.
	Dir string
	// Kinds tells the kind of a host; nil is [registry.KindOf].
	Kinds func(host string) registry.Kind
	// Log gets the registry's own messages; nil discards them.
	Log *slog.Logger
	// Immutable names, by host, the tags that may never be put again, as patterns of [path.Match]. Only ECR and Quay
	// have such tags; other kinds ignore them.
	Immutable map[string][]string
	// Password of every account; "" is [Password].
	Password string
	// RequireRepositories makes hosts of ECR and of Google answer 404 NAME_UNKNOWN for repositories that nobody created
	// with [Sandbox.CreateRepository]. One of Google's holds many images: it is the project's on gcr.io, and the part
	// after the project elsewhere.
	RequireRepositories bool
	// MustCreate says the same of single hosts of ECR; nil of none.
	MustCreate func(host string) bool
	// MountBlobs is ECR's account setting BLOB_MOUNTING, which lets a repository take over blobs of another one.
	MountBlobs bool
}

// Sandbox is the embedded registries. Close it to release the lock on its folder.
type Sandbox struct {
	options   Options
	root      string // the folder of <host>/<repository> layouts
	key       []byte // signs tokens
	listener  *pipes
	server    *http.Server
	transport *inProcess
	locks     locks
	demands   demands
	tagging   sync.Mutex // makes "is the tag there" and "put the tag" one step for immutable tags
	serving   serving

	turn   chan struct{} // holds one value; taken while the state below changes
	unlock func()        // not nil while this process owns the folder
	closed bool
	// Two registries over the same folder, because olareg has the referrers API for all repositories or none.
	withReferrers, withoutReferrers *olareg.Server
}

// New opens the sandbox in o.Dir. It writes nothing into the registries and takes no lock: the first request of
// [Sandbox.Transport] does.
func New(o Options) (*Sandbox, error) {
	if o.Kinds == nil {
		o.Kinds = registry.KindOf
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	for host, patterns := range o.Immutable {
		for _, p := range patterns {
			if _, err := path.Match(p, ""); err != nil {
				return nil, fault.New(fault.Usage, host, "", "immutable tags: pattern %q: %w", p, err)
			}
		}
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, openFault(o.Dir, err)
	}
	o.Dir = dir
	s := &Sandbox{
		options: o, root: filepath.Join(dir, "registries"), key: make([]byte, 32), listener: newPipes(),
		turn: make(chan struct{}, 1),
	}
	_, _ = rand.Read(s.key) // never fails, see crypto/rand
	if err := s.prepare(); err != nil {
		return nil, openFault(o.Dir, err)
	}
	s.transport = newInProcess(s, s.listener)
	s.server = &http.Server{
		Handler: s.serving.handler(s.serveHost), ReadHeaderTimeout: time.Minute,
		ErrorLog: slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug),
	}
	go func() { _ = s.server.Serve(s.listener) }()
	return s, nil
}

func openFault(dir string, err error) error {
	return &fault.Error{
		Op: "open the sandbox in", Subject: dir, Err: err, Code: fault.Failed,
		Next: "the folder must be writable; remove it to begin afresh",
	}
}

// prepare makes the folder and keeps it out of git.
func (s *Sandbox) prepare() error {
	if err := os.MkdirAll(s.root, 0o755); err != nil {
		return err
	}
	ignored := s.options.Dir
	if parent := filepath.Dir(ignored); filepath.Base(parent) == ".berth" {
		ignored = parent
	}
	f, err := os.OpenFile(filepath.Join(ignored, ".gitignore"), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = f.WriteString("*\n")
	return errors.Join(err, f.Close())
}

// Transport answers every host in process, https and http URLs alike. Its first request waits for other processes that
// write into the same folder, as long as the request's context allows.
func (s *Sandbox) Transport() http.RoundTripper { return s.transport }

// Close ends every request, and lets the next process write.
func (s *Sandbox) Close() error {
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	if s.closed {
		return nil
	}
	s.closed = true
	s.transport.base.CloseIdleConnections()
	err := s.server.Close()
	s.serving.end()
	if s.unlock != nil {
		err = errors.Join(err, s.withReferrers.Close(), s.withoutReferrers.Close())
		s.unlock()
	}
	return err
}

// own takes the lock on the folder once and opens the registries in it.
func (s *Sandbox) own(ctx context.Context) error {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if s.closed {
		return errors.New("the sandbox is closed")
	}
	if s.unlock != nil {
		return nil
	}
	unlock, err := s.lock(ctx)
	if err != nil {
		return err
	}
	s.sweep()
	s.withReferrers, s.withoutReferrers = s.open(true), s.open(false)
	s.unlock = unlock
	return nil
}

// lock waits for the lock file. The system's lock cannot be interrupted: a caller that gives up leaves the waiting to
// a goroutine, which lets go at once when its turn comes.
func (s *Sandbox) lock(ctx context.Context) (func(), error) {
	type result struct {
		unlock func()
		err    error
	}
	got := make(chan result, 1)
	go func() {
		unlock, err := lockedfile.MutexAt(filepath.Join(s.options.Dir, "lock")).Lock()
		got <- result{unlock, err}
	}()
	notice := time.NewTimer(time.Second)
	defer notice.Stop()
	for {
		select {
		case r := <-got:
			return r.unlock, r.err
		case <-notice.C:
			s.options.Log.Warn("waiting for another process that uses the sandbox", "dir", s.options.Dir)
		case <-ctx.Done():
			go func() {
				if r := <-got; r.err == nil {
					r.unlock()
				}
			}()
			return nil, ctx.Err()
		}
	}
}

// open starts a registry on the folder. Nothing is ever collected: the grace period is longer than any sandbox lives,
// and olareg needs one to keep what is not tagged yet.
func (s *Sandbox) open(referrers bool) *olareg.Server {
	yes, no := true, false
	return olareg.New(config.Config{
		Storage: config.ConfigStorage{
			StoreType: config.StoreDir, RootDir: s.root,
			GC: config.ConfigGC{Frequency: -1, GracePeriod: 100 * 365 * 24 * time.Hour, EmptyRepo: &no},
		},
		API: config.ConfigAPI{DeleteEnabled: &yes, Referrer: config.ConfigAPIReferrer{Enabled: &referrers}},
		Log: s.options.Log,
	})
}

// sweep removes what a killed process left half written. Only the owner of the lock may: nobody else writes.
func (s *Sandbox) sweep() {
	_ = filepath.WalkDir(s.root, func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil: // what cannot be read is left where it is
			return fs.SkipDir
		case d.IsDir() && d.Name() == "blobs":
			return fs.SkipDir
		case d.IsDir() && d.Name() == "_uploads":
			_ = os.RemoveAll(file)
			return fs.SkipDir
		case !d.IsDir() && strings.HasPrefix(d.Name(), "index.json."):
			_ = os.Remove(file)
		}
		return nil
	})
}

// CreateRepository creates an empty repository "host/name", as ECR wants it before the first push.
func (s *Sandbox) CreateRepository(ctx context.Context, name string) error {
	host, repository, err := registry.ParseName(name)
	if err != nil {
		return &fault.Error{Subject: name, Err: err, Code: fault.Usage}
	}
	inside, err := folder(host)
	if err != nil {
		return &fault.Error{Subject: name, Err: err, Code: fault.Usage}
	}
	if err := s.own(ctx); err != nil {
		return err
	}
	// An upload that is begun and cancelled makes olareg write the empty layout in its own format.
	c := call{
		host: host, folder: inside, kind: s.options.Kinds(host), repository: repository, endpoint: "blobs",
		target: "uploads/",
	}
	begun := &memo{header: http.Header{}}
	begin := "/v2/" + inside + "/" + repository + "/blobs/uploads/"
	post, err := http.NewRequestWithContext(ctx, http.MethodPost, begin, nil) //nolint:gosec // it never leaves the process
	if err != nil {
		return &fault.Error{Op: "create", Subject: name, Err: err, Code: fault.Failed}
	}
	s.guarded(begun, post, c)
	if begun.status != http.StatusAccepted {
		return fault.New(fault.Failed, name, "", "create the repository: %d %s", begun.status, begun.body.String())
	}
	cancel, err := http.NewRequestWithContext(ctx, http.MethodDelete, begun.header.Get("Location"), nil)
	if err != nil {
		return &fault.Error{Op: "create", Subject: name, Err: err, Code: fault.Failed}
	}
	s.guarded(&memo{header: http.Header{}}, cancel, c)
	return nil
}

// store is the registry that keeps the repositories of a kind.
func (s *Sandbox) store(kind registry.Kind) http.Handler {
	if habitsOf(kind).referrers {
		return s.withReferrers
	}
	return s.withoutReferrers
}

// exists tells whether somebody created the repository or pushed to it.
func (s *Sandbox) exists(inside string) bool {
	_, err := os.Stat(filepath.Join(s.root, filepath.FromSlash(inside), "index.json"))
	return err == nil
}

// created tells whether the repository of a call was created, by hand or by a push that was let through.
func (s *Sandbox) created(c call) bool {
	if c.kind != registry.GCR {
		return s.exists(c.inside())
	}
	parts := strings.SplitN(c.repository, "/", 3)
	depth := 2 // LOCATION-docker.pkg.dev/PROJECT/REPOSITORY/IMAGE
	if strings.HasSuffix(c.host, "gcr.io") {
		depth = 1
	}
	if len(parts) <= depth {
		return false
	}
	at := append([]string{s.root, c.folder}, parts[:depth]...)
	info, err := os.Stat(filepath.Join(at...))
	return err == nil && info.IsDir()
}
