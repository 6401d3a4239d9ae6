package dockerfile

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/publish"
)

// examples builds the components of both examples from their Dockerfiles, as they are in the last commit, with both
// builders, publishes them, and has Docker pull and run them. Nothing but hosts is replaced.
func (l *lab) examples(t *testing.T, setting []string) {
	clone := filepath.Join(t.TempDir(), "clone")
	l.do(t, l.root, nil, "git", "clone", "--quiet", "--no-hardlinks", ".", clone)
	l.golang(t)
	docker := l.startDocker(t)
	env := append(l.environment(setting...), "DOCKER_HOST="+docker.address, "GIT_BRANCH=feature/test")
	l.withoutStore(t, clone, append(env, "BUILDX_BUILDER=default"))
	for _, e := range []example{
		{"examples/knative-lambda/berth.docker.yaml", "knative-lambda-sidecar", 3},
		{"examples/kubernaut/berth.docker.yaml", "gateway", 14},
	} {
		l.local(t, filepath.Join(clone, filepath.FromSlash(e.config)))
		l.commit(t, clone)
		l.example(t, clone, env, e)
	}
}

// withoutStore has the builder of Debian's daemon refused, which cannot write OCI images.
func (l *lab) withoutStore(t *testing.T, dir string, env []string) {
	t.Helper()
	_, said, code := l.try(t, dir, env, l.berth, "build", "--config", "examples/knative-lambda/berth.docker.yaml", "--builder", "docker")
	if code != int(fault.Usage) || !strings.Contains(said, "docker buildx create --use --driver docker-container") {
		t.Errorf("exit code %d\n%s", code, said)
	}
}

// example is a configuration that builds from Dockerfiles.
type example struct {
	config, first string
	count         int
}

// local replaces the hosts of a configuration, and what says which kind of registry and whose accounts are there.
func (l *lab) local(t *testing.T, file string) {
	t.Helper()
	text := strings.NewReplacer(
		"ghcr.io/", l.registry+"/", "quay.io/", l.registry+"/", "kind: ghcr, ", "", "kind: quay, ", "",
		", writers: [jordigilh+ci-builder]", "",
	).Replace(read(file))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (l *lab) example(t *testing.T, clone string, env []string, e example) {
	t.Helper()
	// One component first: the others find the standard library compiled in the cache that all of them mount.
	l.build(t, clone, env, "--config", e.config, "--builder", "buildkit", "--component", e.first)
	var receipt publish.Receipt
	out := l.do(t, clone, env, l.berth, "publish", "--config", e.config, "--env", "dev", "--builder", "buildkit", "--format", "json")
	if err := json.Unmarshal([]byte(out), &receipt); err != nil {
		t.Fatal(err)
	}
	if len(receipt.Images) != e.count {
		t.Errorf("%s: %d images", e.config, len(receipt.Images))
	}
	digests := map[string]string{}
	for _, x := range l.build(t, clone, env, "--config", e.config, "--env", "dev", "--builder", "docker", "--load") {
		digests[x.Component] = x.Digest
	}
	for _, x := range receipt.Images {
		if digests[x.Component] != x.Digest {
			t.Errorf("%s: BuildKit gives %s, docker buildx %s", x.Component, x.Digest, digests[x.Component])
		}
		l.runs(t, clone, env, x, receipt.Commit)
	}
}

// runs has Docker look for every tag that was loaded, and pull and run the same image.
func (l *lab) runs(t *testing.T, clone string, env []string, x publish.Image, commit string) {
	t.Helper()
	id := func(reference string) string {
		return l.do(t, clone, env, "docker", "image", "inspect", "--format", "{{.Id}}", reference)
	}
	reference := x.Repository + ":" + x.Tags[0].Name
	loaded := id(reference)
	for _, tag := range x.Tags {
		if other := id(x.Repository + ":" + tag.Name); other != loaded {
			t.Errorf("%s:%s is %s, not %s", x.Repository, tag.Name, other, loaded)
		}
	}
	l.do(t, clone, env, "docker", "image", "rm", "--force", strings.TrimSpace(loaded))
	l.do(t, clone, env, "docker", "pull", "--quiet", reference)
	if pulled := id(reference); pulled != loaded {
		t.Errorf("%s was loaded as %s and pulled as %s", reference, loaded, pulled)
	}
	if said := l.do(t, clone, env, "docker", "run", "--rm", "--network", "none", reference, "--version"); !strings.Contains(said, commit[:7]) {
		t.Errorf("%s says %q, not its commit %s", x.Component, said, commit)
	}
}
