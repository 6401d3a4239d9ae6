package live

import (
	"encoding/base64"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What is published has the digest that the command line builds; the second call sends nothing, and asks the registry
// all the same: what is gone there comes back.
func TestPublish(t *testing.T) {
	t.Parallel()
	s, h := newShop(t), newHub(t, nil)
	want := digests(decode[[]built](t, native(t, s.project(), "build", "--format", "json")))
	publish := func() receipt {
		t.Helper()
		return decode[receipt](t, call(t, s.project(), h.service, "publish", "--env", "dev", "--format", "json").ok(t))
	}

	if text := call(t, s.project(), h.service, "publish", "--env", "dev", "--dry-run").ok(t); !strings.Contains(text, "latest") {
		t.Errorf("the plan:\n%s", text)
	}
	if n := h.Count(http.MethodPut, ""); n != 0 {
		t.Errorf("a dry run sent %d things", n)
	}

	first := publish()
	if diff := cmp.Diff(want, digests(first.Images)); diff != "" {
		t.Errorf("the command line, then the module:\n%s", diff)
	}
	if up := first.Images[0].Uploaded; up.Manifests != 3 || up.Blobs == 0 {
		t.Errorf("first: %+v", up)
	}

	h.ResetCounts()
	second := publish()
	if n := h.Count(http.MethodPut, "") + h.Count(http.MethodPost, ""); n != 0 {
		t.Errorf("the second call sent %d things", n)
	}
	for _, tag := range second.Images[0].Tags {
		if tag.Action != "unchanged" {
			t.Errorf("second: %+v", tag)
		}
	}

	h.remove(t, "shop/web", "latest")
	third := publish()
	i := slices.IndexFunc(third.Images[0].Tags, func(x builtTag) bool { return x.Name == "latest" })
	if i < 0 || third.Images[0].Tags[i].Action != "created" {
		t.Errorf("third: %+v", third.Images[0].Tags)
	}
}

// The engine remembers what functions return, but never of one that has effects: the same call runs again.
func TestEffectsRunAgain(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	for _, function := range [][]string{{"--sandbox", "publish", "--env", "dev"}, {"rehearse"}} {
		for i := range 2 {
			r := call(t, s.project(), function...)
			r.ok(t)
			if !strings.Contains(r.stderr, "push   hub.example.com/shop/web") {
				t.Errorf("%v: call %d did not run:\n%s", function, i+1, r.stderr)
			}
		}
	}
}

// remove deletes a tag.
func (h hub) remove(t *testing.T, repository, tag string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, h.url+"/v2/"+repository+"/manifests/"+tag, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusAccepted {
		t.Fatalf("delete %s: %s", tag, answer.Status)
	}
}

const password = "correct-horse-battery" // of a registry that lives as long as its test

// locked lets in one account.
func locked(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, given, _ := r.BasicAuth()
		if user != "ada" || given != password {
			w.Header().Set("WWW-Authenticate", `Basic realm="hub"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// A private registry takes the account of an argument or of Docker's configuration. No secret is ever printed.
func TestPrivateRegistry(t *testing.T) {
	t.Parallel()
	s, h := newShop(t), newHub(t, locked)
	login := base64.StdEncoding.EncodeToString([]byte("ada:" + password))
	file := filepath.Join(t.TempDir(), "config.json")
	content := `{"auths":{"hub.example.com":{"auth":"` + login + `"}}}`
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	publish := func(args ...string) result {
		t.Helper()
		env := []string{"HUB_PASSWORD=" + password, "WRONG=wrong-" + password}
		r := callWith(t, s.project(), env, append(append([]string{h.service}, args...), "publish", "--env", "dev")...)
		for _, secret := range []string{password, login} {
			if strings.Contains(r.stdout+r.stderr, secret) {
				t.Errorf("%v: a secret was printed", args)
			}
		}
		return r
	}

	none := publish()
	none.refused(t, "there are no credentials for hub.example.com", "next:")
	if !strings.Contains(none.stderr, "give --docker-config, or --username and --password") {
		t.Errorf("it does not say how:\n%s", none.stderr)
	}
	publish("--username", "ada", "--password", "env:WRONG").refused(t, "401 Unauthorized", `next: the registry refused user "ada" from --password`)
	publish("--username", "ada", "--password", "env:NOT_SET").refused(t, "--password: the secret cannot be read",
		"next: give a secret that exists")
	publish("--username", "ada", "--password", "env:HUB_PASSWORD").ok(t)
	if out := publish("--docker-config", "file:"+file).ok(t); !strings.Contains(out, "unchanged") {
		t.Errorf("with Docker's configuration:\n%s", out)
	}
}

// A service may stand in for one registry alone: others are asked for real.
func TestServiceForOneRegistry(t *testing.T) {
	t.Parallel()
	s, h := newShop(t), newHub(t, nil)
	one := []string{h.service, "--registry-host", "hub.example.com", "--variables", "TEAM=blue", "publish", "--env"}
	call(t, s.project(), append(one, "dev")...).ok(t)
	if h.Count("", "") == 0 {
		t.Error("the service was not asked")
	}
	h.ResetCounts()
	call(t, s.project(), append(one, "spare")...).refused(t, "other.invalid/blue/web", "next: check the registry's name")
	if n := h.Count("", "manifests"); n != 0 {
		t.Errorf("the service was asked %d times for another registry", n)
	}
}

// A bump is a set of changes in the folder of the caller, and nothing when they lie outside of it.
func TestBump(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	bump := []string{"--progress=plain", "-y", "-m", module(t), "call", "bump", "--to", "minor"}
	run(t, filepath.Join(s.project(), "web"), nil, "dagger", bump...).refused(t, "it is not below svc/web", "next: call it from the root")
	run(t, s.project(), nil, "dagger", bump...).ok(t)
	if got := s.git("status", "--short"); got != " M svc/VERSION\n" || s.read("svc/VERSION") != "0.2.0\n" {
		t.Errorf("%s%s", got, s.read("svc/VERSION"))
	}
}
