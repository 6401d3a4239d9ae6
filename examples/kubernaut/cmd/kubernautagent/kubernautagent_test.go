package main

import (
	"slices"
	"testing"

	"github.com/berth-sh/berth/examples/kubernaut/internal/signal"
)

func TestInvestigate(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		kind     string
		severity signal.Severity
		steps    int
	}{
		"pod":        {"Pod", signal.Critical, 4},
		"deployment": {"Deployment", signal.Warning, 2},
	} {
		got, err := investigate(signal.Signal{
			Name: "OOM", Severity: tt.severity, Namespace: "shop", Kind: tt.kind, Object: "--web",
		})
		if err != nil || len(got) != tt.steps {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		for _, s := range got {
			if i := slices.Index(s.Command, "--web"); i >= 0 && s.Command[i-1] != "--" {
				t.Errorf("a name is taken for a flag: %q", s.Command)
			}
		}
	}
	if _, err := investigate(signal.Signal{}); err == nil {
		t.Error("nothing is investigated")
	}
}
