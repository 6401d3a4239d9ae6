// Package service is what the programs have in common: settings, health, readiness, version, structured logs and a
// graceful end. It uses the standard library only, so that a cold build stays short.
package service

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// Exit codes of the programs.
const (
	Done   = 0
	Failed = 1
	Usage  = 2
)

// readHeaderTimeout keeps silent clients from holding connections for ever.
const readHeaderTimeout = 5 * time.Second

// Build says which program this is. The JSON form is the answer of /version.
type Build struct {
	Name      string `json:"name"`
	Version   string `json:"version"`
	Commit    string `json:"commit"`
	GoVersion string `json:"goVersion"`
}

// NewBuild completes what the linker set (-X main.version, -X main.commit).
func NewBuild(name, version, commit string) Build {
	if version == "" {
		version = "dev"
	}
	if commit == "" {
		commit = "unknown"
	}
	return Build{Name: name, Version: version, Commit: commit, GoVersion: runtime.Version()}
}

// String is the answer of --version.
func (b Build) String() string {
	return fmt.Sprintf("%s %s (commit %s, %s)", b.Name, b.Version, b.Commit, b.GoVersion)
}

// World is what a program sees of the process it runs in.
type World struct {
	Args   []string // without the program's name
	Lookup func(string) (string, bool)
	Stdout io.Writer // results
	Stderr io.Writer // logs, one JSON object a line
	Now    func() time.Time
}

// Program is a service that speaks HTTP.
type Program struct {
	Build Build
	// Flags declares the service's own settings. It may be nil.
	Flags func(*flag.FlagSet)
	// Routes adds the service's routes. An error is one of configuration: the program ends with [Usage].
	Routes func(*http.ServeMux, World) error
}

// Run serves until SIGINT or SIGTERM and returns the exit code. Each flag can also be given as an environment variable,
// --lease-time as LEASE_TIME; the command line wins.
func (p Program) Run(ctx context.Context, world World) int {
	log := slog.New(slog.NewJSONHandler(world.Stderr, nil)).With("service", p.Build.Name)
	flags := flag.NewFlagSet(p.Build.Name, flag.ContinueOnError)
	flags.SetOutput(world.Stderr)
	showVersion := flags.Bool("version", false, "print the version and exit")
	port := flags.Uint("port", 8080, "TCP port to listen on, 0 for any free one")
	grace := flags.Duration("grace", 20*time.Second, "time that running requests have to finish")
	if p.Flags != nil {
		p.Flags(flags)
	}
	err := Parse(flags, world)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return Done
	case err != nil:
		log.Error("wrong settings", "error", err.Error())
		return Usage
	case *showVersion:
		fmt.Fprintln(world.Stdout, p.Build)
		return Done
	}
	ready := &atomic.Bool{}
	mux := NewMux(p.Build, ready.Load)
	if err := p.Routes(mux, world); err != nil {
		log.Error("wrong settings", "error", err.Error())
		return Usage
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", ":"+strconv.FormatUint(uint64(*port), 10))
	if err != nil {
		log.Error("cannot listen", "error", err.Error())
		return Failed
	}
	log.Info("starting", "address", listener.Addr().String(), "version", p.Build.Version, "commit", p.Build.Commit)
	ready.Store(true)
	if err := serve(ctx, &http.Server{Handler: mux, ReadHeaderTimeout: readHeaderTimeout}, listener, func() {
		ready.Store(false)
	}, *grace); err != nil {
		log.Error("failed", "error", err.Error())
		return Failed
	}
	log.Info("stopped")
	return Done
}

// serve ends when the context does: not ready first, then closed, and running requests finish.
func serve(ctx context.Context, server *http.Server, listener net.Listener, drain func(), grace time.Duration) error {
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	drain()
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	return server.Shutdown(stop)
}

// NewMux answers /healthz, /readyz and /version.
func NewMux(build Build, ready func() bool) *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		WriteJSON(w, http.StatusOK, map[string]string{"status": "ok"})
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if !ready() {
			WriteJSON(w, http.StatusServiceUnavailable, map[string]string{"status": "shutting down"})
			return
		}
		WriteJSON(w, http.StatusOK, map[string]string{"status": "ready"})
	})
	mux.HandleFunc("GET /version", func(w http.ResponseWriter, _ *http.Request) { WriteJSON(w, http.StatusOK, build) })
	return mux
}

// Parse reads the command line, then the environment for every flag that is not on it. --version has no variable:
// VERSION means something else in many environments.
func Parse(flags *flag.FlagSet, world World) error {
	if err := flags.Parse(world.Args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	given := map[string]bool{"version": true}
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	var errs []error
	flags.VisitAll(func(f *flag.Flag) {
		name := strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		value, ok := world.Lookup(name)
		if given[f.Name] || !ok || value == "" {
			return
		}
		if err := flags.Set(f.Name, value); err != nil {
			errs = append(errs, fmt.Errorf("environment variable %s=%q: %w", name, value, err))
		}
	})
	return errors.Join(errs...)
}
