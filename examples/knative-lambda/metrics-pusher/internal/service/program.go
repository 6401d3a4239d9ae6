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
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Exit codes of the programs.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

const healthTimeout = 3 * time.Second

// Program is one component.
type Program struct {
	Build Build
	// Flags declares the component's own settings.
	Flags func(*flag.FlagSet)
	// Start checks the settings, adds routes to the server and returns the work beside it. An error is one of
	// configuration: the program ends with exit code 2.
	Start func(*Server) ([]Job, error)
}

// World is what a program sees of the process it runs in.
type World struct {
	Args   []string // without the program's name
	Lookup func(string) (string, bool)
	Stdout io.Writer // results
	Stderr io.Writer // logs, one JSON object a line
}

// Run runs the program until SIGINT or SIGTERM and returns the exit code: 0 for an orderly end, 1 for a failure, 2 for
// wrong settings. A second signal ends the process at once. Each flag can also be given as an environment variable,
// --log-dir as LOG_DIR; the command line wins.
func (p Program) Run(ctx context.Context, world World) int {
	log := slog.New(slog.NewJSONHandler(world.Stderr, nil)).With("service", p.Build.Name)
	flags := flag.NewFlagSet(p.Build.Name, flag.ContinueOnError)
	flags.SetOutput(world.Stderr)
	showVersion := flags.Bool("version", false, "print version, commit, Go version and platform, then exit")
	checkHealth := flags.Bool("healthcheck", false, "ask the running service at PORT for /healthz, then exit")
	port := flags.Uint("port", 8080, "TCP port to listen on, 0 for any free one")
	drain := flags.Duration("drain-delay", 2*time.Second, "time between failing /readyz and closing the listener")
	grace := flags.Duration("grace", 20*time.Second, "time that running requests have to finish")
	if p.Flags != nil {
		p.Flags(flags)
	}
	err := parse(flags, world)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitDone
	case err != nil:
		log.Error("wrong settings", "error", err.Error())
		return exitUsage
	case *showVersion:
		b := p.Build
		fmt.Fprintf(world.Stdout, "%s %s (commit %s, %s, %s)\n", b.Name, b.Version, b.Commit, b.GoVersion, b.Platform)
		return exitDone
	case *port > 65535:
		log.Error("wrong settings", "error", fmt.Sprintf("port %d is above 65535", *port))
		return exitUsage
	case *checkHealth:
		if err := healthcheck(ctx, *port); err != nil {
			log.Error("not healthy", "error", err.Error())
			return exitFailed
		}
		return exitDone
	}
	server := NewServer(p.Build, log)
	server.DrainDelay, server.Grace = *drain, *grace
	return p.serve(ctx, server, *port)
}

func (p Program) serve(ctx context.Context, server *Server, port uint) int {
	jobs, err := p.Start(server)
	if err != nil {
		server.Log.Error("wrong settings", "error", err.Error())
		return exitUsage
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // gives the second signal its default effect back
	var listen net.ListenConfig
	ln, err := listen.Listen(ctx, "tcp", net.JoinHostPort("", strconv.FormatUint(uint64(port), 10)))
	if err != nil {
		server.Log.Error("cannot listen", "error", err.Error())
		return exitFailed
	}
	b := p.Build
	server.Log.Info("starting", "version", b.Version, "commit", b.Commit, "go", b.GoVersion, "platform", b.Platform)
	if err := server.Run(ctx, ln, jobs...); err != nil {
		server.Log.Error("failed", "error", err.Error())
		return exitFailed
	}
	return exitDone
}

// parse reads the command line, then the environment for every flag that is not on it. An empty variable counts as
// unset. --version and --healthcheck have no variable: VERSION means something else in many environments.
func parse(flags *flag.FlagSet, world World) error {
	if err := flags.Parse(world.Args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	given := map[string]bool{"version": true, "healthcheck": true}
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

// healthcheck serves container images without a shell: the image's own binary is the probe.
func healthcheck(ctx context.Context, port uint) error {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	url := "http://" + net.JoinHostPort("127.0.0.1", strconv.FormatUint(uint64(port), 10)) + "/healthz"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	// No proxy: the question goes to this very container.
	client := &http.Client{Transport: &http.Transport{Proxy: nil, DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s", url, res.Status)
	}
	return nil
}
