package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/berth-sh/berth/examples/kubernaut/internal/service"
)

func TestPlan(t *testing.T) {
	t.Parallel()
	folder := fstest.MapFS{"001.sql": {Data: []byte("A;")}, "002.sql": {Data: []byte("B;")}}
	all, sql, err := plan(folder, applied{})
	if err != nil || sql != "BEGIN;\n-- 001.sql\nA;\n-- 002.sql\nB;\nCOMMIT;\n" {
		t.Fatalf("%q, %v", sql, err)
	}
	if rest, sql, err := plan(folder, all); err != nil || len(rest) != 0 || sql != "" {
		t.Errorf("a second time: %v, %q, %v", rest, sql, err)
	}
	if _, sql, err := plan(folder, applied{"001.sql": all["001.sql"]}); err != nil || strings.Contains(sql, "A;") {
		t.Errorf("after the first: %q, %v", sql, err)
	}
	if _, _, err := plan(folder, applied{"001.sql": "x"}); err == nil {
		t.Error("a changed migration is not noticed")
	}
	if _, _, err := plan(folder, applied{"002.sql": all["002.sql"]}); err == nil {
		t.Error("a gap is not noticed")
	}
}

func TestRunTwice(t *testing.T) {
	t.Parallel()
	record := filepath.Join(t.TempDir(), "applied.json")
	for i, want := range []string{"CREATE TABLE", ""} {
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), service.World{
			Args: []string{"--record", record}, Stdout: &stdout, Stderr: &stderr,
			Lookup: func(string) (string, bool) { return "", false },
		})
		if code != service.Done || !strings.Contains(stdout.String(), want) || want == "" && stdout.Len() > 0 {
			t.Errorf("run %d: %d %q %q", i, code, &stdout, &stderr)
		}
	}
}
