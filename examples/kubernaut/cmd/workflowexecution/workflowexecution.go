package main

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"

	"github.com/berth-sh/berth/examples/kubernaut/internal/service"
)

// workflow is work on one object. Each step names those that must be done before it.
type workflow struct {
	Object string              `json:"object"`
	Steps  map[string][]string `json:"steps"`
}

// execution is the order in which the steps run.
type execution struct {
	Object string   `json:"object"`
	Order  []string `json:"order"`
}

type executor struct {
	mu   sync.Mutex
	busy map[string]bool
}

func program() service.Program {
	return service.Program{
		Build: service.NewBuild("workflowexecution", version, commit),
		Routes: func(mux *http.ServeMux, _ service.World) error {
			e := &executor{busy: map[string]bool{}}
			mux.Handle("POST /api/v1/executions", service.Handle(
				func(_ *http.Request, in workflow) (execution, error) { return e.start(in) }))
			mux.Handle("POST /api/v1/executions/finished", service.Handle(
				func(_ *http.Request, in execution) (execution, error) { return in, e.finish(in.Object) }))
			return nil
		},
	}
}

func (e *executor) start(w workflow) (execution, error) {
	steps, err := order(w.Steps)
	if err != nil {
		return execution{}, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.busy[w.Object] {
		return execution{}, service.Fail(http.StatusConflict, "another workflow is at work on %s", w.Object)
	}
	e.busy[w.Object] = true
	return execution{w.Object, steps}, nil
}

func (e *executor) finish(object string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.busy[object] {
		return service.Fail(http.StatusNotFound, "no workflow is at work on %s", object)
	}
	delete(e.busy, object)
	return nil
}

// order sorts the steps so that each comes after those it needs, by name where that leaves a choice.
func order(steps map[string][]string) ([]string, error) {
	if len(steps) == 0 {
		return nil, errors.New("the workflow has no steps")
	}
	var out []string
	for len(out) < len(steps) {
		var ready []string
		for name, needs := range steps {
			for _, n := range needs {
				if _, ok := steps[n]; !ok {
					return nil, fmt.Errorf("step %s needs %s, which is no step", name, n)
				}
			}
			open := slices.ContainsFunc(needs, func(n string) bool { return !slices.Contains(out, n) })
			if !open && !slices.Contains(out, name) {
				ready = append(ready, name)
			}
		}
		if len(ready) == 0 {
			return nil, errors.New("steps need each other in a circle")
		}
		out = append(out, slices.Min(ready))
	}
	return out, nil
}
