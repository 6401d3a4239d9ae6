package main

import (
	"bytes"
	"os"
	"testing"
)

// TestWireIsBerths holds the copy that this module has of the protocol to berth's own.
func TestWireIsBerths(t *testing.T) {
	t.Parallel()
	ours, err := os.ReadFile("internal/wire/wire.go")
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := os.ReadFile("../../pipelines/chart/wire/wire.go")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(ours, theirs) {
		t.Error("the protocol differs from berth's; run: go generate . in cmd/berth-helm")
	}
}
