package live

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The components of both examples build in the engine from their Dockerfiles, for both platforms, twice the same and
// wherever the clone is; and one of each runs as a container.
func TestExamples(t *testing.T) {
	t.Parallel()
	live(t)
	if testing.Short() {
		t.Skip("live: builds seventeen components, for minutes")
	}
	for _, e := range []struct {
		config, first string
		count         int
	}{
		{"examples/knative-lambda/berth.docker.yaml", "knative-lambda-sidecar", 3},
		{"examples/kubernaut/berth.docker.yaml", "gateway", 14},
	} {
		clone := cloned(t, e.config)
		// One component first: the others find the standard library compiled in the cache that all of them mount.
		inEngine(t, clone, e.config, "--component", e.first)
		first := inEngine(t, clone, e.config)
		if len(first) != e.count {
			t.Errorf("%s: %d components", e.config, len(first))
		}
		if diff := cmp.Diff(digests(first), digests(inEngine(t, cloned(t, e.config), e.config))); diff != "" {
			t.Errorf("%s, built twice:\n%s", e.config, diff)
		}
		for _, x := range first {
			if got := strings.Join(x.Platforms, " "); got != "linux/amd64 linux/arm64" {
				t.Errorf("%s is for %s", x.Component, got)
			}
		}
		// The engine looks for a user without a group in /etc/passwd, which images from scratch do not have.
		said := call(t, clone, "--config", e.config, "container", "--component", e.first,
			"with-user", "--name", "65534:65534", "with-exec", "--use-entrypoint", "--args=--version", "stdout").ok(t)
		if commit := strings.TrimSpace(run(t, clone, nil, "git", "rev-parse", "--short=7", "HEAD").ok(t)); !strings.Contains(said, commit) {
			t.Errorf("%s says %q, not its commit %s", e.first, said, commit)
		}
	}
}

// cloned is a clone of this repository's last commit, in which a configuration builds with the golang image that the
// other tests need too.
func cloned(t *testing.T, config string) string {
	t.Helper()
	clone := filepath.Join(t.TempDir(), "clone")
	run(t, module(t), nil, "git", "clone", "--quiet", "--no-hardlinks", ".", clone).ok(t)
	file := filepath.Join(clone, filepath.FromSlash(config))
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(string(content), "target: production}", `target: production, args: {BUILDER_IMAGE: "golang:1.26.8"}}`)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	when := []string{"GIT_AUTHOR_DATE=2026-03-01T12:00:00Z", "GIT_COMMITTER_DATE=2026-03-01T12:00:00Z"}
	run(t, clone, when, "git", "-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "commit.gpgsign=false",
		"commit", "--quiet", "--allow-empty", "--all", "--message", "build: take another base").ok(t)
	return clone
}

// inEngine is what the command line builds in the engine.
func inEngine(t *testing.T, clone, config string, args ...string) []built {
	t.Helper()
	program, err := berth()
	if err != nil {
		t.Fatal(err)
	}
	line := append([]string{
		"--silent", "run", program, "build", "--config", config, "--builder", "dagger", "--env", "dev", "--format", "json",
	}, args...)
	return decode[[]built](t, run(t, clone, []string{"GIT_BRANCH=feature/test"}, "dagger", line...).ok(t))
}
