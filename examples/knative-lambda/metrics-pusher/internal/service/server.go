package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Time-outs of the HTTP server. They keep slow or silent clients from holding connections for ever.
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 15 * time.Second
	writeTimeout      = 15 * time.Second
	idleTimeout       = 60 * time.Second
	maxHeaderBytes    = 32 << 10
)

// Server answers /healthz, /readyz, /version and /metrics, and whatever is added by Handle.
type Server struct {
	// DrainDelay is how long requests are still accepted after the end was asked for, with /readyz failing: load
	// balancers need that time to notice.
	DrainDelay time.Duration
	// Grace is how long running requests may take to finish after that.
	Grace time.Duration
	// After waits for the drain delay. A test gives its own.
	After func(time.Duration) <-chan time.Time

	// Log takes the server's messages.
	Log *slog.Logger
	// Metrics is what /metrics shows.
	Metrics *Metrics

	mux      *http.ServeMux
	requests *Counter
	duration *Summary
	inFlight atomic.Int64
	draining atomic.Bool

	mu     sync.Mutex
	checks []check
}

type check struct {
	name string
	read func() string
}

// NewServer returns a server that is ready at once.
func NewServer(build Build, log *slog.Logger) *Server {
	m := &Metrics{}
	s := &Server{
		DrainDelay: 2 * time.Second,
		Grace:      20 * time.Second,
		After:      time.After,
		Log:        log,
		Metrics:    m,
		mux:        http.NewServeMux(),
		requests:   m.Counter("http_requests_total", "HTTP requests answered.", "method", "route", "code"),
		duration:   m.Summary("http_request_duration_seconds", "Time to answer an HTTP request."),
	}
	m.Gauge("http_requests_in_flight", "HTTP requests being answered.",
		func() float64 { return float64(s.inFlight.Load()) })
	m.Gauge("go_goroutines", "Goroutines that exist.", func() float64 { return float64(runtime.NumGoroutine()) })
	m.Gauge("go_memstats_heap_alloc_bytes", "Bytes of allocated heap objects.", func() float64 {
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		return float64(stats.HeapAlloc)
	})
	m.Info("build_info", "Which build runs.", "name", build.Name, "version", build.Version,
		"commit", build.Commit, "goversion", build.GoVersion, "platform", build.Platform)

	s.mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		WriteJSON(w, http.StatusOK, map[string]string{"status": "ok"})
	})
	s.mux.HandleFunc("GET /readyz", s.readyz)
	s.mux.HandleFunc("GET /version", func(w http.ResponseWriter, _ *http.Request) {
		WriteJSON(w, http.StatusOK, build)
	})
	s.mux.Handle("GET /metrics", m)
	return s
}

// Handle adds a route; the pattern is that of [http.ServeMux].
func (s *Server) Handle(pattern string, h http.Handler) { s.mux.Handle(pattern, h) }

// AddCheck adds a condition of readiness, asked at every /readyz: it returns why the service is not ready, or "".
func (s *Server) AddCheck(name string, read func() string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.checks = append(s.checks, check{name, read})
}

func (s *Server) readyz(w http.ResponseWriter, _ *http.Request) {
	var reasons []string
	if s.draining.Load() {
		reasons = append(reasons, "shutting down")
	}
	s.mu.Lock()
	checks := slices.Clone(s.checks)
	s.mu.Unlock()
	for _, c := range checks {
		if reason := c.read(); reason != "" {
			reasons = append(reasons, c.name+": "+reason)
		}
	}
	if len(reasons) == 0 {
		WriteJSON(w, http.StatusOK, map[string]string{"status": "ready"})
		return
	}
	WriteJSON(w, http.StatusServiceUnavailable, map[string]any{"status": "not ready", "reasons": reasons})
}

// ServeHTTP answers one request and counts it.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.inFlight.Add(1)
	defer s.inFlight.Add(-1)
	start := time.Now()
	rec := &recorder{ResponseWriter: w}
	defer func() {
		s.duration.Observe(time.Since(start).Seconds())
		s.requests.Add(1, methodLabel(r.Method), routeLabel(r.Pattern), strconv.Itoa(rec.status()))
	}()
	s.mux.ServeHTTP(rec, r)
}

// Job is work beside the HTTP server. It returns when its context is done, or when the service shall end: with nil for
// an orderly end, with an error for a failure.
type Job func(ctx context.Context) error

// Run serves on the listener until the context is done or a job returns, then drains: /readyz fails, the drain delay
// passes, no new request is accepted, running ones finish. The error is nil if all of that went well.
func (s *Server) Run(ctx context.Context, ln net.Listener, jobs ...Job) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	server := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(s.Log.Handler(), slog.LevelWarn),
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(ln) }()
	errs := make([]error, len(jobs))
	var running sync.WaitGroup
	for i, job := range jobs {
		running.Go(func() {
			defer cancel() // the first job to end ends the service
			if err := job(ctx); err != nil && !errors.Is(err, context.Canceled) {
				errs[i] = err
			}
		})
	}
	s.Log.Info("serving", "address", ln.Addr().String())

	select {
	case err := <-served:
		cancel()
		running.Wait()
		return fmt.Errorf("serve on %s: %w", ln.Addr(), err)
	case <-ctx.Done():
	}
	s.draining.Store(true)
	s.Log.Info("draining", "delay", s.DrainDelay.String(), "grace", s.Grace.String())
	<-s.After(s.DrainDelay)
	grace, stop := context.WithTimeout(context.WithoutCancel(ctx), s.Grace)
	defer stop()
	shutdown := server.Shutdown(grace)
	if shutdown != nil {
		shutdown = fmt.Errorf("requests still ran after %s: %w", s.Grace, errors.Join(shutdown, server.Close()))
	}
	running.Wait()
	s.Log.Info("stopped")
	return errors.Join(errors.Join(errs...), shutdown)
}

// WriteJSON answers with a JSON body.
func WriteJSON(w http.ResponseWriter, status int, body any) {
	writeJSON(w, status, "application/json", body)
}

// WriteProblem answers with a problem document (RFC 9457).
func WriteProblem(w http.ResponseWriter, status int, detail string) {
	writeJSON(w, status, "application/problem+json", map[string]any{
		"type": "about:blank", "title": http.StatusText(status), "status": status, "detail": detail,
	})
}

func writeJSON(w http.ResponseWriter, status int, contentType string, body any) {
	data, err := json.Marshal(body)
	if err != nil { // only for a body that JSON cannot hold, such as a function
		http.Error(w, "cannot encode the answer: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(append(data, '\n')) // the client is gone: nobody is left to tell
}

// recorder remembers the status code.
type recorder struct {
	http.ResponseWriter
	code int
}

func (r *recorder) WriteHeader(code int) {
	if r.code == 0 {
		r.code = code
	}
	r.ResponseWriter.WriteHeader(code)
}

// Unwrap lets http.ResponseController reach the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

func (r *recorder) status() int {
	if r.code == 0 {
		return http.StatusOK
	}
	return r.code
}

// methodLabel and routeLabel keep the number of series small: a client chooses methods and paths freely.
func methodLabel(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodOptions:
		return method
	default:
		return "other"
	}
}

func routeLabel(pattern string) string {
	if _, path, ok := strings.Cut(pattern, " "); ok {
		return path
	}
	if pattern == "" {
		return "none"
	}
	return pattern
}
