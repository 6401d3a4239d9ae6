package pipelines_test

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/berth-sh/berth/pipelines"
	"github.com/berth-sh/berth/pipelines/fault"
)

// where a build reads and writes its cache.
func (p *project) caches(t *testing.T, r pipelines.BuildRequest) (from, to string) {
	t.Helper()
	builder := &recorder{}
	_, release, err := p.open(func(x *pipelines.Options) {
		x.Dockerfiles = []pipelines.DockerfileBuilder{builder}
	}).Build(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	release()
	return strings.Join(builder.component.CacheFrom, " "), strings.Join(builder.component.CacheTo, " ")
}

func TestWhereCachesAre(t *testing.T) {
	t.Parallel()
	ci := map[string]string{"CI": "true"}
	pull := map[string]string{"CI": "true", "GITHUB_ACTIONS": "true", "GITHUB_REF": "refs/pull/7/merge"}
	github := map[string]string{"ACTIONS_RUNTIME_TOKEN": "t", "ACTIONS_RESULTS_URL": "https://results/"}
	with := func(all ...map[string]string) map[string]string {
		out := map[string]string{}
		for _, one := range all {
			maps.Copy(out, one)
		}
		return out
	}
	const (
		registry = "type=registry,ref=ghcr.io/acme/cache:web"
		stored   = registry + ",mode=max,image-manifest=true,oci-mediatypes=true,ignore-error=true"
		gha      = "type=gha,scope=web-web"
		own      = "{dockerfile: {context: src, cache: {from: ['type=local,src=c'], to: ['type=local,dest=c', 'type=inline', 'type=s3,ignore-error=false']}}}"
	)
	for name, c := range map[string]struct {
		place, component string
		env              map[string]string
		from, to         string
	}{
		"a laptop":                  {"", "", nil, "", ""},
		"a CI":                      {"", "", ci, "", ""},
		"GitHub":                    {"", "", with(ci, github), gha, gha + ",mode=max,ignore-error=true"},
		"a pull request at GitHub":  {"", "", with(pull, github), gha, gha + ",mode=max,ignore-error=true"},
		"GitHub's token elsewhere":  {"", "", github, "", ""},
		"asked for on a laptop":     {"gha", "", github, gha, ""},
		"off":                       {"'off'", "", with(ci, github), "", ""},
		"a repository on a laptop":  {"ghcr.io/acme/cache", "", nil, registry, ""},
		"a repository in a CI":      {"ghcr.io/acme/cache", "", with(ci, github), registry, stored},
		"a repository in a request": {"ghcr.io/acme/cache", "", pull, registry, ""},
		"of its own":                {"ghcr.io/acme/cache", own, ci, "type=local,src=c", "type=local,dest=c,ignore-error=true type=inline type=s3,ignore-error=false"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.component == "" {
				c.component = "{dockerfile: {context: src}}"
			}
			p := dockerProject(t, c.component)
			if c.place != "" {
				p.replace("project: web", "project: web\nbuildCache: "+c.place)
				p.commit("chore: keep caches")
			}
			p.env = c.env
			if from, to := p.caches(t, pipelines.BuildRequest{}); from != c.from || to != c.to {
				t.Errorf("from %q to %q", from, to)
			}
		})
	}
}

// A folder is replaced when the build wrote another one, and no part of the sources.
func TestACacheInAFolder(t *testing.T) {
	t.Parallel()
	p := dockerProject(t, "{dockerfile: {context: src}}")
	p.replace("project: web", "project: web\nbuildCache: ./.cache")
	p.commit("chore: keep caches")
	p.env["CI"] = "true"
	folder := filepath.Join(p.dir, ".cache", "web")
	next := "type=local,dest=" + folder + ".next,mode=max,ignore-error=true"
	if from, to := p.caches(t, pipelines.BuildRequest{}); from != "" || to != next {
		t.Errorf("from %q to %q", from, to)
	}
	if entries, err := os.ReadDir(filepath.Dir(folder)); err != nil || len(entries) > 0 {
		t.Errorf("a builder that wrote nothing left %v, %v", entries, err)
	}
	p.write(".cache/web/index.json", "{}")
	if from, to := p.caches(t, pipelines.BuildRequest{}); from != "type=local,src="+folder || to != next {
		t.Errorf("from %q to %q", from, to)
	}
	if p.read(".cache/web/index.json") != "{}" {
		t.Error("the cache is gone")
	}
	// A folder that somebody has for something else stays as it is.
	p.write(".cache/web/main.go", "package main\n")
	if _, to := p.caches(t, pipelines.BuildRequest{}); to != "" || p.read(".cache/web/main.go") == "" {
		t.Errorf("to %q", to)
	}
	facts, err := p.open().Facts(t.Context())
	if err != nil || len(facts.Dirty) > 0 {
		t.Errorf("dirty: %v, %v", facts.Dirty, err)
	}
	p.replace("./.cache", "./src/cache")
	failed(t, p.buildError(t), fault.Usage, "berth.yaml:3:13: the folder is a part of the build context of web", ".dockerignore")
	p.write("src/.dockerignore", "cache\n")
	if err := p.buildError(t); err != nil {
		t.Error(err)
	}
}

func (p *project) buildError(t *testing.T) error {
	t.Helper()
	_, release, err := p.open(func(x *pipelines.Options) {
		x.Dockerfiles = []pipelines.DockerfileBuilder{&recorder{}}
	}).Build(t.Context(), pipelines.BuildRequest{})
	if err == nil {
		release()
	}
	return err
}
