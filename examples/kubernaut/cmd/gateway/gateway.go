package main

import (
	"net/http"
	"sync"
	"time"

	"github.com/berth-sh/berth/examples/kubernaut/internal/service"
	"github.com/berth-sh/berth/examples/kubernaut/internal/signal"
)

// window is how long an alert counts as a repetition of the one before.
const window = 5 * time.Minute

// alerts is the part of Alertmanager's webhook that is read.
// Source: https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
type alerts struct {
	Alerts []struct {
		Labels map[string]string `json:"labels"`
	} `json:"alerts"`
}

// taken is the answer: what became of the alerts.
type taken struct {
	New      []string `json:"new"`
	Repeated int      `json:"repeated"`
}

// gateway remembers when each fingerprint came last.
type gateway struct {
	now  func() time.Time
	mu   sync.Mutex
	seen map[string]time.Time
}

func program() service.Program {
	return service.Program{
		Build: service.NewBuild("gateway", version, commit),
		Routes: func(mux *http.ServeMux, world service.World) error {
			g := &gateway{now: world.Now, seen: map[string]time.Time{}}
			mux.Handle("POST /api/v1/signals/alertmanager", service.Handle(
				func(_ *http.Request, in alerts) (taken, error) { return g.take(in) }))
			return nil
		},
	}
}

// take takes all alerts or, when one is not a signal, none.
func (g *gateway) take(in alerts) (taken, error) {
	signals := make([]signal.Signal, 0, len(in.Alerts))
	for _, a := range in.Alerts {
		s := signal.Signal{
			Name: a.Labels["alertname"], Severity: signal.Severity(a.Labels["severity"]),
			Namespace: a.Labels["namespace"], Kind: "Pod", Object: a.Labels["pod"],
		}
		if err := s.Check(); err != nil {
			return taken{}, err
		}
		signals = append(signals, s)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	out := taken{New: []string{}}
	now := g.now()
	for _, s := range signals {
		id := s.Fingerprint()
		if last, ok := g.seen[id]; ok && now.Sub(last) < window {
			out.Repeated++
		} else {
			out.New = append(out.New, id)
		}
		g.seen[id] = now
	}
	return out, nil
}
