package acceptance

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestSameDigests holds the promise that a digest depends on the commit alone: two clones at different paths, with
// different homes, time zones and Go caches, on different branches and for different environments, give the same images.
func TestSameDigests(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("compiles the standard library for two platforms into a cache of its own")
	}
	local, err := localGo()
	if err != nil {
		t.Fatal(err)
	}
	top := t.TempDir()
	origin := filepath.Join(top, "origin")
	if err := copyProject(origin); err != nil {
		t.Fatal(err)
	}
	if err := pinGo(filepath.Join(origin, "web", "go.mod")); err != nil {
		t.Fatal(err)
	}
	here := machine{t: t, home: filepath.Join(top, "home"), cache: local.GOCACHE, zone: "UTC"}
	there := machine{
		t: t, home: filepath.Join(top, "users/Grace Hopper"), cache: filepath.Join(top, "cache"), zone: "Asia/Tokyo",
	}
	here.run(origin, "git", "init", "--quiet", "--initial-branch=main")
	here.run(origin, "git", "add", "--all")
	here.run(origin, "git", "commit", "--quiet", "--message=feat: open the shop")

	one, two := filepath.Join(top, "one"), filepath.Join(there.home, "work", "a longer path", "shop")
	here.run(top, "git", "clone", "--quiet", origin, one)
	there.run(top, "git", "clone", "--quiet", origin, two)
	there.run(two, "git", "switch", "--quiet", "--create", "feature/search")
	there.run(two, "git", "remote", "set-url", "origin", "https://fork.example.com/grace/shop.git")

	want := here.digests(one, "build", "--format", "json")
	if len(want) != 1 || !strings.HasPrefix(want["web"], "sha256:") {
		t.Fatalf("berth build says %v", want)
	}
	publish := func(environment string) []string {
		return []string{"publish", "--env", environment, "--sandbox", "--format", "json"}
	}
	for what, got := range map[string]map[string]string{
		"publish to prd from main, here":            here.digests(one, publish("prd")...),
		"build on a branch, there":                  there.digests(two, "build", "--format", "json"),
		"publish to dev from another branch, there": there.digests(two, publish("dev")...),
	} {
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s gives other digests than build here (-want +got):\n%s", what, diff)
		}
	}

	// Another commit must give another digest, or the comparison above would prove nothing.
	there.run(two, "git", "commit", "--quiet", "--allow-empty", "--message=fix: nothing")
	if got := there.digests(two, "build", "--format", "json"); got["web"] == want["web"] {
		t.Errorf("another commit gives the same digest %s", got["web"])
	}
}

// machine is where berth runs: what differs between two people's computers.
type machine struct {
	t                 *testing.T
	home, cache, zone string
}

func (m machine) run(dir, name string, args ...string) []byte {
	m.t.Helper()
	temp := filepath.Join(m.home, "tmp")
	if err := os.MkdirAll(temp, 0o755); err != nil {
		m.t.Fatal(err)
	}
	cmd := exec.CommandContext(m.t.Context(), name, args...)
	cmd.Dir = dir
	cmd.Env = append(gitEnv(), "PATH="+os.Getenv("PATH"), "HOME="+m.home, "TMPDIR="+temp, "TZ="+m.zone,
		"GOCACHE="+m.cache, "GOMODCACHE="+filepath.Join(m.home, "modules"),
		"GOPROXY=off", "GOTOOLCHAIN=local", "GOENV=off")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		m.t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, &stderr)
	}
	return out
}

// digests runs berth and returns the digest of each component, from the JSON of build or of publish.
func (m machine) digests(dir string, args ...string) map[string]string {
	m.t.Helper()
	type image struct{ Component, Digest string }
	out := m.run(dir, "berth", args...)
	var images []image
	if err := json.Unmarshal(out, &images); err != nil {
		var receipt struct{ Images []image }
		if err := json.Unmarshal(out, &receipt); err != nil {
			m.t.Fatalf("berth %s: %v\n%s", args[0], err, out)
		}
		images = receipt.Images
	}
	digests := map[string]string{}
	for _, x := range images {
		digests[x.Component] = x.Digest
	}
	return digests
}
