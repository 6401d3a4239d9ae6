package main

import (
	"context"
	"errors"
	"flag"
	"io"
	"net/http"
	"time"

	"github.com/berth-sh/berth/examples/knative-lambda/internal/logwatch"
	"github.com/berth-sh/berth/examples/knative-lambda/internal/service"
)

const name = "knative-lambda-sidecar"

func program(version, commit string, out io.Writer) service.Program {
	var dir, message string
	var interval time.Duration
	return service.Program{
		Build: service.NewBuild(name, version, commit),
		Flags: func(flags *flag.FlagSet) {
			flags.StringVar(&dir, "log-dir", "/var/log/function", "folder whose *.log files are followed")
			flags.StringVar(&message, "termination-message-path", "/dev/termination-log",
				"file whose content ends the sidecar, empty for none")
			flags.DurationVar(&interval, "interval", 500*time.Millisecond, "time between two looks")
		},
		Start: func(server *service.Server) ([]service.Job, error) {
			switch {
			case dir == "":
				return nil, errors.New("log-dir is empty")
			case interval <= 0:
				return nil, errors.New("interval must be above zero")
			}
			watcher := logwatch.New(dir, message, out, server.Log)
			expose(server, watcher)
			return []service.Job{func(ctx context.Context) error {
				ticker := time.NewTicker(interval)
				defer ticker.Stop()
				return watcher.Run(ctx, ticker.C)
			}}, nil
		},
	}
}

// expose adds /status, the metrics and the readiness of the watcher.
func expose(server *service.Server, watcher *logwatch.Watcher) {
	server.Handle("GET /status", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		service.WriteJSON(w, http.StatusOK, watcher.Status())
	}))
	server.AddCheck("logs", func() string {
		status := watcher.Status()
		if status.Terminated {
			return "the function has terminated"
		}
		return status.Problem
	})
	count := func(name, help string, read func(logwatch.Status) int64) {
		server.Metrics.CounterFunc(name, help, func() float64 { return float64(read(watcher.Status())) })
	}
	count("sidecar_log_lines_total", "Log records written.", func(s logwatch.Status) int64 { return s.Lines })
	count("sidecar_log_bytes_total", "Bytes read from log files.", func(s logwatch.Status) int64 { return s.Bytes })
	count("sidecar_log_rotations_total", "Log files replaced by a new one of the same name.",
		func(s logwatch.Status) int64 { return s.Rotations })
	count("sidecar_log_truncations_total", "Log files cut off.",
		func(s logwatch.Status) int64 { return s.Truncations })
	server.Metrics.Gauge("sidecar_log_files", "Log files followed.",
		func() float64 { return float64(len(watcher.Status().Files)) })
}
