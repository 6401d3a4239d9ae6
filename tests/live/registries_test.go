package live

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/berth-sh/berth/pipelines/sandbox"
)

// What fails at a registry fails the call, with the report on standard error.
func TestRegistryCheck(t *testing.T) {
	t.Parallel()
	s, h := newShop(t), newHub(t, locked)
	check := func(word string, args ...string) result {
		t.Helper()
		login := []string{h.service, "--username", "ada", "--password", "env:HUB_PASSWORD", "registry-check", "--env", "dev"}
		r := callWith(t, s.project(), []string{"HUB_PASSWORD=" + word}, append(login, args...)...)
		if strings.Contains(r.stdout+r.stderr, word) {
			t.Error("the password was printed")
		}
		return r
	}
	found := decode[struct {
		Registries []struct {
			Registry string `json:"registry"`
			Checks   []struct {
				Check   string `json:"check"`
				Verdict string `json:"verdict"`
			} `json:"checks"`
		} `json:"registries"`
	}](t, check(password, "--format", "json").ok(t))
	if n := len(found.Registries); n != 1 || found.Registries[0].Registry != "hub" {
		t.Fatalf("%+v", found)
	}
	verdicts := map[string]string{}
	for _, c := range found.Registries[0].Checks {
		verdicts[c.Check] = c.Verdict
	}
	if verdicts["login"] != "ok" || verdicts["write"] != "ok" || verdicts["immutability"] != "unknown" {
		t.Errorf("%v", verdicts)
	}
	wrong := check("wrong-" + password)
	wrong.refused(t, "401 Unauthorized", "next: ")
	if !strings.Contains(wrong.stderr, "VERDICT") {
		t.Errorf("no report:\n%s", wrong.stderr)
	}
}

// A pull secret is printed by plaintext and by nothing else, and holds the login that the registry took.
func TestPullSecret(t *testing.T) {
	t.Parallel()
	s, h := newShop(t), newHub(t, locked)
	pull := func(word string, args ...string) result {
		t.Helper()
		login := []string{h.service, "--username", "ada", "--password", "env:HUB_PASSWORD", "pull-secret", "--env", "dev"}
		r := callWith(t, s.project(), []string{"HUB_PASSWORD=" + word}, append(login, args...)...)
		pair := base64.StdEncoding.EncodeToString([]byte("ada:" + word))
		for _, secret := range []string{word, pair, "dockerconfigjson"} {
			if strings.Contains(r.stderr, secret) {
				t.Errorf("%v: %s is in the log", args, secret)
			}
		}
		return r
	}
	text := pull(password, "--namespace", "shop", "--format", "json", "plaintext").ok(t)
	var object struct {
		Kind, Type string
		Metadata   struct{ Name, Namespace string }
		Data       map[string][]byte // of base64
	}
	if err := json.Unmarshal([]byte(text), &object); err != nil {
		t.Fatalf("%v in:\n%s", err, text)
	}
	if object.Kind != "Secret" || object.Type != "kubernetes.io/dockerconfigjson" ||
		object.Metadata.Name != "oci-secret" || object.Metadata.Namespace != "shop" {
		t.Errorf("%+v", object)
	}
	if inside := string(object.Data[".dockerconfigjson"]); !strings.Contains(inside, `"password":"`+password+`"`) {
		t.Errorf("what is inside: %s", inside)
	}
	if yaml := pull(password, "plaintext").ok(t); !strings.HasPrefix(yaml, `apiVersion: "v1"`) {
		t.Errorf("%s", yaml)
	}
	if named := pull(password).ok(t); strings.Contains(named, "dockerconfigjson") {
		t.Errorf("it prints without plaintext:\n%s", named)
	}
	pull("wrong-"+password, "plaintext").refused(t, "401 Unauthorized", "next: ")
	call(t, s.project(), h.service, "--username", "AWS", "--password", "env:PATH", "pull-secret", "--env", "dev").refused(t,
		"a token of ECR lives 12 hours", "next: use an account that may only read: dagger call --username NAME --password env:")
}

const cloudYAML = `apiVersion: berth/v1
project: shop
version: {file: VERSION}
platforms: [linux/amd64]
components:
  web: {go: {dir: web}}
registries:
  cloud: {prefix: 123456789012.dkr.ecr.eu-west-1.amazonaws.com/shop, createRepositories: true}
environments:
  dev: {registry: cloud, immutable: ["v*"]}
tags:
  - {branch: "**", set: ["v{version}", latest]}
`

// With a key of AWS, logins come from AWS's API, missing repositories are created, and their settings are checked.
func TestKeyOfAWS(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	box, err := sandbox.New(sandbox.Options{
		Dir: filepath.Join(t.TempDir(), "sandbox"), Password: "token-" + password, RequireRepositories: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	var sessions atomic.Int32
	cloud := &httputil.ReverseProxy{Transport: box.Transport(), Rewrite: func(r *httputil.ProxyRequest) {
		r.Out.URL.Scheme, r.Out.URL.Host = "https", r.In.Host
	}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Amz-Security-Token") == "session-"+password {
			sessions.Add(1)
		}
		cloud.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
		_ = box.Close()
	})
	s.write("svc/berth.yaml", cloudYAML)
	s.commit("chore: to the cloud")
	call := func(args ...string) result {
		t.Helper()
		env := []string{"KEY_ID=" + sandbox.Username, "KEY_SECRET=secret-" + password, "SESSION=session-" + password}
		r := callWith(t, s.project(), env, append([]string{
			"--registry-service=tcp://" + strings.TrimPrefix(server.URL, "http://"), "--aws-access-key-id", "env:KEY_ID",
			"--aws-secret-access-key", "env:KEY_SECRET", "--aws-session-token", "env:SESSION",
		}, args...)...)
		if strings.Contains(r.stdout+r.stderr, password) {
			t.Errorf("%v: a secret was printed", args)
		}
		return r
	}
	published := call("publish", "--env", "dev")
	published.ok(t)
	if !strings.Contains(published.stderr, "create 123456789012.dkr.ecr.eu-west-1.amazonaws.com/shop/web") {
		t.Errorf("no repository was created:\n%s", published.stderr)
	}
	if sessions.Load() == 0 {
		t.Error("the session token did not reach AWS")
	}
	if report := call("registry-check", "--env", "dev").ok(t); !strings.Contains(report, "IMMUTABLE_WITH_EXCLUSION") {
		t.Errorf("the check:\n%s", report)
	}
	if secret := call("pull-secret", "--env", "dev", "plaintext").ok(t); !strings.HasPrefix(secret, "# no pull secret is needed") {
		t.Errorf("nodes of EKS need none:\n%s", secret)
	}
}
