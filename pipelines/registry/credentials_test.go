package registry_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/registry"
)

func environment(vars map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		v, ok := vars[name]
		return v, ok
	}
}

// dockerConfig writes a config.json with one login and returns its folder.
func dockerConfig(t *testing.T, content string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestCredentialsInOrder(t *testing.T) {
	t.Parallel()
	// "docker:secret", and for Docker Hub under the name that docker login gives it.
	docker := dockerConfig(t, `{"auths":{"ghcr.io":{"auth":"ZG9ja2VyOnNlY3JldA=="},`+
		`"https://index.docker.io/v1/":{"auth":"aHViOnNlY3JldA=="}}}`)
	home := t.TempDir()
	if err := os.Symlink(docker, filepath.Join(home, ".docker")); err != nil {
		t.Fatal(err)
	}
	byHand := registry.Explicit{"ghcr.io": {Username: "hand", Password: "x", Source: "--username"}}
	all := map[string]string{"DOCKER_CONFIG": docker, "GITHUB_TOKEN": "t", "GITHUB_ACTOR": "actor"}
	file := filepath.Join(docker, "config.json")
	cases := map[string]struct {
		explicit registry.Explicit
		env      map[string]string
		host     string
		want     string
	}{
		"by hand before all":      {byHand, all, "ghcr.io", "hand:[redacted] from --username"},
		"by hand for every host":  {registry.Explicit{"": {Username: "any"}}, all, "quay.io", "any:[redacted] from "},
		"docker before the token": {nil, all, "ghcr.io", "docker:[redacted] from " + file},
		"docker in HOME": {
			nil,
			map[string]string{"HOME": home},
			"ghcr.io",
			"docker:[redacted] from " + filepath.Join(home, ".docker/config.json"),
		},
		"docker hub": {nil, all, "docker.io", "hub:[redacted] from " + file},
		"token": {
			nil,
			map[string]string{"GITHUB_TOKEN": "t", "GITHUB_ACTOR": "actor"},
			"ghcr.io",
			"actor:[redacted] from GITHUB_TOKEN",
		},
		"other names": {
			nil,
			map[string]string{"GH_TOKEN": "t", "GITHUB_USERNAME": "me"},
			"ghcr.io",
			"me:[redacted] from GH_TOKEN",
		},
		"no user name": {
			nil,
			map[string]string{"GITHUB_TOKEN": "t\n"},
			"ghcr.io",
			"x-access-token:[redacted] from GITHUB_TOKEN",
		},
		"a token of no use": {nil, map[string]string{"GITHUB_TOKEN": "t"}, "quay.io", "anonymous"},
		"an empty token":    {nil, map[string]string{"GITHUB_TOKEN": " "}, "ghcr.io", "anonymous"},
		"no configuration":  {nil, map[string]string{"DOCKER_CONFIG": t.TempDir()}, "ghcr.io", "anonymous"},
		"nothing":           {nil, nil, "ghcr.io", "anonymous"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sources := registry.DefaultSources(c.explicit, environment(c.env))
			got, err := registry.NewCredentials(sources...).For(t.Context(), c.host)
			if err != nil || got.String() != c.want {
				t.Errorf("%v, %v, want %s", got, err, c.want)
			}
		})
	}
}

func TestABrokenDockerConfigurationIsAFault(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{
		"no JSON":   `{`,
		"no helper": `{"credHelpers":{"ghcr.io":"berth-test-that-is-not-installed"}}`,
	} {
		env := environment(map[string]string{"DOCKER_CONFIG": dockerConfig(t, content), "GITHUB_TOKEN": "t"})
		_, err := registry.NewCredentials(registry.DefaultSources(nil, env)...).For(t.Context(), "ghcr.io")
		if fault.CodeOf(err) != fault.Credentials || !strings.Contains(fault.NextOf(err), "config.json") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestACredentialNeverPrintsItsSecrets(t *testing.T) {
	t.Parallel()
	c := registry.Credential{
		Username: "me", Password: "hunter2", IdentityToken: "hunter3", AccessToken: "hunter4",
		Source: "s",
	}
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("login", "credential", c, "group", slog.GroupValue(slog.Any("c", &c)))
	log.Write(text)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
		fmt.Fprintf(&log, verb+verb, c, &c)
		fmt.Fprintf(&log, verb, []registry.Credential{c})
		fmt.Fprintf(&log, verb, registry.Explicit{"h": c})
	}
	if got := log.String(); strings.Contains(got, "hunter") || strings.Contains(got, "68756e74") {
		t.Errorf("a secret in: %s", got)
	}
	if !strings.Contains(log.String(), "me:[redacted] from s") {
		t.Errorf("no user name in: %s", log.String())
	}
}

type sourceFunc func(ctx context.Context, host string) (registry.Credential, error)

func (f sourceFunc) Credential(ctx context.Context, host string) (registry.Credential, error) {
	return f(ctx, host)
}

func TestEachHostIsResolvedOnce(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	begun, release := make(chan struct{}), make(chan struct{})
	c := registry.NewCredentials(sourceFunc(func(_ context.Context, host string) (registry.Credential, error) {
		if calls.Add(1) == 1 {
			close(begun)
		}
		<-release
		return registry.Credential{Username: "at " + host}, nil
	}))
	var group sync.WaitGroup
	for range 10 {
		group.Go(func() {
			if got, err := c.For(t.Context(), "ghcr.io"); got.Username != "at ghcr.io" || err != nil {
				t.Errorf("%v, %v", got, err)
			}
		})
	}
	<-begun
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.For(cancelled, "ghcr.io"); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled caller got %v", err)
	}
	close(release)
	group.Wait()
	if n := calls.Load(); n != 1 {
		t.Errorf("resolved %d times", n)
	}
}

func TestAFailureIsNotRemembered(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom")
	failing := true
	c := registry.NewCredentials(sourceFunc(func(context.Context, string) (registry.Credential, error) {
		if failing {
			return registry.Credential{}, boom
		}
		return registry.Credential{Username: "me"}, nil
	}))
	if _, err := c.For(t.Context(), "ghcr.io"); !errors.Is(err, boom) {
		t.Errorf("got %v", err)
	}
	failing = false
	if got, err := c.For(t.Context(), "ghcr.io"); got.Username != "me" || err != nil {
		t.Errorf("%v, %v", got, err)
	}
}

// A credential that is about to expire is asked for again, and one that a registry refused before its time too.
func TestACredentialIsRenewed(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	made := 0
	c := registry.NewCredentialsAt(func() time.Time { return now },
		sourceFunc(func(context.Context, string) (registry.Credential, error) {
			made++
			return registry.Credential{
				Username: "AWS", Password: fmt.Sprintf("token-%d", made), Expires: now.Add(12 * time.Hour),
			}, nil
		}))
	ask := func(want string) registry.Credential {
		t.Helper()
		got, err := c.For(t.Context(), "h.example.com")
		if err != nil || got.Password != want {
			t.Errorf("%s, %v, want %s", got.Password, err, want)
		}
		return got
	}
	ask("token-1")
	now = now.Add(11 * time.Hour)
	first := ask("token-1")
	now = now.Add(56 * time.Minute)
	ask("token-2")

	if got, fresh, err := c.Renew(t.Context(), "h.example.com", first); !fresh || err != nil || got.Password != "token-2" {
		t.Errorf("another caller had renewed it: %v %v %v", got.Password, fresh, err)
	}
	second := ask("token-2")
	if got, fresh, err := c.Renew(t.Context(), "h.example.com", second); !fresh || err != nil || got.Password != "token-3" {
		t.Errorf("%v %v %v", got.Password, fresh, err)
	}
	lasting := registry.Credential{Username: "me", Password: "p"}
	if _, fresh, err := c.Renew(t.Context(), "h.example.com", lasting); fresh || err != nil || made != 3 {
		t.Errorf("a password that does not expire was renewed: %v, %v, %d", fresh, err, made)
	}
}

// Why a chain found nothing is kept for the error that the registry's refusal will become.
func TestANoteSaysWhyThereIsNoCredential(t *testing.T) {
	t.Parallel()
	c := registry.NewCredentials(sourceFunc(func(context.Context, string) (registry.Credential, error) {
		return registry.Credential{Note: "no profile"}, nil
	}), registry.Explicit{"ghcr.io": {Username: "me"}})
	if got, err := c.For(t.Context(), "quay.io"); !got.Anonymous() || got.Note != "no profile" || err != nil {
		t.Errorf("%+v %q, %v", got, got.Note, err)
	}
	if got, err := c.For(t.Context(), "ghcr.io"); got.Username != "me" || got.Note != "" || err != nil {
		t.Errorf("%+v, %v", got, err)
	}
}
