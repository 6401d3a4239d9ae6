package main

import (
	"testing"

	"github.com/berth-sh/berth/examples/kubernaut/internal/signal"
)

func TestClassify(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		namespace, label      string
		severity              signal.Severity
		environment, priority string
	}{
		{"shop", "", signal.Critical, "production", "P0"},
		{"shop", "", signal.Warning, "production", "P1"},
		{"shop-staging", "", signal.Critical, "staging", "P1"},
		{"shop-dev", "", signal.Critical, "development", "P2"},
		{"shop-dev", "production", signal.Critical, "production", "P0"},
		{"shop", "", signal.Info, "production", "P3"},
	} {
		s := signal.Signal{Name: "OOM", Severity: tt.severity, Namespace: tt.namespace, Object: "web"}
		if tt.label != "" {
			s.Labels = map[string]string{"environment": tt.label}
		}
		got, err := classify(s)
		if err != nil || got.Environment != tt.environment || got.Priority != tt.priority {
			t.Errorf("%+v: %s %s, %v", tt, got.Environment, got.Priority, err)
		}
	}
	if _, err := classify(signal.Signal{}); err == nil {
		t.Error("nothing is classified")
	}
}
