package dockerfile

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// onceOnly is a step whose outcome tells whether it has run again.
const onceOnly = "FROM busybox:1 AS build\nRUN cat /proc/sys/kernel/random/uuid > /id\nFROM scratch\nCOPY --from=build /id /\n"

// id builds onceOnly on a daemon that has forgotten all other builds, and returns what the step wrote.
func (l *lab) id(t *testing.T, dir string, env []string, builder string) string {
	t.Helper()
	l.do(t, l.dir, env, filepath.Join(l.root, ".bin", "buildctl"), "prune", "--all")
	out := filepath.Join(t.TempDir(), "out")
	stdout, stderr, code := l.try(t, dir, env, l.berth, "build", "--platform", "linux/amd64", "--builder", builder, "--output", out)
	if code != 0 || strings.Contains(stdout+stderr, password) {
		t.Fatalf("%s: exit code %d\n%s%s", builder, code, stdout, stderr)
	}
	return l.unpack(t, out, "linux/amd64")["id"]
}

// caches writes a cache with one builder and reads it with the other, in a registry that wants a login and in a folder.
func (l *lab) caches(t *testing.T) {
	registry, kit := guarded(t), l.startBuildKit(t)
	setting := l.buildx(t, kit)
	login(t, strings.TrimPrefix(setting[0], "DOCKER_CONFIG="), registry, password)
	env := append(l.environment(setting...), "BUILDKIT_HOST="+kit.address)
	folder := filepath.Join(l.dir, "cache")
	for _, one := range []struct{ from, to, writer, reader string }{
		{"type=registry,ref=" + registry + "/cache:a", "type=registry,mode=max,ref=" + registry + "/cache:a", "docker", "buildkit"},
		{"type=registry,ref=" + registry + "/cache:b", "type=registry,mode=max,ref=" + registry + "/cache:b", "buildkit", "docker"},
		{"type=local,src=" + folder, "type=local,mode=max,dest=" + folder, "buildkit", "docker"},
	} {
		dir := l.project(t, map[string]string{
			"berth.yaml": berthYAML("{dockerfile: {cache: {from: ['" + one.from + "'], to: ['" + one.to + "']}}}"),
			"VERSION":    "1.0.0\n", "Dockerfile": onceOnly,
		})
		first := l.id(t, dir, append(env, "CI=true"), one.writer)
		if again := l.id(t, dir, env, one.reader); again != first {
			t.Errorf("%s: written by %s, the step ran again with %s: %q, %q", one.to, one.writer, one.reader, first, again)
		}
	}
}

// actions looks at what BuildKit asks the cache of GitHub Actions for: with the job's token, which is printed nowhere.
// The service here knows no entry and takes none.
func (l *lab) actions(t *testing.T, setting []string) {
	var mu sync.Mutex
	asked := map[string]string{}
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		asked[filepath.Base(r.URL.Path)] = r.Header.Get("Authorization")
		_, _ = w.Write([]byte(`{"ok": false}`))
	}))
	t.Cleanup(service.Close)
	token := jobToken()
	dir := l.project(t, map[string]string{
		"berth.yaml": berthYAML("{dockerfile: {cache: {from: ['type=gha,scope=web'], to: ['type=gha,scope=web,ignore-error=true']}}}"),
		"VERSION":    "1.0.0\n", "Dockerfile": onceOnly,
	})
	for _, builder := range []string{"docker", "buildkit"} {
		env := append(l.environment(setting...), "CI=true", "ACTIONS_RESULTS_URL="+service.URL+"/", "ACTIONS_RUNTIME_TOKEN="+token,
			"ACTIONS_CACHE_SERVICE_V2=true")
		stdout, stderr, code := l.try(t, dir, env, l.berth, "build", "--platform", "linux/amd64", "--builder", builder)
		if code != 0 || strings.Contains(stdout+stderr, token) {
			t.Errorf("%s: exit code %d\n%s%s", builder, code, stdout, stderr)
		}
		mu.Lock()
		for _, call := range []string{"GetCacheEntryDownloadURL", "CreateCacheEntry"} {
			if asked[call] != "Bearer "+token {
				t.Errorf("%s: %s came with %q\n%s", builder, call, asked[call], stderr)
			}
		}
		clear(asked)
		mu.Unlock()
	}
}
