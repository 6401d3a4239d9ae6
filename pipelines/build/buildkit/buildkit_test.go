package buildkit

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/moby/buildkit/session/secrets"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/berth-sh/berth/pipelines/build"
	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/registry"
)

func environment(values map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		v, ok := values[name]
		return v, ok
	}
}

func TestNoDaemon(t *testing.T) {
	t.Parallel()
	dead := "unix://" + filepath.Join(t.TempDir(), "s")
	for want, values := range map[string]map[string]string{
		"BUILDKIT_HOST is not set":                {"XDG_RUNTIME_DIR": t.TempDir()},
		"the daemon at " + dead + " does not ans": {"BUILDKIT_HOST": dead},
	} {
		b := New(environment(values), nil)
		if err := b.Ready(t.Context()); err == nil || !strings.HasPrefix(err.Error(), "BuildKit: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	c := build.DockerfileComponent{Name: "web", Context: t.TempDir(), File: filepath.Join(t.TempDir(), "Dockerfile")}
	_, err := New(environment(map[string]string{"BUILDKIT_HOST": dead}), nil).
		BuildDockerfile(t.Context(), c, []ocispec.Platform{{OS: "linux", Architecture: "amd64"}}, build.Options{Out: t.TempDir()})
	if f, ok := errors.AsType[*fault.Error](err); !ok || !f.Retryable || !strings.Contains(f.Next, "the builder is gone") {
		t.Errorf("%v", err)
	}
}

func TestRootlessSocket(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	socket := filepath.Join(dir, "buildkit", "buildkitd.sock")
	if err := os.MkdirAll(filepath.Dir(socket), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(socket, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := New(environment(map[string]string{"XDG_RUNTIME_DIR": dir}), nil).address()
	if _, rootful := os.Stat("/run/buildkit/buildkitd.sock"); rootful != nil && (err != nil || got != "unix://"+socket) {
		t.Errorf("%q %v", got, err)
	}
}

func TestSolve(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := build.DockerfileComponent{
		Name: "web", Context: dir, File: filepath.Join(t.TempDir(), "web.Dockerfile"), Target: "app",
		Args: map[string]string{"A": "b"}, CacheFrom: []string{"type=registry,ref=localhost/cache"},
		CacheTo: []string{"type=gha,scope=web"},
	}
	platforms := []ocispec.Platform{{OS: "linux", Architecture: "amd64"}, {OS: "linux", Architecture: "arm64", Variant: "v8"}}
	b := New(environment(map[string]string{"ACTIONS_RESULTS_URL": "https://results/", "ACTIONS_RUNTIME_TOKEN": "t"}), nil)
	got, err := b.solve(c, platforms, build.Options{NoCache: true}, filepath.Join(dir, "out"))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"filename": "web.Dockerfile", "platform": "linux/amd64,linux/arm64", "target": "app", "no-cache": "", "build-arg:A": "b",
	}
	if !maps.Equal(got.FrontendAttrs, want) {
		t.Errorf("%v", got.FrontendAttrs)
	}
	if from := got.CacheImports[0]; from.Type != "registry" || from.Attrs["ref"] != "localhost/cache" {
		t.Errorf("%+v", from)
	}
	to := got.CacheExports[0]
	if to.Type != "gha" || !maps.Equal(to.Attrs, map[string]string{
		"scope": "web", "url": "https://results/", "url_v2": "https://results/", "token": "t",
	}) {
		t.Errorf("%+v", to)
	}
	c.Provenance, c.SBOM = "min", "example.com/scan:1"
	if got, err = b.solve(c, platforms, build.Options{Commit: "abc"}, dir); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"attest:provenance": "mode=min", "attest:sbom": "generator=example.com/scan:1", "vcs:revision": "abc",
	} {
		if got.FrontendAttrs[name] != want {
			t.Errorf("%s is %q", name, got.FrontendAttrs[name])
		}
	}
	if _, err := New(environment(nil), nil).solve(c, platforms, build.Options{}, dir); err == nil || !strings.Contains(err.Error(), "ACTIONS_RUNTIME_TOKEN") {
		t.Errorf("%v", err)
	}
}

func TestSession(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte("of a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := store{environment(map[string]string{"V": "of a variable"}), []build.Secret{{ID: "a", Env: "V"}, {ID: "b", File: file}}}
	for id, want := range map[string]string{"a": "of a variable", "b": "of a file"} {
		if got, err := s.GetSecret(t.Context(), id); err != nil || string(got) != want {
			t.Errorf("%s: %q %v", id, got, err)
		}
	}
	if _, err := s.GetSecret(t.Context(), "c"); !errors.Is(err, secrets.ErrNotFound) {
		t.Errorf("%v", err)
	}
	_, err := New(environment(nil), nil).session(build.DockerfileComponent{SSH: []build.SSH{{ID: "default"}}})
	if err == nil || !strings.Contains(err.Error(), "SSH_AUTH_SOCK is not set") {
		t.Errorf("%v", err)
	}
}

func TestAccount(t *testing.T) {
	t.Parallel()
	none, err := New(environment(nil), nil).account(t.Context(), "ghcr.io", nil, nil)
	if err != nil || none.Username != "" {
		t.Errorf("%+v %v", none, err)
	}
	b := New(environment(nil), func(_ context.Context, host string) (registry.Credential, error) {
		return registry.Credential{Username: host, Password: "p", IdentityToken: "i", AccessToken: "a"}, nil
	})
	got, err := b.account(t.Context(), "ghcr.io", nil, nil)
	if err != nil || got.Username != "ghcr.io" || got.Password != "p" || got.IdentityToken != "i" || got.RegistryToken != "a" {
		t.Errorf("%+v %v", got, err)
	}
}
