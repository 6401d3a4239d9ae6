package main

import (
	"errors"
	"math"
	"net/http"

	"github.com/berth-sh/berth/examples/kubernaut/internal/service"
)

// request holds measurements of one metric of which less is better, such as restarts an hour.
type request struct {
	Before []float64 `json:"before"`
	After  []float64 `json:"after"`
}

// assessment tells what changed. The score is 1 when the trouble is gone, 0 when nothing changed, and negative when it
// is worse.
type assessment struct {
	Score   float64 `json:"score"`
	Verdict string  `json:"verdict"`
}

// Scores from which on a remediation helped, or did harm.
const (
	helped = 0.3
	harmed = -0.1
)

func program() service.Program {
	return service.Program{
		Build: service.NewBuild("effectivenessmonitor", version, commit),
		Routes: func(mux *http.ServeMux, _ service.World) error {
			mux.Handle("POST /api/v1/assessments", service.Handle(
				func(_ *http.Request, in request) (assessment, error) { return assess(in.Before, in.After) }))
			return nil
		},
	}
}

func assess(before, after []float64) (assessment, error) {
	if len(before) == 0 || len(after) == 0 {
		return assessment{}, errors.New("measurements before and after are needed")
	}
	b, a := mean(before), mean(after)
	if b <= 0 || a < 0 {
		return assessment{}, errors.New("there was no trouble before")
	}
	out := assessment{Score: math.Round((b-a)/b*100) / 100, Verdict: "no change"}
	switch {
	case out.Score >= helped:
		out.Verdict = "helped"
	case out.Score <= harmed:
		out.Verdict = "harmed"
	}
	return out, nil
}

func mean(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}
