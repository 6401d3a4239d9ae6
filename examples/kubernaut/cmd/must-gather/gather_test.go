package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/berth-sh/berth/examples/kubernaut/internal/service"
)

func TestRun(t *testing.T) {
	t.Parallel()
	up := httptest.NewServer(service.NewMux(service.NewBuild("gateway", "1.2.3", ""), func() bool { return true }))
	t.Cleanup(up.Close)
	down := httptest.NewServer(nil)
	down.Close()
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), service.World{
		Args:   []string{"--services", "gateway=" + up.URL + "/,datastorage=" + down.URL},
		Stdout: &stdout, Stderr: &stderr, Now: func() time.Time { return time.Unix(0, 0) },
		Lookup: func(string) (string, bool) { return "", false },
	})
	if code != service.Done {
		t.Fatalf("%d %s", code, &stderr)
	}
	unzipped, err := gzip.NewReader(&stdout)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for in := tar.NewReader(unzipped); ; {
		head, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		got[head.Name] = string(data)
	}
	for name, want := range map[string]string{
		"must-gather/gateway/version.json":     `"version":"1.2.3"`,
		"must-gather/gateway/readyz.json":      "ready",
		"must-gather/datastorage/healthz.json": "error: ",
	} {
		if !strings.Contains(got[name], want) {
			t.Errorf("%s: %q", name, got[name])
		}
	}
	if len(got) != 6 {
		t.Errorf("%d files", len(got))
	}
	if code := run(t.Context(), service.World{
		Stdout: io.Discard, Stderr: io.Discard, Lookup: func(string) (string, bool) { return "", false },
	}); code != service.Usage {
		t.Errorf("without services: %d", code)
	}
}
