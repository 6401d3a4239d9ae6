package main

import (
	"net/http"
	"slices"
	"sync"

	"github.com/berth-sh/berth/examples/kubernaut/internal/service"
)

// phase is where a remediation stands.
type phase string

const (
	pending   phase = "pending"
	analysing phase = "analysing"
	approval  phase = "awaiting-approval"
	executing phase = "executing"
	succeeded phase = "succeeded"
	failed    phase = "failed"
)

// next lists where each phase may lead.
func next() map[phase][]phase {
	return map[phase][]phase{
		pending:   {analysing, failed},
		analysing: {approval, executing, failed},
		approval:  {executing, failed},
		executing: {succeeded, failed},
	}
}

type move struct {
	To phase `json:"to"`
}

type remediation struct {
	ID      string  `json:"id"`
	Phase   phase   `json:"phase"`
	History []phase `json:"history"`
}

type orchestrator struct {
	mu   sync.Mutex
	byID map[string]remediation
}

func program() service.Program {
	return service.Program{
		Build: service.NewBuild("remediationorchestrator", version, commit),
		Routes: func(mux *http.ServeMux, _ service.World) error {
			o := &orchestrator{byID: map[string]remediation{}}
			mux.Handle("POST /api/v1/remediations/{id}/phase", service.Handle(
				func(r *http.Request, in move) (remediation, error) { return o.move(r.PathValue("id"), in.To) }))
			return nil
		},
	}
}

// move leads a remediation on. The first move of an unknown one starts it; the same move again changes nothing.
func (o *orchestrator) move(id string, to phase) (remediation, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	r, ok := o.byID[id]
	if !ok {
		r = remediation{ID: id, Phase: pending, History: []phase{pending}}
	}
	switch {
	case to == r.Phase:
	case slices.Contains(next()[r.Phase], to):
		r.Phase, r.History = to, append(slices.Clone(r.History), to)
	default:
		return remediation{}, service.Fail(http.StatusConflict, "remediation %s is %s and cannot become %s", id, r.Phase, to)
	}
	o.byID[id] = r
	return r, nil
}
