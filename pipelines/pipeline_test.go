package pipelines_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/berth-sh/berth/pipelines"
	"github.com/berth-sh/berth/pipelines/fault"
)

func TestTheProjectIsFoundUpwards(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	for _, dir := range []string{".", "src", "src/deep/er"} {
		o := p.options()
		o.Dir = filepath.Join(p.dir, dir)
		if err := os.MkdirAll(o.Dir, 0o755); err != nil {
			t.Fatal(err)
		}
		opened, err := pipelines.Open(o)
		if err != nil || opened.Project != p.dir || opened.Config.Project != "web" {
			t.Errorf("from %s: %+v, %v", dir, opened, err)
		}
	}
	// A repository inside the project's folder is another one: the search ends at its root.
	inner := filepath.Join(p.dir, "vendor", "inner")
	if err := os.MkdirAll(inner, 0o755); err != nil {
		t.Fatal(err)
	}
	p.git("init", "--quiet", inner)
	o := p.options()
	o.Dir = inner
	_, err := pipelines.Open(o)
	failed(t, err, fault.Usage, filepath.Join(inner, "berth.yaml")+": there is no configuration", "berth init")
}

func TestProjectConfigAndRepo(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	p.write("services/api/berth.yaml", berthYAML)
	p.write("services/api/VERSION", "2.0.0\n")
	p.write("ci/berth-ci.yaml", berthYAML)
	p.write("ci/VERSION", "3.0.0\n")
	elsewhere := t.TempDir()
	cases := map[string]struct {
		change  func(*pipelines.Options)
		project string
		version string
	}{
		"nothing":            {func(*pipelines.Options) {}, p.dir, "1.0.0"},
		"a project":          {func(o *pipelines.Options) { o.Project = "services/api" }, p.dir + "/services/api", "2.0.0"},
		"an absolute one":    {func(o *pipelines.Options) { o.Dir, o.Project = elsewhere, p.dir+"/services/api" }, p.dir + "/services/api", "2.0.0"},
		"a file":             {func(o *pipelines.Options) { o.Config = "ci/berth-ci.yaml" }, p.dir + "/ci", "3.0.0"},
		"a file and project": {func(o *pipelines.Options) { o.Config, o.Project = "ci/berth-ci.yaml", "." }, p.dir, "1.0.0"},
		"a repository":       {func(o *pipelines.Options) { o.Repo = "src" }, p.dir, "1.0.0"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := p.options()
			c.change(&o)
			opened, err := pipelines.Open(o)
			if err != nil {
				t.Fatal(err)
			}
			v, err := opened.Version(t.Context())
			if err != nil || opened.Project != c.project || v.String() != c.version {
				t.Errorf("%s, %v, %v", opened.Project, v, err)
			}
		})
	}
}

func TestWhatCannotBeOpened(t *testing.T) {
	t.Parallel()
	p, other := newProject(t), newProject(t)
	bare := t.TempDir()
	if err := os.WriteFile(filepath.Join(bare, "berth.yaml"), []byte(strings.ReplaceAll(berthYAML, "HOST", "a.io")), 0o644); err != nil {
		t.Fatal(err)
	}
	p.write("bad/berth.yaml", "apiVersion: berth/v1\ncolour: red\n")
	p.write("rule/berth.yaml", "apiVersion: berth/v1\nproject: web\ncomponents: {web: {go: {}}}\nregistries: {m: {prefix: a.io}}\n"+
		"environments: {dev: {registry: m}}\ntags: [{branch: '**', set: ['{colour}']}]\n")
	cases := map[string]struct {
		change func(*pipelines.Options)
		text   string
		next   string
	}{
		"no folder":         {func(o *pipelines.Options) { o.Project = "nope" }, "--project nope: there is no such folder", "berth.yaml"},
		"a file as folder":  {func(o *pipelines.Options) { o.Project = "VERSION" }, "--project VERSION: there is no such folder", "berth.yaml"},
		"no configuration":  {func(o *pipelines.Options) { o.Project = "src" }, "src/berth.yaml: there is no configuration", "berth init"},
		"no such file":      {func(o *pipelines.Options) { o.Config = "a.yaml" }, p.dir + "/a.yaml: there is no configuration", "--config"},
		"a bad file":        {func(o *pipelines.Options) { o.Project = "bad" }, `bad/berth.yaml:2:1: unknown key "colour"`, "berth config schema"},
		"a bad template":    {func(o *pipelines.Options) { o.Project = "rule" }, "rule/berth.yaml:6:29: there is no field {colour}", "docs/configuration.md"},
		"no repository":     {func(o *pipelines.Options) { o.Project = bare }, bare, ""},
		"another's project": {func(o *pipelines.Options) { o.Repo = other.dir }, p.dir + ": the project is not in the git repository", "--repo"},
		"a repo that is no": {func(o *pipelines.Options) { o.Repo = bare }, bare, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := p.options()
			c.change(&o)
			_, err := pipelines.Open(o)
			failed(t, err, fault.Usage, c.text, c.next)
		})
	}
}

func TestTheBaseVersion(t *testing.T) {
	t.Parallel()
	const fromGit = "version: {gitTag: 'rel-{version}'}"
	cases := map[string]struct {
		prepare func(*project)
		want    string
		text    string // of the error
		next    string
	}{
		"the file":              {func(*project) {}, "1.0.0", "", ""},
		"VERSION by hand":       {func(p *project) { p.env["VERSION"] = "v3.1.4" }, "3.1.4", "", ""},
		"VERSION is none":       {func(p *project) { p.env["VERSION"] = "three" }, "", `VERSION: "three" is not a version`, "MAJOR.MINOR.PATCH"},
		"no file":               {func(p *project) { p.git("rm", "--quiet", "VERSION") }, "", "berth.yaml:3:1: the version file VERSION does not exist", "create it"},
		"a bad file":            {func(p *project) { p.write("VERSION", "one\n") }, "", `"one" is not a version`, "MAJOR.MINOR.PATCH"},
		"the tag that is built": {func(p *project) { p.git("tag", "v1.0.0"); p.git("checkout", "--quiet", "v1.0.0") }, "1.0.0", "", ""},
		"the tag says another": {
			func(p *project) { p.git("tag", "v1.2.0"); p.git("checkout", "--quiet", "v1.2.0") },
			"", "git tag v1.2.0: the tag says 1.2.0, but VERSION of this commit says 1.0.0", "berth version bump 1.2.0",
		},
		"VERSION settles it": {
			func(p *project) {
				p.git("tag", "v1.2.0")
				p.git("checkout", "--quiet", "v1.2.0")
				p.env["VERSION"] = "1.2.0"
			}, "1.2.0", "", "",
		},
		"a tag on a branch's commit": {func(p *project) { p.git("tag", "v1.2.0") }, "1.0.0", "", ""},
		"no release yet":             {func(p *project) { p.replace("version: {file: VERSION, bump: [VERSION]}", fromGit) }, "0.0.0", "", ""},
		"the nearest tag": {func(p *project) {
			p.replace("version: {file: VERSION, bump: [VERSION]}", fromGit)
			p.git("tag", "rel-1.0.0")
			p.git("tag", "-m", "annotated", "rel-1.1.0")
			p.git("tag", "other-9.0.0")
			p.commit("fix: a")
		}, "1.1.0", "", ""},
		"a tag of another line": {func(p *project) {
			p.replace("version: {file: VERSION, bump: [VERSION]}", fromGit)
			p.git("tag", "rel-1.0.0")
			p.git("switch", "--quiet", "--create", "next")
			p.commit("feat: b")
			p.git("tag", "rel-2.0.0")
			p.git("switch", "--quiet", "main")
			p.commit("fix: a")
		}, "1.0.0", "", ""},
		"the git tag that is built": {func(p *project) {
			p.replace("version: {file: VERSION, bump: [VERSION]}", fromGit)
			p.commit("feat: b")
			p.git("tag", "rel-2.0.0")
			p.git("checkout", "--quiet", "rel-2.0.0")
		}, "2.0.0", "", ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newProject(t)
			c.prepare(p)
			got, err := p.open().Version(t.Context())
			if c.text != "" {
				failed(t, err, fault.Usage, c.text, c.next)
				return
			}
			if err != nil || got.String() != c.want {
				t.Errorf("%v, %v; want %s", got, err, c.want)
			}
		})
	}
}

// replace changes a line of berth.yaml and commits it.
func (p *project) replace(old, by string) {
	p.t.Helper()
	text := p.read("berth.yaml")
	p.write("berth.yaml", replaceOnce(p.t, text, old, by))
	p.commit("chore: configure")
}

// A broken version file does not hide which registry a ref belongs to.
func TestChoosingNeedsNoVersion(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	p.write("VERSION", "one\n")
	got, err := p.open().Choose(t.Context(), "")
	if err != nil || got.Environment != "prd" || got.Registry != "main" {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestTagsOfACommit(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	sha := p.git("rev-parse", "--short=7", "HEAD")
	for branch, want := range map[string][]string{
		"main": {"v1.0.0", "latest"}, "topic": {"v1.0.0-dev." + sha},
	} {
		p.env["GIT_BRANCH"] = branch
		tags, err := p.open().Tags(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, tag := range tags {
			got = append(got, tag.Name)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", branch, diff)
		}
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	p.write("deploy/Chart.yaml", "name: web\nversion: 1.0.0\nappVersion: 1.0.0\n")
	p.replace("bump: [VERSION]", "bump: [VERSION, deploy/Chart.yaml]")
	got, err := p.open().Check()
	want := pipelines.Checked{File: filepath.Join(p.dir, "berth.yaml"), Components: 1, Registries: 1, Environments: 2, Unset: []string{}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	p.write("deploy/Chart.yaml", "name: web\nversion: 1.1.0\nappVersion: 1.1.0\n")
	_, err = p.open().Check()
	failed(t, err, fault.Usage, "deploy/Chart.yaml: it says 1.1.0, but VERSION says 1.0.0", "berth version bump 1.0.0")
	if err := os.Remove(filepath.Join(p.dir, "deploy", "Chart.yaml")); err != nil {
		t.Fatal(err)
	}
	_, err = p.open().Check()
	failed(t, err, fault.Usage, "the version file deploy/Chart.yaml does not exist", "create it")
}
