package dockerfile

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// drivers builds with the drivers of buildx that have a daemon of their own, on a Docker daemon with containerd's image
// store, and wants the image of a BuildKit daemon. The driver remote is that of all other tests.
func (l *lab) drivers(t *testing.T) {
	dir := l.project(t, map[string]string{
		"berth.yaml": berthYAML("{dockerfile: {}}"), "VERSION": "1.0.0\n",
		"Dockerfile": "FROM --platform=$BUILDPLATFORM busybox:1 AS build\nARG VERSION TARGETARCH\n" +
			"RUN --network=none echo \"$VERSION for $TARGETARCH\" > /said\nFROM busybox:1\nCOPY --from=build /said /\nCMD [\"cat\", \"/said\"]\n",
	})
	want := l.build(t, dir, l.environment(), "--builder", "buildkit")[0].Digest
	docker := l.startStore(t)
	env := l.environment("DOCKER_HOST="+docker.address, "DOCKER_CONFIG="+l.plugin(t))
	l.container(t, env)
	for _, builder := range []string{"default", "container"} {
		env := append(env, "BUILDX_BUILDER="+builder)
		got := l.build(t, dir, env, "--builder", "docker", "--load")[0]
		if got.Digest != want || strings.Join(got.Platforms, " ") != "linux/amd64 linux/arm64" {
			t.Errorf("%s: %v, but BuildKit gives %s", builder, got, want)
		}
		reference := l.registry + "/acme/web:v1.0.0"
		if said := l.do(t, dir, env, "docker", "run", "--rm", "--network", "none", reference); said != "1.0.0 for amd64\n" {
			t.Errorf("%s: what was loaded says %q", builder, said)
		}
		if id := l.do(t, dir, env, "docker", "image", "inspect", "--format", "{{.Id}}", reference); strings.TrimSpace(id) != want {
			t.Errorf("%s: it was loaded as %s", builder, id)
		}
		l.do(t, dir, env, "docker", "image", "rm", "--force", reference, l.registry+"/acme/web:latest")
	}
}

// container makes a builder of the driver docker-container, from the image that the driver asks for.
func (l *lab) container(t *testing.T, env []string) {
	t.Helper()
	daemon := l.layer(t, "buildkit", func(w *writer) {
		for _, name := range []string{"buildkitd", "buildctl"} {
			w.file("usr/bin/"+name, filepath.Join(l.root, ".bin", name))
		}
		w.program(l, "usr/bin/buildkit-runc", "runc")
	})
	l.push(t, "moby/buildkit", "buildx-stable-1", ocispec.ImageConfig{
		Entrypoint: []string{"buildkitd"}, Env: []string{"PATH=/usr/bin:/bin"},
	}, l.box, daemon)
	config := filepath.Join(t.TempDir(), "buildkitd.toml")
	if err := os.WriteFile(config, []byte(l.mirrors()), 0o600); err != nil {
		t.Fatal(err)
	}
	// The network of this machine, as the registry is on loopback and the daemon has no network of its own.
	l.do(t, l.dir, env, "docker", "buildx", "create", "--name", "container", "--driver", "docker-container",
		"--driver-opt", "network=host", "--buildkitd-config", config, "--bootstrap")
	t.Cleanup(func() { l.clean(t, env, "docker", "buildx", "rm", "--force", "container") })
}

// buildx makes a builder of docker buildx on the daemon, and returns the settings that select it.
func (l *lab) buildx(t *testing.T, kit *daemon) []string {
	t.Helper()
	setting := []string{"DOCKER_CONFIG=" + l.plugin(t), "BUILDX_BUILDER=lab"}
	l.do(t, l.dir, l.environment(setting...), "docker", "buildx", "create", "--name", "lab", "--driver", "remote", kit.address)
	return setting
}

// plugin is a folder of Docker's settings with buildx in it.
func (l *lab) plugin(t *testing.T) string {
	t.Helper()
	config := t.TempDir()
	plugins := filepath.Join(config, "cli-plugins")
	if err := os.MkdirAll(plugins, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(l.root, ".bin", "docker-buildx"), filepath.Join(plugins, "docker-buildx")); err != nil {
		t.Fatal(err)
	}
	return config
}
