package build

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/berth-sh/berth/pipelines/fault"
)

func TestRefusedImage(t *testing.T) {
	t.Parallel()
	const solve = "the build says:\nERROR: failed to build: failed to solve: "
	for said, want := range map[string]string{
		solve + "127.0.0.1:5000/a/base:1: failed to resolve source metadata for 127.0.0.1:5000/a/base:1: unexpected status" +
			" from HEAD request to http://127.0.0.1:5000/v2/a/base/manifests/1: 401 Unauthorized": "127.0.0.1:5000/a/base:1",
		solve + "quay.io/acme/base: failed to resolve source metadata for quay.io/acme/base:latest: unexpected status from" +
			" HEAD request to https://quay.io/v2/acme/base/manifests/latest: 403 Forbidden": "quay.io/acme/base:latest",
		solve + "acme/base: failed to resolve source metadata for docker.io/acme/base:latest: pull access denied, repository" +
			" does not exist or may require authorization: server message: insufficient_scope: authorization failed": "docker.io/acme/base:latest",
		solve + "ghcr.io/acme/base:1: failed to resolve source metadata for ghcr.io/acme/base:1: failed to authorize: failed" +
			" to fetch oauth token: denied: denied": "ghcr.io/acme/base:1",
		"failed to convert Dockerfile to LLB: quay.io/acme/base:3: unexpected status from HEAD request to" +
			" https://quay.io/v2/acme/base/manifests/3: 401 Unauthorized": "quay.io/acme/base:3",
		solve + "failed to resolve source metadata for quay.io/acme/base:2: quay.io/acme/base:2: not found":                     "",
		solve + "process \"/bin/sh -c curl https://quay.io/v2/: 401 Unauthorized\" did not complete successfully: exit code: 1": "",
		solve + "failed to resolve source metadata for quay.io/acme/base:2: dial tcp: lookup quay.io: no such host":             "",
	} {
		image, next, ok := refused(said)
		if image != want || ok != (want != "") || ok && !strings.Contains(next, "log in") {
			t.Errorf("%q, %q of\n%s", image, next, said)
		}
	}
}

func TestBroken(t *testing.T) {
	t.Parallel()
	c := DockerfileComponent{Name: "web", File: "Dockerfile"}
	refused := errors.New("failed to resolve source metadata for ghcr.io/acme/base:1: x: 401 Unauthorized")
	for name, one := range map[string]struct {
		said, ready error
		code        fault.Code
		next        string
		retryable   bool
	}{
		"a step":       {errors.New("exit code: 1"), nil, fault.Failed, "correct Dockerfile", false},
		"a login":      {refused, nil, fault.Credentials, "docker login ghcr.io", false},
		"a lost login": {refused, errors.New("no daemon"), fault.Failed, "the builder is gone (no daemon)", true},
	} {
		f, ok := errors.AsType[*fault.Error](Broken(c, one.said, one.ready))
		if !ok || f.Code != one.code || !strings.Contains(f.Next, one.next) || f.Retryable != one.retryable {
			t.Errorf("%s: %+v", name, f)
		}
	}
}

func TestCheckSSH(t *testing.T) {
	t.Parallel()
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, one := range map[string]struct {
		ssh    SSH
		socket string
		want   string
	}{
		"an agent":      {SSH{ID: "default"}, key, ""},
		"no agent":      {SSH{ID: "default"}, "", "ssh default needs an agent, and SSH_AUTH_SOCK is not set"},
		"a stale agent": {SSH{ID: "default"}, key + ".gone", "the agent of SSH_AUTH_SOCK, stat " + key + ".gone"},
		"a key":         {SSH{ID: "file", Paths: []string{key}}, "", ""},
		"no key":        {SSH{ID: "file", Paths: []string{key + ".gone"}}, key, "ssh file: stat " + key + ".gone"},
	} {
		err := DockerfileComponent{Name: "web", SSH: []SSH{one.ssh}}.CheckSSH(func(string) (string, bool) { return one.socket, true })
		switch {
		case one.want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case one.want != "" && (err == nil || !strings.Contains(err.Error(), one.want) || fault.CodeOf(err) != fault.Usage):
			t.Errorf("%s: %v", name, err)
		}
	}
}
