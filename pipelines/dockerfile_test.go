package pipelines_test

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/berth-sh/berth/pipelines"
	"github.com/berth-sh/berth/pipelines/build"
	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/image"
)

// recorder takes what a builder is asked for, and builds an image that berth assembles itself.
type recorder struct {
	ready     error
	component build.DockerfileComponent
	options   build.Options
}

func (r *recorder) Ready(context.Context) error { return r.ready }

func (r *recorder) BuildDockerfile(
	ctx context.Context, c build.DockerfileComponent, platforms []ocispec.Platform, o build.Options,
) ([]string, error) {
	r.component, r.options = c, o
	s := image.Spec{Component: c.Name, Title: "of the builder", Created: o.Created, WorkDir: o.Out, Base: image.Static()}
	if err := os.MkdirAll(o.Out, 0o755); err != nil {
		return nil, err
	}
	for _, p := range platforms {
		s.Binaries = append(s.Binaries, image.Binary{Platform: p, Path: c.File})
	}
	x, err := image.Assemble(ctx, s)
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(o.Out, "layout")
	return []string{dir}, image.WriteLayout(ctx, dir, []image.Index{x})
}

func dockerProject(t *testing.T, component string) *project {
	t.Helper()
	p := newProject(t)
	p.replace("{go: {dir: src}}", component)
	p.write("src/Dockerfile", "FROM scratch\nCOPY main.go /\n")
	p.commit("feat: build by Docker")
	return p
}

func TestDockerfileComponent(t *testing.T) {
	t.Parallel()
	p := dockerProject(t, "{dockerfile: {context: src, file: docker/web.Dockerfile, target: app, args: {VERSION: own, A: '${A}'},"+
		" secrets: [{id: npm, file: npmrc}, {id: token, env: TOKEN}], ssh: [{}], "+
		"cache: {from: ['type=local,src=c'], to: ['type=local,dest=c']}}, labels: {team: web}}")
	p.write("docker/web.Dockerfile", "FROM scratch AS app\nARG A VERSION\nCOPY main.go /\n")
	p.commit("feat: a Dockerfile elsewhere")
	p.env["A"], p.env["TOKEN"] = "b", "x"
	p.write("npmrc", "x")
	p.write(".gitignore", "npmrc\n")
	p.commit("chore: ignore npmrc")
	builder := &recorder{}
	build := func() image.Index {
		images, release, err := p.open(func(x *pipelines.Options) {
			x.Dockerfiles = []pipelines.DockerfileBuilder{&recorder{ready: errors.New("not this one")}, builder}
		}).Build(t.Context(), pipelines.BuildRequest{})
		if err != nil {
			t.Fatal(err)
		}
		release()
		return images[0]
	}
	x := build()
	c := builder.component
	if !strings.HasSuffix(c.File, "/docker/web.Dockerfile") || !strings.HasSuffix(c.Context, "/src") || c.Target != "app" {
		t.Errorf("%+v", c)
	}
	commit := strings.TrimSpace(p.git("rev-parse", "HEAD"))
	want := map[string]string{
		"VERSION": "own", "A": "b", "GIT_COMMIT": commit, "BUILD_DATE": "2026-03-01T12:05:00Z", "SOURCE_DATE_EPOCH": "1772366700",
	}
	if !maps.Equal(c.Args, want) {
		t.Errorf("args %v", c.Args)
	}
	if len(c.Secrets) != 2 || !filepath.IsAbs(c.Secrets[0].File) || c.Secrets[1].Env != "TOKEN" || c.SSH[0].ID != "default" {
		t.Errorf("%+v %+v", c.Secrets, c.SSH)
	}
	if !slices.Equal(c.CacheFrom, []string{"type=local,src=c"}) || c.CacheTo != nil {
		t.Errorf("cache from %v to %v outside a CI", c.CacheFrom, c.CacheTo)
	}
	if a := x.Manifest.Annotations; a[ocispec.AnnotationTitle] != "web" || a[ocispec.AnnotationRevision] != commit {
		t.Errorf("annotations %v", a)
	}
	p.env["CI"] = "true"
	build()
	if !slices.Equal(builder.component.CacheTo, []string{"type=local,dest=c,ignore-error=true"}) {
		t.Errorf("cache to %v in a CI", builder.component.CacheTo)
	}
}

func TestNoBuilderForADockerfile(t *testing.T) {
	t.Parallel()
	p := dockerProject(t, "{dockerfile: {context: src}}")
	_, _, err := p.open(func(o *pipelines.Options) {
		o.Dockerfiles = []pipelines.DockerfileBuilder{&recorder{ready: errors.New("docker: no daemon")}, &recorder{ready: errors.New("buildkit: none")}}
	}).Build(t.Context(), pipelines.BuildRequest{})
	failed(t, err, fault.Usage, "docker: no daemon\nbuildkit: none", "BUILDKIT_HOST")
}

func TestDockerfilePaths(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ component, want string }{
		"no context":     {"{dockerfile: {context: nowhere}}", "berth.yaml:5:42: there is no build context"},
		"a file":         {"{dockerfile: {context: VERSION}}", "is no folder"},
		"no Dockerfile":  {"{dockerfile: {context: src, file: src/Nope}}", "there is no Dockerfile"},
		"a folder":       {"{dockerfile: {context: src, file: src}}", "is no file"},
		"above":          {"{dockerfile: {context: ..}}", "is outside the repository"},
		"link out":       {"{dockerfile: {context: out}}", "is outside the repository"},
		"link to a file": {"{dockerfile: {context: src, file: passwd}}", "is outside the repository"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := dockerProject(t, c.component)
			for link, to := range map[string]string{"out": t.TempDir(), "passwd": "/etc/passwd"} {
				if err := os.Symlink(to, filepath.Join(p.dir, link)); err != nil {
					t.Fatal(err)
				}
			}
			failed(t, p.open().CanBuild(pipelines.BuildRequest{}), fault.Usage, c.want, "of the repository")
			_, err := p.open().Check()
			failed(t, err, fault.Usage, c.want, "of the repository")
		})
	}
}

func TestAnArgumentThatTheDockerfileDoesNotTake(t *testing.T) {
	t.Parallel()
	p := dockerProject(t, "{dockerfile: {context: src, args: {HTTP_PROXY: x, NOPE: y, OWN: z}}}")
	p.write("src/Dockerfile", "ARG OWN\nFROM scratch\nARG OTHER=1\nCOPY main.go /\n")
	failed(t, p.open().CanBuild(pipelines.BuildRequest{}), fault.Usage, "declares no ARG NOPE; it has OTHER, OWN", "src/Dockerfile: ARG NOPE")
	_, err := p.open().Check()
	failed(t, err, fault.Usage, "berth.yaml:5:", "ARG NOPE")
	p.write("src/Dockerfile", "ARG OWN\nFROM scratch\nARG OTHER=1 NOPE\nCOPY main.go /\n")
	if _, err := p.open().Check(); err != nil {
		t.Error(err)
	}
}

func TestAStageThatTheDockerfileDoesNotHave(t *testing.T) {
	t.Parallel()
	p := dockerProject(t, "{dockerfile: {context: src, target: nope}}")
	for content, next := range map[string]string{
		"FROM scratch AS app\nCOPY main.go /\n": "known stages: app",
		"FROM scratch\nCOPY main.go /\n":        "no stage has a name",
	} {
		p.write("src/Dockerfile", content)
		failed(t, p.open().CanBuild(pipelines.BuildRequest{}), fault.Usage, `src/Dockerfile: there is no stage "nope" to build`, next)
		_, err := p.open().Check()
		failed(t, err, fault.Usage, `no stage "nope"`, next)
	}
}

// What a Dockerfile means is up to the frontend that it names.
func TestAnotherFrontend(t *testing.T) {
	t.Parallel()
	p := dockerProject(t, "{dockerfile: {context: src, target: nope, args: {A: b}}}")
	const content = "FROM scratch\nSPELL app\n"
	p.write("src/Dockerfile", content)
	failed(t, p.buildError(t), fault.Usage, "src/Dockerfile:2: unknown instruction: SPELL", "correct")
	p.write("src/Dockerfile", "# syntax=example.com/own:1\n"+content)
	if err := p.buildError(t); err != nil {
		t.Error(err)
	}
	if _, err := p.open().Check(); err != nil {
		t.Error(err)
	}
	p.replace("project: web", "project: web\npolicy: {pinned: true}")
	failed(t, p.buildError(t), fault.Usage, "src/Dockerfile:3: unknown instruction: SPELL", "correct")
}

func TestABuilderThatSaysNothing(t *testing.T) {
	t.Parallel()
	for attestations, said := range map[string]string{
		"provenance: min": "web for linux/amd64: the builder wrote no provenance",
		"sbom: a/b":       "web for linux/amd64: the generator a/b wrote no SBOM",
	} {
		p := dockerProject(t, "{dockerfile: {context: src, attestations: {"+attestations+"}}}")
		failed(t, p.buildError(t), fault.Failed, said, "")
	}
}
