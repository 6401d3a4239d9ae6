package pipelines_test

import (
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/olareg/olareg"
	olaregconfig "github.com/olareg/olareg/config"

	"github.com/berth-sh/berth/internal/faultproxy"
	"github.com/berth-sh/berth/pipelines"
	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/image"
	"github.com/berth-sh/berth/pipelines/registry"
)

const berthYAML = `apiVersion: berth/v1
project: web
version: {file: VERSION, bump: [VERSION]}
platforms: [linux/amd64]
components: {web: {go: {dir: src}}}
registries: {main: {prefix: HOST/acme}}
tags:
  - {tag: "v*", set: ["v{version}", latest]}
  - {branch: main, set: ["v{version}", latest]}
  - {branch: "**", set: ["v{version}-dev.{sha}"]}
environments:
  dev: {registry: main, refs: {branches: ["**"]}}
  prd: {registry: main, refs: {branches: [main], tags: ["v*"]}, immutable: ["v*.*.*"]}
`

// project is a git repository with a project in it, made with the git program.
type project struct {
	t    *testing.T
	dir  string
	home string
	at   time.Time
	env  map[string]string
	host string
}

// newProject makes a repository on branch main with version 1.0.0 and one commit.
func newProject(t *testing.T) *project {
	t.Helper()
	p := &project{
		t: t, dir: filepath.Join(t.TempDir(), "web"), home: t.TempDir(), at: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
		env: map[string]string{}, host: "registry.example.com",
	}
	if err := os.MkdirAll(p.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	p.git("init", "--quiet", "--initial-branch=main")
	for key, value := range map[string]string{"user.name": "Ann", "user.email": "ann@example.com", "gc.auto": "0", "maintenance.auto": "false"} {
		p.git("config", key, value)
	}
	p.write("src/go.mod", "module example.com/web\n\ngo 1.24\n")
	p.write("src/main.go", "package main\n\nfunc main() { println(\"web\") }\n")
	p.write("VERSION", "1.0.0\n")
	p.write("berth.yaml", berthYAML)
	p.commit("chore: begin")
	return p
}

func (p *project) write(name, content string) {
	p.t.Helper()
	file := filepath.Join(p.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		p.t.Fatal(err)
	}
	// HOST stands for the project's registry.
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(content, "HOST", p.host)), 0o644); err != nil {
		p.t.Fatal(err)
	}
}

func (p *project) read(name string) string {
	p.t.Helper()
	data, err := os.ReadFile(filepath.Join(p.dir, filepath.FromSlash(name)))
	if err != nil {
		p.t.Fatal(err)
	}
	return string(data)
}

func (p *project) git(args ...string) string {
	p.t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = p.dir
	date := fmt.Sprintf("@%d +0000", p.at.Unix())
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + p.home, "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=" + os.DevNull, "LC_ALL=C",
		"GIT_AUTHOR_DATE=" + date, "GIT_COMMITTER_DATE=" + date,
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		p.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// commit commits everything, a minute after the last commit, and returns the hash.
func (p *project) commit(message string) string {
	p.t.Helper()
	p.at = p.at.Add(time.Minute)
	p.git("add", "--all")
	p.git("commit", "--quiet", "--allow-empty", "--message", message)
	return p.git("rev-parse", "HEAD")
}

func (p *project) lookup(name string) (string, bool) {
	value, ok := p.env[name]
	return value, ok
}

// options are those of a run in the project's folder.
func (p *project) options() pipelines.Options {
	return pipelines.Options{
		Dir: p.dir, Lookup: p.lookup, Environ: os.Environ(), Now: func() time.Time { return p.at },
		Registry: registry.Options{Policy: registry.Policy{Attempts: 2, Base: time.Millisecond}},
	}
}

// open opens the project anew, as each run of berth does.
func (p *project) open(set ...func(*pipelines.Options)) *pipelines.Pipeline {
	p.t.Helper()
	o := p.options()
	for _, f := range set {
		f(&o)
	}
	opened, err := pipelines.Open(o)
	if err != nil {
		p.t.Fatal(err)
	}
	return opened
}

// serve starts a registry on loopback and makes it the project's.
func (p *project) serve() *faultproxy.Proxy {
	p.t.Helper()
	store := olareg.New(olaregconfig.Config{Storage: olaregconfig.ConfigStorage{
		StoreType: olaregconfig.StoreMem, GC: olaregconfig.ConfigGC{Frequency: -1},
	}})
	proxy := faultproxy.New(store)
	server := httptest.NewServer(proxy)
	p.t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
		if err := store.Close(); err != nil {
			p.t.Error(err)
		}
	})
	p.host = strings.TrimPrefix(server.URL, "http://")
	p.write("berth.yaml", berthYAML)
	p.commit("chore: use the registry on " + p.host)
	return proxy
}

func (p *project) repository(name string) *registry.Repository {
	p.t.Helper()
	r, err := registry.NewClient(registry.Options{}).Repository(p.host + "/" + name)
	if err != nil {
		p.t.Fatal(err)
	}
	return r
}

// assemble makes an image without building anything.
func (p *project) assemble(component, revision, version string) image.Index {
	p.t.Helper()
	dir := p.t.TempDir()
	path := filepath.Join(dir, "binary")
	if err := os.WriteFile(path, []byte(component+version), 0o755); err != nil {
		p.t.Fatal(err)
	}
	platform, err := image.ParsePlatform("linux/amd64")
	if err != nil {
		p.t.Fatal(err)
	}
	x, err := image.Assemble(p.t.Context(), image.Spec{
		Component: component, Revision: revision, Version: version, Created: p.at, Base: image.Scratch(),
		Binaries: []image.Binary{{Platform: platform, Path: path}}, WorkDir: dir,
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return x
}

// failed checks the code of an error and what it and its next step say.
func failed(t *testing.T, err error, code fault.Code, text, next string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want %q", text)
	}
	if fault.CodeOf(err) != code || !strings.Contains(err.Error(), text) || !strings.Contains(fault.NextOf(err), next) {
		t.Errorf("code %d, want %d: %v\nwant %q\nnext %q\nwant %q", fault.CodeOf(err), code, err, text, fault.NextOf(err), next)
	}
}
