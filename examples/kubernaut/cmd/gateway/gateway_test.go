package main

import (
	"encoding/json"
	"testing"
	"time"
)

func TestTake(t *testing.T) {
	t.Parallel()
	now := time.Unix(0, 0)
	g := &gateway{now: func() time.Time { return now }, seen: map[string]time.Time{}}
	send := func(text string) (taken, error) {
		var in alerts
		if err := json.Unmarshal([]byte(text), &in); err != nil {
			t.Fatal(err)
		}
		return g.take(in)
	}
	one := `{"alerts": [{"labels": {"alertname": "OOM", "severity": "critical", "namespace": "shop", "pod": "web"}}]}`
	for _, step := range []struct {
		after         time.Duration
		new, repeated int
	}{{0, 1, 0}, {4 * time.Minute, 0, 1}, {4 * time.Minute, 0, 1}, {5 * time.Minute, 1, 0}} {
		now = now.Add(step.after)
		got, err := send(one)
		if err != nil || len(got.New) != step.new || got.Repeated != step.repeated {
			t.Errorf("after %v: %+v, %v", step.after, got, err)
		}
	}
	if _, err := send(`{"alerts": [{"labels": {"alertname": "OOM"}}]}`); err == nil {
		t.Error("an alert about nothing is taken")
	}
}
