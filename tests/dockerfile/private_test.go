package dockerfile

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/registry/remote/auth"

	"github.com/berth-sh/berth/pipelines/fault"
)

// private is a lab whose registry wants a login, with a base image in it.
func (l *lab) private(t *testing.T) *lab {
	t.Helper()
	p := *l
	p.registry = guarded(t)
	p.client = &auth.Client{Credential: auth.StaticCredential(p.registry, auth.Credential{Username: username, Password: password})}
	p.push(t, "private/base", "1", ocispec.ImageConfig{}, l.box)
	return &p
}

// login writes the login of Docker for a host into a folder of Docker's settings.
func login(t *testing.T, config, host, password string) {
	t.Helper()
	account := base64.StdEncoding.EncodeToString([]byte(username + ":" + password))
	file := filepath.Join(config, "config.json")
	settings := map[string]any{"auths": map[string]any{host: map[string]string{"auth": account}}}
	data, err := json.Marshal(settings)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// bases builds on a base image that only an account may pull.
func (l *lab) bases(t *testing.T, setting []string) {
	p := l.private(t)
	dir := p.project(t, map[string]string{
		"berth.yaml": berthYAML("{dockerfile: {}}"), "VERSION": "1.0.0\n",
		"Dockerfile": "FROM HOST/private/base:1\nRUN echo built > /said\n",
	})
	config := strings.TrimPrefix(setting[0], "DOCKER_CONFIG=")
	env := p.environment(setting...)
	for _, builder := range []string{"docker", "buildkit"} {
		args := []string{"build", "--platform", "linux/amd64", "--builder", builder}
		for name, given := range map[string]string{"a wrong password": "not-" + password, "no account": ""} {
			if given == "" {
				_ = os.Remove(filepath.Join(config, "config.json"))
			} else {
				login(t, config, p.registry, given)
			}
			_, said, code := l.try(t, dir, env, l.berth, args...)
			if code != int(fault.Credentials) || !strings.Contains(said, p.registry) || strings.Contains(said, password) {
				t.Errorf("%s, %s: exit code %d\n%s", builder, name, code, said)
			}
		}
		login(t, config, p.registry, password)
		l.do(t, dir, env, l.berth, args...)
	}
}
