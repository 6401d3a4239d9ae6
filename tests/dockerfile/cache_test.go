package dockerfile

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// unique is a Dockerfile whose image tells which build it comes from.
const unique = "FROM --platform=$BUILDPLATFORM busybox:1 AS build\nARG TARGETARCH\n" +
	"RUN cat /proc/sys/kernel/random/uuid > /id; echo $TARGETARCH >> /id\nFROM scratch\nCOPY --from=build /id /\n"

// cold gives the environment of a machine as CIs have them: each time its daemon has forgotten all that it has built.
func (l *lab) cold(t *testing.T) func(more ...string) []string {
	t.Helper()
	kit := l.startBuildKit(t)
	env := append(l.environment(l.buildx(t, kit)...), "BUILDKIT_HOST="+kit.address)
	return func(more ...string) []string {
		l.do(t, l.dir, env, filepath.Join(l.root, ".bin", "buildctl"), "prune", "--all")
		return slices.Concat(env, more)
	}
}

// sharedCaches keeps the caches of all components in one place. Daemons that know nothing of the build, behind either
// builder, find every step there.
func (l *lab) sharedCaches(t *testing.T) {
	dir := l.project(t, map[string]string{
		"berth.yaml": "buildCache: ${PLACE}\n" + berthYAML("{dockerfile: {context: src}}"), "VERSION": "1.0.0\n",
		"src/Dockerfile": unique,
	})
	folder := filepath.Join(l.dir, "shared-cache")
	t.Run("GitHub", func(t *testing.T) { l.ofItself(t) })
	for name, shared := range map[string]string{"repository": l.registry + "/build/cache", "folder": folder} {
		t.Run(name, func(t *testing.T) {
			place := shared + "-docker"
			machine := l.cold(t)
			cold := func(more ...string) []string { return append(machine(more...), "PLACE="+place) }
			first, _ := l.cached(t, dir, cold(), "buildkit")
			if other, hits := l.cached(t, dir, cold(), "buildkit"); other == first || hits > 0 {
				t.Errorf("a cache was written outside a CI: %d steps were found", hits)
			}
			pull := cold("CI=true", "GITHUB_ACTIONS=true", "GITHUB_REF=refs/pull/7/merge", "GITHUB_EVENT_NAME=pull_request")
			l.cached(t, dir, pull, "docker")
			if other, hits := l.cached(t, dir, cold(), "docker"); other == first || hits > 0 {
				t.Errorf("a pull request wrote a cache: %d steps were found", hits)
			}
			for _, writer := range []string{"docker", "buildkit"} {
				place = shared + "-" + writer
				wrote, _ := l.cached(t, dir, cold("CI=true"), writer)
				for _, reader := range []string{"docker", "buildkit"} {
					// The two RUN at least; a COPY may be shown as done when its layer had to be fetched.
					if found, hits := l.cached(t, dir, cold(), reader); found != wrote || hits < 2 {
						t.Errorf("written by %s, %s found %d steps, %q instead of %q", writer, reader, hits, found, wrote)
					}
				}
			}
		})
	}
	env := append(l.environment(), "CI=true", "PLACE=127.0.0.1:1/build/cache")
	_, said, code := l.try(t, dir, env, l.berth, "build", "--quiet", "--builder", "buildkit")
	if code != 0 || !strings.Contains(said, "warning: web: the image is built, but the cache of the build was not saved: ") {
		t.Errorf("exit code %d without the registry of the cache\n%s", code, said)
	}
	env = append(l.environment(), "PLACE=./src/cache")
	_, said, code = l.try(t, dir, env, l.berth, "build", "--quiet", "--builder", "buildkit")
	if code != 2 || !strings.Contains(said, "berth.yaml:1:13: the folder is a part of the build context of web") {
		t.Errorf("exit code %d with the cache in the context\n%s", code, said)
	}
}

// cached builds for both platforms, and returns what a step made up, and how many steps were not run.
func (l *lab) cached(t *testing.T, dir string, env []string, builder string) (id string, hits int) {
	t.Helper()
	out := filepath.Join(l.dir, "cached-"+builder)
	_, said, code := l.try(t, dir, env, l.berth, "build", "--builder", builder, "--output", out)
	if code != 0 {
		t.Fatalf("exit code %d\n%s", code, said)
	}
	for line := range strings.Lines(said) {
		if strings.HasSuffix(strings.TrimSpace(line), " CACHED") {
			hits++
		}
	}
	return l.unpack(t, out, "linux/amd64")["id"] + l.unpack(t, out, "linux/arm64")["id"], hits
}
