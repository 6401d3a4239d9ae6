package sandbox_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/berth-sh/berth/internal/faultproxy/testimage"
	"github.com/berth-sh/berth/pipelines/registry"
	"github.com/berth-sh/berth/pipelines/sandbox"
)

// ask sends one plain request and returns the answer with its body.
func ask(t *testing.T, s *sandbox.Sandbox, method, url, authorization string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", authorization)
	resp, err := s.Transport().RoundTrip(req)
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

// basic is "sandbox:sandbox".
const basic = "Basic c2FuZGJveDpzYW5kYm94"

// token asks a host's token server for scopes.
func token(t *testing.T, s *sandbox.Sandbox, url string) string {
	t.Helper()
	_, body := ask(t, s, http.MethodGet, url, basic)
	var answer struct{ Token string }
	if err := json.Unmarshal([]byte(body), &answer); err != nil || answer.Token == "" {
		t.Fatalf("token: %s, %v", body, err)
	}
	return "Bearer " + answer.Token
}

func pushed(t *testing.T, s *sandbox.Sandbox, name string, tags ...string) testimage.Image {
	t.Helper()
	x := testimage.New(t, "a", 100)
	r := repository(t, client(s.Transport(), sandbox.Username, sandbox.Password), name)
	if _, err := r.Push(t.Context(), x, x.Root, registry.PushOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, tag := range tags {
		if err := r.Tag(t.Context(), x.Index, x.Root, tag); err != nil {
			t.Fatal(err)
		}
	}
	return x
}

func TestAnswersNameTheRealHost(t *testing.T) {
	t.Parallel()
	s := open(t, sandbox.Options{})
	pushed(t, s, "registry.example.com/team/n", "a", "b", "c")
	resp, body := ask(t, s, http.MethodGet, "https://registry.example.com/v2/team/n/tags/list?n=2", basic)
	if strings.TrimSpace(body) != `{"name":"team/n","tags":["a","b"]}` {
		t.Errorf("tags: %s", body)
	}
	if link := resp.Header.Get("Link"); !strings.HasPrefix(link, "</v2/team/n/tags/list?") {
		t.Errorf("link %s", link)
	}
	resp, _ = ask(t, s, http.MethodPost, "https://registry.example.com/v2/team/n/blobs/uploads/", basic)
	if at := resp.Header.Get("Location"); !strings.HasPrefix(at, "/v2/team/n/blobs/uploads/") {
		t.Errorf("location %s", at)
	}
}

func TestATokenAllowsWhatItWasAskedFor(t *testing.T) {
	t.Parallel()
	s := open(t, sandbox.Options{})
	x := pushed(t, s, "quay.io/o/source")
	pull := token(t, s, "https://quay.io/v2/auth?scope=repository:o/n:pull")
	push := token(t, s, "https://quay.io/v2/auth?scope=repository:o/n:pull,push")
	both := token(t, s, "https://quay.io/v2/auth?scope=repository:o/n:pull,push&scope=repository:o/source:pull")
	granted, _, _ := strings.Cut(push, ".")
	mount := "https://quay.io/v2/o/n/blobs/uploads/?mount=" + x.Shared.Digest.String() + "&from=o/source"
	for name, c := range map[string]struct {
		method, url, token string
		want               int
	}{
		"push with a token to pull":       {http.MethodPost, "https://quay.io/v2/o/n/blobs/uploads/", pull, 401},
		"push":                            {http.MethodPost, "https://quay.io/v2/o/n/blobs/uploads/", push, 202},
		"another repository":              {http.MethodGet, "https://quay.io/v2/o/source/tags/list", push, 401},
		"the password instead of a token": {http.MethodGet, "https://quay.io/v2/o/source/tags/list", basic, 401},
		"a token of one's own making":     {http.MethodGet, "https://quay.io/v2/o/n/manifests/v1", granted + ".e30", 401},
		"a token to ask who one is":       {http.MethodGet, "https://quay.io/v2/", pull, 200},
	} {
		if resp, body := ask(t, s, c.method, c.url, c.token); resp.StatusCode != c.want {
			t.Errorf("%s: %d %s", name, resp.StatusCode, body)
		}
	}
	// In this order: what is mounted once is there.
	if resp, _ := ask(t, s, http.MethodPost, mount, push); resp.StatusCode != http.StatusAccepted {
		t.Errorf("a mount from a repository that the token does not cover: %d", resp.StatusCode)
	}
	if resp, _ := ask(t, s, http.MethodPost, mount, both); resp.StatusCode != http.StatusCreated {
		t.Errorf("a mount: %d", resp.StatusCode)
	}
}

func TestOnlyGHCRHasNoReferrers(t *testing.T) {
	t.Parallel()
	s := open(t, sandbox.Options{})
	for name, want := range map[string]int{"ghcr.io/o/n": 404, "quay.io/o/n": 200} {
		x := pushed(t, s, name)
		host, path, _ := strings.Cut(name, "/")
		realm := map[string]string{"ghcr.io": "/token", "quay.io": "/v2/auth"}[host]
		bearer := token(t, s, "https://"+host+realm+"?scope=repository:"+path+":pull")
		resp, body := ask(t, s, http.MethodGet, "https://"+host+"/v2/"+path+"/referrers/"+x.Root.Digest.String(), bearer)
		if resp.StatusCode != want || want == 404 && !strings.Contains(body, `"UNSUPPORTED"`) {
			t.Errorf("%s: %d %s", name, resp.StatusCode, body)
		}
	}
}
