package main

import (
	"testing"
	"time"
)

func TestTrail(t *testing.T) {
	t.Parallel()
	chain := &trail{now: func() time.Time { return time.Unix(0, 0) }}
	for _, e := range []event{{"gateway", "received", "a"}, {"gateway", "received", "a"}} {
		if _, err := chain.add(e); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := chain.add(event{Service: "gateway"}); err == nil {
		t.Error("an event without an action is taken")
	}
	entries, err := chain.list()
	if err != nil || len(entries) != 2 || entries[0].Hash == entries[1].Hash {
		t.Fatalf("%+v, %v", entries, err)
	}
	chain.entries[0].Subject = "b"
	if _, err := chain.list(); err == nil {
		t.Error("a changed entry is not noticed")
	}
}
