package main

import "testing"

func TestAnalyse(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		evidence   []string
		cause      string
		confidence float64
	}{
		{[]string{"pull-failed"}, "image cannot be pulled", 1},
		{[]string{"oom-killed", "restarts"}, "memory limit too low", 0.57},
		{[]string{"oom-killed", "oom-killed", "restarts"}, "memory limit too low", 0.57}, // said twice counts once
	} {
		got, err := analyse(tt.evidence)
		if err != nil || got[0].Cause != tt.cause || got[0].Confidence != tt.confidence {
			t.Errorf("%v: %+v, %v", tt.evidence, got, err)
		}
	}
	if _, err := analyse([]string{"full moon"}); err == nil {
		t.Error("a cause is made up")
	}
}
