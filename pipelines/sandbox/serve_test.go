package sandbox_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/berth-sh/berth/internal/faultproxy/testimage"
	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/registry"
	"github.com/berth-sh/berth/pipelines/sandbox"
)

func get(t *testing.T, url string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

func TestServeSeesWhatAnotherProcessPublishes(t *testing.T) {
	t.Parallel()
	ctx, dir := t.Context(), t.TempDir()
	writer, reader := open(t, sandbox.Options{Dir: dir}), open(t, sandbox.Options{Dir: dir})
	server := httptest.NewServer(reader.Handler())
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")
	look := registry.NewClient(registry.Options{})
	for _, name := range []string{"ghcr.io/o/n", "registry.example.com:8443/team/n"} {
		inside := host + "/" + strings.Replace(name, ":", "__", 1)
		out := repository(t, look, inside)
		in := repository(t, client(writer.Transport(), sandbox.Username, sandbox.Password), name)
		if _, err := out.Resolve(ctx, "v1"); !errors.Is(err, registry.ErrNotFound) {
			t.Fatalf("before: %v", err)
		}
		// Twice without a pause: the second image must not hide behind what was read of the first.
		for _, content := range []string{"one", "two"} {
			x := testimage.New(t, content, 1000)
			if _, err := in.Push(ctx, x, x.Root, registry.PushOptions{}); err != nil {
				t.Fatal(err)
			}
			if err := in.Tag(ctx, x.Index, x.Root, "v1"); err != nil {
				t.Fatal(err)
			}
			if desc, err := out.Resolve(ctx, "v1"); err != nil || desc.Digest != x.Root.Digest {
				t.Fatalf("%s %s: %v, %v, want %v", name, content, desc.Digest, err, x.Root.Digest)
			}
			if _, _, err := out.Manifest(ctx, "v1"); err != nil {
				t.Fatal(err)
			}
		}
		if tags, err := out.Tags(ctx); err != nil || !cmp.Equal(tags, []string{"v1"}) {
			t.Errorf("tags %v, %v", tags, err)
		}
	}
	_, body := get(t, server.URL+"/v2/_catalog")
	var catalog struct{ Repositories []string }
	if err := json.Unmarshal([]byte(body), &catalog); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"ghcr.io/o/n", "registry.example.com__8443/team/n"}, catalog.Repositories); diff != "" {
		t.Error(diff)
	}
	resp, body := get(t, server.URL+"/v2/_catalog?n=1&last=ghcr.io/a")
	if !strings.Contains(body, `["ghcr.io/o/n"]`) || !strings.Contains(resp.Header.Get("Link"), "last=ghcr.io/o/n") {
		t.Errorf("a page of the catalog: %s, Link %q", body, resp.Header.Get("Link"))
	}
	if _, body := get(t, server.URL+"/v2/ghcr.io/o/n/manifests/v1"); !strings.Contains(body, `"manifests":[`) {
		t.Errorf("a manifest without an Accept header: %s", body)
	}
	if _, body := get(t, server.URL); !strings.Contains(body, "crane ls "+host+"/ghcr.io/o/n") {
		t.Errorf("the first page: %s", body)
	}
}

func TestServeIsReadOnly(t *testing.T) {
	t.Parallel()
	s := open(t, sandbox.Options{})
	server := httptest.NewServer(s.Handler())
	t.Cleanup(server.Close)
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		req, err := http.NewRequestWithContext(t.Context(), method, server.URL+"/v2/ghcr.io/o/n/manifests/v1", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusMethodNotAllowed || !strings.Contains(string(body), `"UNSUPPORTED"`) || err != nil {
			t.Errorf("%s: %d %s %v", method, resp.StatusCode, body, err)
		}
	}
	for path, want := range map[string]string{
		"/v2/":                                 "{}",
		"/v2/_catalog":                         `{"repositories":[]}`,
		"/v2/ghcr.io/o/n/tags/list":            "NAME_UNKNOWN",
		"/v2/ip6__zz/n/manifests/v1":           "NAME_UNKNOWN",
		"/v2/ghcr.io/../../x/manifests/v1":     "",
		"/v2/ghcr.io/o/n/referrers/sha256:abc": "UNSUPPORTED",
	} {
		if _, body := get(t, server.URL+path); !strings.Contains(body, want) {
			t.Errorf("%s: %s, want %s", path, body, want)
		}
	}
}

func TestServeListensOnLoopbackOnly(t *testing.T) {
	t.Parallel()
	s := open(t, sandbox.Options{})
	for _, addr := range []string{":0", "0.0.0.0:0", "192.0.2.1:5000", "[::]:0", "localhost"} {
		if err := s.Serve(t.Context(), addr, nil); fault.CodeOf(err) != fault.Usage || fault.NextOf(err) == "" {
			t.Errorf("%s: %v", addr, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	ready := make(chan string)
	go func() { ended <- s.Serve(ctx, "127.0.0.1:0", func(addr string) { ready <- addr }) }()
	addr := <-ready
	if _, body := get(t, "http://"+addr+"/v2/"); body != "{}" {
		t.Errorf("/v2/ gives %q", body)
	}
	if err := s.Serve(ctx, addr, nil); fault.CodeOf(err) != fault.Failed || fault.NextOf(err) == "" {
		t.Errorf("a port in use: %v", err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("stopped: %v", err)
	}
}

// Skopeo shares no code with berth or olareg.
func TestSkopeoCopiesOutOfTheSandbox(t *testing.T) {
	t.Parallel()
	skopeo, err := exec.LookPath("skopeo")
	if err != nil {
		t.Skip("skopeo is not installed")
	}
	s := open(t, sandbox.Options{})
	x := testimage.New(t, "a", 10_000)
	r := repository(t, client(s.Transport(), sandbox.Username, sandbox.Password), "ghcr.io/o/n")
	if _, err := r.Push(t.Context(), x, x.Root, registry.PushOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := r.Tag(t.Context(), x.Index, x.Root, "v1"); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(s.Handler())
	t.Cleanup(server.Close)
	policy := filepath.Join(t.TempDir(), "policy.json")
	if err := os.WriteFile(policy, []byte(`{"default":[{"type":"insecureAcceptAnything"}]}`), 0o644); err != nil {
		t.Fatal(err)
	}
	source := "docker://" + strings.TrimPrefix(server.URL, "http://") + "/ghcr.io/o/n:v1"
	out, err := exec.CommandContext(t.Context(), skopeo, "--policy", policy, "copy", "--all", "--preserve-digests",
		"--src-tls-verify=false", source, "dir:"+t.TempDir()).CombinedOutput()
	if err != nil {
		t.Errorf("skopeo: %v\n%s", err, out)
	}
}
