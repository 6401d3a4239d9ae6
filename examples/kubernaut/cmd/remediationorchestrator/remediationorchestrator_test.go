package main

import "testing"

func TestMove(t *testing.T) {
	t.Parallel()
	o := &orchestrator{byID: map[string]remediation{}}
	for _, step := range []struct {
		to      phase
		ok      bool
		history int
	}{
		{executing, false, 0},
		{analysing, true, 2},
		{analysing, true, 2},
		{approval, true, 3},
		{executing, true, 4},
		{pending, false, 0},
		{succeeded, true, 5},
		{failed, false, 0},
	} {
		got, err := o.move("r1", step.to)
		if (err == nil) != step.ok || err == nil && len(got.History) != step.history {
			t.Errorf("to %s: %+v, %v", step.to, got, err)
		}
	}
}
