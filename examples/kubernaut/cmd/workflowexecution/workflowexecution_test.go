package main

import (
	"slices"
	"testing"
)

func TestOrder(t *testing.T) {
	t.Parallel()
	got, err := order(map[string][]string{"drain": {"cordon"}, "cordon": nil, "reboot": {"drain"}, "back": {"reboot"}})
	if want := []string{"cordon", "drain", "reboot", "back"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	for name, bad := range map[string]map[string][]string{
		"nothing": {}, "a circle": {"a": {"b"}, "b": {"a"}}, "a stranger": {"a": {"c"}},
	} {
		if _, err := order(bad); err == nil {
			t.Errorf("%s is put in order", name)
		}
	}
}

func TestOneAtATime(t *testing.T) {
	t.Parallel()
	e := &executor{busy: map[string]bool{}}
	w := workflow{Object: "node-1", Steps: map[string][]string{"cordon": nil}}
	for _, want := range []bool{true, false} {
		if _, err := e.start(w); (err == nil) != want {
			t.Errorf("started: %v, want %v", err, want)
		}
	}
	if err := e.finish("node-1"); err != nil {
		t.Error(err)
	}
	if _, err := e.start(w); err != nil {
		t.Error(err)
	}
}
