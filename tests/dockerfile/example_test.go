package dockerfile

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/berth-sh/berth/pipelines/publish"
)

// startDocker starts a Docker daemon without networks, which this test has no need and CI no right to make.
func (l *lab) startDocker(t *testing.T) *daemon {
	t.Helper()
	dir := t.TempDir()
	t.Cleanup(func() { unmount(dir) })
	address := "unix://" + filepath.Join(dir, "s")
	ready := func() error {
		_, err := os.Stat(filepath.Join(dir, "s"))
		return err
	}
	return start(t, "dockerd", filepath.Join(dir, "log"), address, ready,
		"--data-root", filepath.Join(dir, "data"), "--exec-root", filepath.Join(dir, "exec"), "--host", address,
		"--pidfile", filepath.Join(dir, "pid"), "--iptables=false", "--ip6tables=false", "--bridge=none",
		"--registry-mirror", "http://"+l.registry)
}

// examples builds the components of both examples from their Dockerfiles, as they are in the last commit, with both
// builders, publishes them, and has Docker pull and run them. Nothing but hosts is replaced.
func (l *lab) examples(t *testing.T, setting []string) {
	clone := filepath.Join(t.TempDir(), "clone")
	l.do(t, l.root, nil, "git", "clone", "--quiet", "--no-hardlinks", ".", clone)
	docker := l.startDocker(t)
	env := append(l.environment(setting...), "DOCKER_HOST="+docker.address, "GIT_BRANCH=feature/test")
	for config, hosts := range map[string]struct {
		host  string
		count int
	}{
		"examples/knative-lambda/berth.docker.yaml": {"ghcr.io", 3},
		"examples/kubernaut/berth.docker.yaml":      {"quay.io", 14},
	} {
		file := filepath.Join(clone, filepath.FromSlash(config))
		text := strings.ReplaceAll(read(file), hosts.host+"/", l.registry+"/")
		for _, kind := range []string{"kind: ghcr, ", "kind: quay, "} {
			text = strings.ReplaceAll(text, kind, "")
		}
		text = strings.ReplaceAll(text, ", writers: [jordigilh+ci-builder]", "") // this registry has no accounts
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	l.commit(t, clone)
	for config, count := range map[string]int{
		"examples/knative-lambda/berth.docker.yaml": 3, "examples/kubernaut/berth.docker.yaml": 14,
	} {
		var receipt publish.Receipt
		out := l.do(t, clone, env, l.berth, "publish", "--config", config, "--env", "dev", "--builder", "buildkit", "--format", "json")
		if err := json.Unmarshal([]byte(out), &receipt); err != nil {
			t.Fatal(err)
		}
		if len(receipt.Images) != count {
			t.Errorf("%s: %d images", config, len(receipt.Images))
		}
		digests := map[string]string{}
		for _, x := range l.build(t, clone, env, "--config", config, "--builder", "docker") {
			digests[x.Component] = x.Digest
		}
		for _, x := range receipt.Images {
			if digests[x.Component] != x.Digest {
				t.Errorf("%s: BuildKit gives %s, docker buildx %s", x.Component, x.Digest, digests[x.Component])
			}
			reference := x.Repository + ":" + x.Tags[0].Name
			l.do(t, clone, env, "docker", "pull", "--quiet", reference)
			said := l.do(t, clone, env, "docker", "run", "--rm", "--network", "none", reference, "--version")
			if !strings.Contains(said, receipt.Commit[:7]) {
				t.Errorf("%s says %q, not its commit %s", x.Component, said, receipt.Commit)
			}
		}
	}
}
