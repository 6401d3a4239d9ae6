package dockerfile

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// sharedCaches keeps the caches of all components in one place. Daemons that know nothing of the build, behind either
// builder, find every step there.
func (l *lab) sharedCaches(t *testing.T) {
	dir := l.project(t, map[string]string{
		"berth.yaml": "buildCache: ${PLACE}\n" + berthYAML("{dockerfile: {context: src}}"), "VERSION": "1.0.0\n",
		"src/Dockerfile": "FROM --platform=$BUILDPLATFORM busybox:1 AS build\nARG TARGETARCH\n" +
			"RUN cat /proc/sys/kernel/random/uuid > /id; echo $TARGETARCH >> /id\nFROM scratch\nCOPY --from=build /id /\n",
	})
	folder := filepath.Join(l.dir, "shared-cache")
	for name, shared := range map[string]string{"repository": l.registry + "/build/cache", "folder": folder} {
		t.Run(name, func(t *testing.T) {
			place := shared + "-docker"
			cold := func() []string { // a machine as CIs give them
				kit := l.startBuildKit(t)
				return slices.Concat(l.environment(l.buildx(t, kit)...), []string{"BUILDKIT_HOST=" + kit.address, "PLACE=" + place})
			}
			first, _ := l.cached(t, dir, cold(), "buildkit")
			if other, hits := l.cached(t, dir, cold(), "buildkit"); other == first || hits > 0 {
				t.Errorf("a cache was written outside a CI: %d steps were found", hits)
			}
			pull := append(cold(), "CI=true", "GITHUB_ACTIONS=true", "GITHUB_REF=refs/pull/7/merge", "GITHUB_EVENT_NAME=pull_request")
			l.cached(t, dir, pull, "docker")
			if other, hits := l.cached(t, dir, cold(), "docker"); other == first || hits > 0 {
				t.Errorf("a pull request wrote a cache: %d steps were found", hits)
			}
			for _, writer := range []string{"docker", "buildkit"} {
				place = shared + "-" + writer
				env := append(cold(), "CI=true")
				wrote, _ := l.cached(t, dir, env, writer)
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
