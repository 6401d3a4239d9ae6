package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"time"

	"github.com/berth-sh/berth/examples/knative-lambda/metrics-pusher/internal/remotewrite"
	"github.com/berth-sh/berth/examples/knative-lambda/metrics-pusher/internal/series"
	"github.com/berth-sh/berth/examples/knative-lambda/metrics-pusher/internal/service"
)

const name = "knative-lambda-metrics-pusher"

// settings are the flags and environment variables.
type settings struct {
	scrape, remote, tokenFile, job, instance string
	interval, timeout                        time.Duration
	attempts                                 int
}

func program(version, commit string) service.Program {
	var set settings
	build := service.NewBuild(name, version, commit)
	return service.Program{
		Build: build,
		Flags: func(flags *flag.FlagSet) {
			flags.StringVar(&set.scrape, "scrape-url", "http://127.0.0.1:9091/metrics", "where the metrics are")
			flags.StringVar(&set.remote, "remote-write-url", "", "where they go (Prometheus remote write 1.0), required")
			flags.StringVar(&set.tokenFile, "remote-write-token-file", "", "file with the endpoint's bearer token")
			flags.StringVar(&set.job, "job", "knative-lambda", "label job of all series")
			flags.StringVar(&set.instance, "instance", "", "label instance of all series (default: host of scrape-url)")
			flags.DurationVar(&set.interval, "interval", 15*time.Second, "time between two scrapes")
			flags.DurationVar(&set.timeout, "timeout", 10*time.Second, "time for one scrape or one request to the endpoint")
			flags.IntVar(&set.attempts, "max-attempts", 8, "attempts to push one scrape before it is dropped")
		},
		Start: func(server *service.Server) ([]service.Job, error) {
			if err := set.check(); err != nil {
				return nil, err
			}
			p := newPusher(set, build, server)
			return []service.Job{func(ctx context.Context) error {
				ticker := time.NewTicker(set.interval)
				defer ticker.Stop()
				return p.Run(ctx, ticker.C)
			}}, nil
		},
	}
}

func (s *settings) check() error {
	target, err := parseURL("scrape-url", s.scrape)
	if err != nil {
		return err
	}
	if s.remote == "" {
		return errors.New("remote-write-url is required: set REMOTE_WRITE_URL or --remote-write-url")
	}
	if _, err := parseURL("remote-write-url", s.remote); err != nil {
		return err
	}
	if s.instance == "" {
		s.instance = target.Host
	}
	if s.interval <= 0 || s.timeout <= 0 || s.attempts < 1 || s.job == "" {
		return errors.New("interval and timeout must be above zero, max-attempts at least 1, job not empty")
	}
	return nil
}

// parseURL never repeats the URL in an error: it may hold a password.
func parseURL(setting, value string) (*url.URL, error) {
	u, err := url.Parse(value)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("%s is not a full http or https URL", setting)
	case u.User != nil:
		return nil, fmt.Errorf("%s must not hold credentials: every user of the machine could read them", setting)
	}
	return u, nil
}

func newPusher(set settings, build service.Build, server *service.Server) *pusher {
	metrics := server.Metrics
	retries := metrics.Counter("pusher_retries_total", "Requests to the endpoint that were sent again.")
	agent := build.Name + "/" + build.Version
	client := remotewrite.New(remotewrite.Options{
		URL: set.remote, HTTP: &http.Client{Timeout: set.timeout}, TokenFile: set.tokenFile, UserAgent: agent,
		Attempts: set.attempts, Base: 500 * time.Millisecond, Max: 30 * time.Second,
		Jitter: rand.Float64, Now: time.Now, Sleep: sleep, Log: server.Log, Retried: func() { retries.Add(1) },
	})
	p := &pusher{
		scrapeURL: set.scrape,
		http:      &http.Client{Timeout: set.timeout},
		agent:     agent,
		target:    []series.Label{{Name: "instance", Value: set.instance}, {Name: "job", Value: set.job}},
		sender:    client,
		now:       time.Now,
		log:       server.Log,
		scrapes:   metrics.Counter("pusher_scrapes_total", "Scrapes of the target, by outcome.", "outcome"),
		samples:   metrics.Counter("pusher_samples_total", "Samples for the endpoint, by outcome.", "outcome"),
	}
	server.Handle("GET /status", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		service.WriteJSON(w, http.StatusOK, p.Status())
	}))
	return p
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
