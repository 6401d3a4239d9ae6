package main

import (
	"cmp"
	"errors"
	"math"
	"net/http"
	"slices"

	"github.com/berth-sh/berth/examples/kubernaut/internal/service"
)

// request lists what was observed, for example "restarts" or "memory-at-limit".
type request struct {
	Evidence []string `json:"evidence"`
}

// finding is a possible cause, likelier ones first.
type finding struct {
	Cause      string  `json:"cause"`
	Confidence float64 `json:"confidence"` // 0 to 1
}

// cause is explained by evidence, each piece with a weight.
type cause struct {
	name     string
	evidence map[string]float64
}

func causes() []cause {
	return []cause{
		{"memory limit too low", map[string]float64{"oom-killed": 3, "memory-at-limit": 2, "restarts": 1}},
		{"crash at start", map[string]float64{"exit-code": 2, "restarts": 2, "new-version": 2}},
		{"node under pressure", map[string]float64{"evicted": 3, "node-not-ready": 3, "restarts": 1}},
		{"image cannot be pulled", map[string]float64{"pull-failed": 4, "new-version": 1}},
	}
}

func program() service.Program {
	return service.Program{
		Build: service.NewBuild("aianalysis", version, commit),
		Routes: func(mux *http.ServeMux, _ service.World) error {
			mux.Handle("POST /api/v1/analyses", service.Handle(
				func(_ *http.Request, in request) ([]finding, error) { return analyse(in.Evidence) }))
			return nil
		},
	}
}

// analyse shares out the weight of the evidence among the causes.
func analyse(evidence []string) ([]finding, error) {
	found := []finding{}
	total := 0.0
	for _, c := range causes() {
		score := 0.0
		for _, e := range slices.Compact(slices.Sorted(slices.Values(evidence))) {
			score += c.evidence[e]
		}
		if score > 0 {
			found = append(found, finding{Cause: c.name, Confidence: score})
			total += score
		}
	}
	if total == 0 {
		return nil, errors.New("none of the evidence points to a known cause")
	}
	for i := range found {
		found[i].Confidence = math.Round(found[i].Confidence/total*100) / 100
	}
	slices.SortStableFunc(found, func(a, b finding) int { return cmp.Compare(b.Confidence, a.Confidence) })
	return found, nil
}
