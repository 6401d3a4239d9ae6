package dockerfile

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// built is one line of `berth build --format json`.
type built struct {
	Component, Digest string
	Platforms         []string
}

func (l *lab) build(t *testing.T, dir string, env []string, args ...string) []built {
	t.Helper()
	out := l.do(t, dir, env, l.berth, append([]string{"build", "--format", "json"}, args...)...)
	var result []built
	if err := json.Unmarshal([]byte(out), &result); err != nil {
		t.Fatal(err)
	}
	return result
}

func TestDockerfiles(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	setting := l.buildx(t, l.kit)
	t.Run("the same image from both builders", func(t *testing.T) { l.same(t, setting) })
	t.Run("drivers", func(t *testing.T) { l.drivers(t) })
	t.Run("failing steps", func(t *testing.T) { l.failing(t, setting) })
	t.Run("secrets", func(t *testing.T) { l.secrets(t, setting) })
	t.Run("attestations", func(t *testing.T) { l.attestations(t, setting) })
	t.Run("base images", func(t *testing.T) { l.standing(t, setting) })
	t.Run("arguments of a base image", func(t *testing.T) { l.onBuild(t, setting) })
	t.Run("shared caches", func(t *testing.T) { l.sharedCaches(t) })
	t.Run("SSH", func(t *testing.T) { l.ssh(t, setting) })
	t.Run("private bases", func(t *testing.T) { l.bases(t, setting) })
	t.Run("caches", func(t *testing.T) { l.caches(t) })
	t.Run("the cache of GitHub Actions", func(t *testing.T) { l.actions(t, setting) })
	t.Run("reproducible", func(t *testing.T) { l.reproducible(t, setting) })
	t.Run("a daemon that stops", func(t *testing.T) { l.stopped(t) })
	t.Run("the integration suite", func(t *testing.T) { l.suite(t, l.startDocker(t)) })
	t.Run("the suite on containerd", func(t *testing.T) { l.suite(t, l.startStore(t)) })
	t.Run("the examples", func(t *testing.T) { l.examples(t, setting) })
}

func (l *lab) same(t *testing.T, setting []string) {
	dir := l.project(t, map[string]string{
		"berth.yaml": berthYAML("{dockerfile: {context: src, file: docker/web.Dockerfile, target: app, args: {WHO: Ann}}, labels: {team: web}}"),
		"VERSION":    "1.0.0\n",
		"docker/web.Dockerfile": `FROM --platform=$BUILDPLATFORM busybox:1 AS build
ARG WHO VERSION GIT_COMMIT BUILD_DATE TARGETARCH
COPY . /in
RUN ls /in > /list; echo "$WHO $VERSION $BUILD_DATE $TARGETARCH" > /said; date > /now
FROM scratch AS app
COPY --from=build /list /said /
HEALTHCHECK CMD ["/none"]
FROM busybox:1 AS never
RUN exit 1
`,
		"docker/web.Dockerfile.dockerignore": "secret\n",
		"src/a":                              "a",
		"src/secret":                         "x",
	})
	env := l.environment(setting...)
	x := l.build(t, dir, env, "--builder", "docker", "--output", filepath.Join(l.dir, "same"))
	y := l.build(t, dir, env, "--builder", "buildkit")
	if len(x) != 1 || x[0].Digest != y[0].Digest || strings.Join(x[0].Platforms, " ") != "linux/amd64 linux/arm64" {
		t.Fatalf("docker %v, buildkit %v", x, y)
	}
	files := l.unpack(t, filepath.Join(l.dir, "same"), "linux/arm64")
	if got := files["said"]; got != "Ann 1.0.0 2026-03-01T12:00:00Z arm64\n" {
		t.Errorf("said %q", got)
	}
	if got := files["list"]; got != "a\n" {
		t.Errorf("the context has %q", got)
	}
	receipt := l.do(t, dir, env, l.berth, "publish", "--builder", "buildkit", "--format", "json")
	if !strings.Contains(receipt, x[0].Digest) {
		t.Errorf("another digest was published: %s", receipt)
	}
}

func (l *lab) failing(t *testing.T, setting []string) {
	dir := l.project(t, map[string]string{
		"berth.yaml": berthYAML("{dockerfile: {}}"), "VERSION": "1.0.0\n",
		"Dockerfile": "FROM busybox:1\nRUN echo the last words of a step; exit 7\n",
	})
	for _, builder := range []string{"docker", "buildkit"} {
		stdout, stderr, code := l.try(t, dir, l.environment(setting...), l.berth, "build", "--quiet", "--platform", "linux/amd64", "--builder", builder)
		for _, want := range []string{"the last words of a step", ">>> RUN echo", "exit code: 7", "next: correct"} {
			if !strings.Contains(stderr, want) {
				t.Errorf("%s: no %q in\n%s", builder, want, stderr)
			}
		}
		if code != 1 || stdout != "" {
			t.Errorf("%s: exit code %d, %s", builder, code, stdout)
		}
	}
}

func (l *lab) secrets(t *testing.T, setting []string) {
	dir := l.project(t, map[string]string{
		"berth.yaml": berthYAML("{dockerfile: {context: src, secrets: [{id: one, env: TOKEN}, {id: two, file: token}]}}"),
		"VERSION":    "1.0.0\n", ".gitignore": "token\n",
		"src/Dockerfile": "FROM busybox:1 AS build\nRUN --mount=type=secret,id=one --mount=type=secret,id=two " +
			"cat /run/secrets/one /run/secrets/two | wc -c > /count\nFROM scratch\nCOPY --from=build /count /\n",
	})
	if err := os.WriteFile(filepath.Join(dir, "token"), []byte("planted-in-a-file"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, builder := range []string{"docker", "buildkit"} {
		out := filepath.Join(l.dir, "secrets-"+builder)
		env := append(l.environment(setting...), "TOKEN=planted-in-a-variable")
		stdout, stderr, code := l.try(t, dir, env, l.berth, "build", "--platform", "linux/amd64", "--builder", builder, "--output", out)
		if code != 0 || strings.Contains(stdout+stderr, "planted") {
			t.Errorf("%s: exit code %d\n%s%s", builder, code, stdout, stderr)
		}
		for name, content := range l.unpack(t, out, "linux/amd64") {
			if strings.Contains(content, "planted") || name == "count" && strings.TrimSpace(content) != "38" {
				t.Errorf("%s: %s holds %q", builder, name, content)
			}
		}
		stdout, stderr, code = l.try(t, dir, l.environment(setting...), l.berth, "build", "--platform", "linux/amd64", "--builder", builder)
		if code == 0 || !strings.Contains(stderr, "TOKEN") {
			t.Errorf("%s without the variable: exit code %d\n%s%s", builder, code, stdout, stderr)
		}
	}
}

// stopped kills a daemon in the middle of a build. The same command builds when there is a daemon again.
func (l *lab) stopped(t *testing.T) {
	flag := filepath.Join(l.dir, "running")
	dir := l.project(t, map[string]string{
		"berth.yaml": berthYAML("{dockerfile: {}}"), "VERSION": "1.0.0\n",
		"Dockerfile": "FROM busybox:1\nRUN echo begun; sleep 15\n",
	})
	for _, builder := range []string{"docker", "buildkit"} {
		kit := l.startBuildKit(t)
		setting := l.buildx(t, kit)
		_ = os.Remove(flag)
		go func() {
			for !strings.Contains(read(flag), "begun") {
				if t.Context().Err() != nil {
					return
				}
				poll()
			}
			kit.kill()
		}()
		log, err := os.Create(flag)
		if err != nil {
			t.Fatal(err)
		}
		env := append(l.environment(setting...), "BUILDKIT_HOST="+kit.address)
		code := l.stream(t, dir, env, log, l.berth, "build", "--platform", "linux/amd64", "--builder", builder)
		said := read(flag)
		if code != 1 || !strings.Contains(said, "the builder is gone") || !strings.Contains(said, "run the same command again") {
			t.Errorf("%s: exit code %d\n%s", builder, code, said)
		}
	}
}

func (l *lab) reproducible(t *testing.T, setting []string) {
	files := map[string]string{
		"berth.yaml": berthYAML("{dockerfile: {}}"), "VERSION": "1.0.0\n",
		"Dockerfile": "FROM busybox:1 AS build\nRUN mkdir /out; date > /now; echo same > /out/a\nFROM scratch\nCOPY --from=build /out /\n",
	}
	env := l.environment(setting...)
	for _, builder := range []string{"docker", "buildkit"} {
		args := []string{"build", "--quiet", "--check-reproducible", "--builder", builder}
		l.do(t, l.project(t, files), env, l.berth, args...)
		files := maps.Clone(files)
		files["Dockerfile"] = "FROM busybox:1 AS build\nRUN mkdir /out; cat /proc/sys/kernel/random/uuid > /out/id\nFROM scratch\nCOPY --from=build /out /\n"
		_, said, code := l.try(t, l.project(t, files), env, l.berth, args...)
		if code != 1 || !strings.Contains(said, "linux/amd64 layer 1 /id: content sha256:") || !strings.Contains(said, "linux/arm64 layer 1 /id") {
			t.Errorf("%s: exit code %d\n%s", builder, code, said)
		}
	}
}
