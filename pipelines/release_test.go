package pipelines_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/berth-sh/berth/pipelines"
	"github.com/berth-sh/berth/pipelines/fault"
)

func replaceOnce(t *testing.T, text, old, by string) string {
	t.Helper()
	if strings.Count(text, old) != 1 {
		t.Fatalf("%q is not in\n%s once", old, text)
	}
	return strings.Replace(text, old, by, 1)
}

func TestNextReadsTheCommitsSinceTheRelease(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		commits []string
		want    string
	}{
		"nothing":        {nil, "1.0.0"},
		"a chore":        {[]string{"chore: tidy"}, "1.0.0"},
		"a fix":          {[]string{"fix: a", "docs: b"}, "1.0.1"},
		"a feature":      {[]string{"fix: a", "feat: b", "fix: c"}, "1.1.0"},
		"a break":        {[]string{"feat: b", "fix!: c"}, "2.0.0"},
		"only a look of": {[]string{"defeat: the enemy"}, "1.0.0"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newProject(t)
			p.commit("feat!: long before")
			p.git("tag", "v1.0.0")
			for _, message := range c.commits {
				p.write("src/notes.txt", message)
				p.commit(message)
			}
			got, err := p.open().Next(t.Context())
			if err != nil || got.Current != "1.0.0" || got.Next != c.want || got.Reasons == nil {
				t.Errorf("%+v, %v; want %s", got, err, c.want)
			}
		})
	}
}

func TestBumpCommitsTagsAndStops(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	p.write("deploy/Chart.yaml", "# the chart\nversion: 1.0.0 # of both\nappVersion: \"1.0.0\"\n")
	p.replace("bump: [VERSION]", "bump: [VERSION, deploy/Chart.yaml]")
	before := p.git("rev-parse", "HEAD")
	p.write("src/draft.txt", "not for this commit\n")

	dry, err := p.open().Bump(t.Context(), "1.1.0", pipelines.ReleaseOptions{DryRun: true})
	if err != nil || !dry.DryRun || dry.Created || p.git("rev-parse", "HEAD") != before || p.read("VERSION") != "1.0.0\n" {
		t.Errorf("a dry run: %+v, %v", dry, err)
	}
	got, err := p.open().Bump(t.Context(), "1.1.0", pipelines.ReleaseOptions{})
	if err != nil {
		t.Fatal(err)
	}
	want := pipelines.Release{
		Previous: "1.0.0", Version: "1.1.0", Files: []string{"VERSION", "deploy/Chart.yaml"}, Tag: "v1.1.0", Created: true,
		Commit: p.git("rev-parse", "HEAD"),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got := p.git("rev-parse", "v1.1.0^{commit}"); got != want.Commit || p.git("rev-parse", "HEAD^") != before {
		t.Errorf("the tag names %s", got)
	}
	if got := p.git("cat-file", "-t", "v1.1.0"); got != "tag" {
		t.Errorf("v1.1.0 is a %s, not an annotated tag", got)
	}
	if got := p.git("show", "--pretty=format:%s", "--name-only", "HEAD"); got != "Release web 1.1.0\nVERSION\ndeploy/Chart.yaml" {
		t.Errorf("the commit: %s", got)
	}
	if got := p.read("deploy/Chart.yaml"); got != "# the chart\nversion: 1.1.0 # of both\nappVersion: \"1.1.0\"\n" {
		t.Errorf("the chart: %s", got)
	}
	if got := p.git("status", "--porcelain"); got != "?? src/draft.txt" {
		t.Errorf("left: %s", got)
	}
	again, err := p.open().Bump(t.Context(), "1.1.0", pipelines.ReleaseOptions{})
	if err != nil || again.Created || len(again.Files) != 0 || again.Commit != want.Commit {
		t.Errorf("again: %+v, %v", again, err)
	}
}

func TestBumpByPart(t *testing.T) {
	t.Parallel()
	for target, want := range map[string]string{"major": "2.0.0", "minor": "1.1.0", "patch": "1.0.1", "next": "1.1.0", "v1.5.0-rc.1": "1.5.0-rc.1"} {
		t.Run(target, func(t *testing.T) {
			t.Parallel()
			p := newProject(t)
			p.git("tag", "v1.0.0")
			p.write("src/a.txt", "a")
			p.commit("feat: a")
			got, err := p.open().Bump(t.Context(), target, pipelines.ReleaseOptions{})
			if err != nil || got.Version != want || got.Tag != "v"+want || p.read("VERSION") != want+"\n" {
				t.Errorf("%+v, %v; want %s", got, err, want)
			}
		})
	}
}

func TestWhatABumpRefuses(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		prepare func(*project)
		target  string
		code    fault.Code
		text    string
		next    string
	}{
		"no version":     {func(*project) {}, "soon", fault.Usage, `version: "soon" is not a version`, "MAJOR.MINOR.PATCH"},
		"a taken one":    {func(p *project) { p.git("tag", "v1.1.0") }, "1.1.0", fault.Refused, "git tag v1.1.0: that version is released already", "berth version next"},
		"an edited file": {func(p *project) { p.write("VERSION", "1.0.5\n") }, "1.1.0", fault.Usage, "VERSION: the file has changes that are not committed", "git checkout VERSION"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newProject(t)
			c.prepare(p)
			head, file := p.git("rev-parse", "HEAD"), p.read("VERSION")
			_, err := p.open().Bump(t.Context(), c.target, pipelines.ReleaseOptions{})
			failed(t, err, c.code, c.text, c.next)
			if p.git("rev-parse", "HEAD") != head || p.read("VERSION") != file {
				t.Error("something was written")
			}
		})
	}
}

// A bump that broke off after it wrote the file is finished by the next one.
func TestABumpThatBrokeOff(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	p.write("VERSION", "1.1.0\n")
	got, err := p.open().Bump(t.Context(), "1.1.0", pipelines.ReleaseOptions{})
	if err != nil || !got.Created || p.git("show", "HEAD:VERSION") != "1.1.0" || p.git("status", "--porcelain") != "" {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestTagAndPush(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	origin := filepath.Join(t.TempDir(), "origin.git")
	p.git("init", "--quiet", "--bare", origin)
	p.git("remote", "add", "origin", origin)
	head := p.git("rev-parse", "HEAD")
	got, err := p.open().Tag(t.Context(), pipelines.ReleaseOptions{Push: true})
	if err != nil {
		t.Fatal(err)
	}
	want := pipelines.Release{Previous: "1.0.0", Version: "1.0.0", Files: []string{}, Commit: head, Tag: "v1.0.0", Created: true, Pushed: true}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, ref := range []string{"refs/heads/main", "refs/tags/v1.0.0^{commit}"} {
		if got := p.git("--git-dir", origin, "rev-parse", ref); got != head {
			t.Errorf("%s is %s at the origin", ref, got)
		}
	}
	p.commit("fix: later")
	_, err = p.open().Tag(t.Context(), pipelines.ReleaseOptions{})
	failed(t, err, fault.Refused, "git tag v1.0.0: that version is released already, from commit "+head, "berth version next")
}
