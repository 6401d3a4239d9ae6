package main

import (
	"net/http"
	"strings"

	"github.com/berth-sh/berth/examples/kubernaut/internal/service"
	"github.com/berth-sh/berth/examples/kubernaut/internal/signal"
)

// classified is a signal with what decides how soon somebody must look.
type classified struct {
	signal.Signal
	Fingerprint string `json:"fingerprint"`
	Environment string `json:"environment"`
	Priority    string `json:"priority"` // P0 to P3
}

func program() service.Program {
	return service.Program{
		Build: service.NewBuild("signalprocessing", version, commit),
		Routes: func(mux *http.ServeMux, _ service.World) error {
			mux.Handle("POST /api/v1/classifications", service.Handle(
				func(_ *http.Request, in signal.Signal) (classified, error) { return classify(in) }))
			return nil
		},
	}
}

func classify(s signal.Signal) (classified, error) {
	if err := s.Check(); err != nil {
		return classified{}, err
	}
	environment := environmentOf(s)
	return classified{s, s.Fingerprint(), environment, priority(environment, s.Severity)}, nil
}

// environmentOf takes the label, else the ending of the namespace's name. What says nothing counts as production:
// to look too soon does less harm than too late.
func environmentOf(s signal.Signal) string {
	if label := s.Labels["environment"]; label != "" {
		return label
	}
	for ending, environment := range map[string]string{
		"-dev": "development", "-test": "testing", "-staging": "staging",
	} {
		if strings.HasSuffix(s.Namespace, ending) {
			return environment
		}
	}
	return "production"
}

func priority(environment string, severity signal.Severity) string {
	production := environment == "production"
	switch {
	case production && severity == signal.Critical:
		return "P0"
	case production && severity == signal.Warning, environment == "staging" && severity == signal.Critical:
		return "P1"
	case severity == signal.Info:
		return "P3"
	default:
		return "P2"
	}
}
