package main

import (
	"net/http"

	"github.com/berth-sh/berth/examples/kubernaut/internal/service"
	"github.com/berth-sh/berth/examples/kubernaut/internal/signal"
)

// step is one look at the cluster, as a person would take it.
type step struct {
	Why     string   `json:"why"`
	Command []string `json:"command"`
}

func program() service.Program {
	return service.Program{
		Build: service.NewBuild("kubernautagent", version, commit),
		Routes: func(mux *http.ServeMux, _ service.World) error {
			mux.Handle("POST /api/v1/investigations", service.Handle(
				func(_ *http.Request, in signal.Signal) ([]step, error) { return investigate(in) }))
			return nil
		},
	}
}

// investigate lists the steps, cheapest first. Commands are lists of arguments: a name in a signal is no shell code.
func investigate(s signal.Signal) ([]step, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	object := s.Kind + "/" + s.Object
	if s.Kind == "" {
		object = "pod/" + s.Object
	}
	at := func(arguments ...string) []string {
		return append([]string{"kubectl", "--namespace", s.Namespace}, arguments...)
	}
	steps := []step{
		{"what state it is in", at("describe", "--", object)},
		{"what happened to it", at("get", "events", "--field-selector=involvedObject.name="+s.Object)},
	}
	if s.Kind == "" || s.Kind == "Pod" {
		steps = append(steps, step{"what it said before it ended", at("logs", "--previous", "--tail=200", "--", s.Object)})
	}
	if s.Severity == signal.Critical {
		steps = append(steps, step{"whether its node is well", at("get", "nodes", "--output=wide")})
	}
	return steps, nil
}
