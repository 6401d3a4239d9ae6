package pipelines_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/berth-sh/berth/pipelines"
	"github.com/berth-sh/berth/pipelines/fault"
)

// refs are HEAD's message, the version file and all git tags: what a bump changes.
func (p *project) refs() string {
	p.t.Helper()
	return p.git("log", "--format=%s") + "\n" + p.read("VERSION") + p.git("tag", "--list", "--format=%(refname:short) %(objecttype)")
}

// A bump that broke off between its commit and its tag is finished, not made once more.
func TestABumpThatBrokeOffBeforeItsTag(t *testing.T) {
	t.Parallel()
	for target, want := range map[string]string{"minor": "1.1.0", "patch": "1.0.1", "major": "2.0.0", "next": "1.1.0"} {
		t.Run(target, func(t *testing.T) {
			t.Parallel()
			p := newProject(t)
			p.git("tag", "v1.0.0")
			p.commit("feat: a")
			first, err := p.open().Bump(t.Context(), target, pipelines.ReleaseOptions{})
			if err != nil {
				t.Fatal(err)
			}
			done := p.refs()
			p.git("tag", "--delete", "v"+want)
			got, err := p.open().Bump(t.Context(), target, pipelines.ReleaseOptions{})
			wanted := pipelines.Release{
				Previous: want, Version: want, Files: []string{}, Commit: first.Commit, Tag: "v" + want, Created: true,
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(wanted, got); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(done, p.refs()); diff != "" {
				t.Errorf("(-one bump +a bump that broke off and another):\n%s", diff)
			}
		})
	}
}

// A commit after the bump is no part of it, and a message alone makes no bump.
func TestWhatIsNoBumpThatBrokeOff(t *testing.T) {
	t.Parallel()
	for what, prepare := range map[string]func(*project){
		"work since": func(p *project) {
			p.write("VERSION", "1.1.0\n")
			p.commit("Release web 1.1.0")
			p.commit("fix: a")
		},
		"another version's message": func(p *project) {
			p.write("VERSION", "1.1.0\n")
			p.commit("Release web 1.0.9")
		},
		"tagged already": func(p *project) {
			p.write("VERSION", "1.1.0\n")
			p.commit("Release web 1.1.0")
			p.git("tag", "v1.1.0")
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			p := newProject(t)
			prepare(p)
			got, err := p.open().Bump(t.Context(), "minor", pipelines.ReleaseOptions{})
			if err != nil || got.Previous != "1.1.0" || got.Version != "1.2.0" || !got.Created || p.read("VERSION") != "1.2.0\n" {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}

func TestTwoRelativeBumpsAreTwoVersions(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	for _, want := range []string{"1.1.0", "1.2.0"} {
		got, err := p.open().Bump(t.Context(), "minor", pipelines.ReleaseOptions{})
		if err != nil || got.Version != want || !got.Created || p.git("show", "v"+want+":VERSION") != want {
			t.Errorf("%+v, %v; want %s", got, err, want)
		}
	}
}

func TestABumpToTheNextVersionWhereNothingIsNew(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	p.git("tag", "v1.0.0")
	tagged := p.git("rev-parse", "HEAD")
	for _, message := range []string{"", "docs: a", "chore: b"} {
		if message != "" {
			p.commit(message)
		}
		before := p.refs()
		got, err := p.open().Bump(t.Context(), "next", pipelines.ReleaseOptions{})
		if err != nil {
			t.Fatal(err)
		}
		want := pipelines.Release{Previous: "1.0.0", Version: "1.0.0", Files: []string{}, Commit: tagged, Tag: "v1.0.0"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("after %q: %s", message, diff)
		}
		if diff := cmp.Diff(before, p.refs()); diff != "" {
			t.Errorf("after %q something was written: %s", message, diff)
		}
	}
}

func TestABumpNeedsABranch(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	p.git("checkout", "--quiet", "--detach")
	before := p.refs()
	for _, o := range []pipelines.ReleaseOptions{{}, {Push: true}, {DryRun: true}} {
		_, err := p.open().Bump(t.Context(), "1.1.0", o)
		failed(t, err, fault.Usage, "HEAD is detached: there is no branch to commit the release on", "git switch")
	}
	// What a CI calls the branch does not help: the commit would be lost.
	p.env["GIT_BRANCH"] = "main"
	_, err := p.open().Bump(t.Context(), "patch", pipelines.ReleaseOptions{})
	failed(t, err, fault.Usage, "HEAD is detached", "git switch")
	if diff := cmp.Diff(before, p.refs()); diff != "" || p.git("status", "--porcelain") != "" {
		t.Errorf("something was written: %s\n%s", diff, p.git("status", "--porcelain"))
	}
}

// Somebody else's commit is in the way of the push: the tag must not stay on a commit that will be rebased.
func TestAPushThatIsRejected(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	origin, other := filepath.Join(t.TempDir(), "origin.git"), filepath.Join(t.TempDir(), "other")
	p.git("init", "--quiet", "--bare", "--initial-branch=main", origin)
	p.git("remote", "add", "origin", origin)
	p.git("push", "--quiet", "origin", "main")
	p.git("clone", "--quiet", origin, other)
	p.git("-C", other, "-c", "user.name=Bob", "-c", "user.email=bob@example.com",
		"commit", "--quiet", "--allow-empty", "--message", "fix: of somebody else")
	p.git("-C", other, "push", "--quiet", "origin", "main")
	theirs := p.git("ls-remote", origin)
	_, err := p.open().Bump(t.Context(), "1.1.0", pipelines.ReleaseOptions{Push: true})
	next := "git tag -d v1.1.0 && git pull --rebase origin main && berth version tag --push"
	failed(t, err, fault.Failed, "refs/heads/main", next)
	if got := p.git("ls-remote", origin); got != theirs {
		t.Errorf("the origin changed:\n%s", got)
	}
	// The steps that the message names lead to the end.
	p.git("tag", "-d", "v1.1.0")
	p.git("pull", "--quiet", "--rebase", "origin", "main")
	got, err := p.open().Tag(t.Context(), pipelines.ReleaseOptions{Push: true})
	if err != nil || !got.Created || !got.Pushed || got.Version != "1.1.0" {
		t.Fatalf("%+v, %v", got, err)
	}
	for _, ref := range []string{"refs/heads/main", "refs/tags/v1.1.0^{commit}"} {
		if at := p.git("--git-dir", origin, "rev-parse", ref); at != got.Commit || at != p.git("rev-parse", "HEAD") {
			t.Errorf("%s is %s at the origin", ref, at)
		}
	}
	if subjects := p.git("log", "--format=%s", "-2"); subjects != "Release web 1.1.0\nfix: of somebody else" {
		t.Errorf("history: %s", subjects)
	}
}

// A git tag that looks like a release but names no version must not be published as one.
func TestAGitTagThatIsNoVersion(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	for tag, code := range map[string]fault.Code{
		"v1.0": fault.Usage, "vnext": fault.Usage, "v1.0.0.0": fault.Usage, "v1.0.0": fault.Done, "nightly": fault.Done,
	} {
		p.env["GIT_TAG"] = tag
		_, err := p.open().Version(t.Context())
		if code == fault.Done {
			if err != nil {
				t.Errorf("%s: %v", tag, err)
			}
			continue
		}
		failed(t, err, code, "git tag "+tag+": it looks like a release, but names no whole version", "v{version}")
	}
}

// The Dagger module applies what a bump would write where its caller stands.
func TestRewritten(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	const chart = "# the chart\nversion: 1.0.0 # of both\nappVersion: \"1.0.0\"\n"
	p.write("deploy/Chart.yaml", chart)
	p.replace("bump: [VERSION]", "bump: [VERSION, deploy/Chart.yaml]")
	before := p.refs()
	for target, want := range map[string]string{"minor": "1.1.0", "v2.0.0-rc.1": "2.0.0-rc.1", "next": "1.0.0"} {
		got, err := p.open().Rewritten(t.Context(), target)
		if err != nil {
			t.Fatal(err)
		}
		wanted := map[string][]byte{
			"VERSION": []byte(want + "\n"), "deploy/Chart.yaml": []byte(strings.ReplaceAll(chart, "1.0.0", want)),
		}
		if want == "1.0.0" { // has it already
			wanted = map[string][]byte{}
		}
		if diff := cmp.Diff(wanted, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", target, diff)
		}
	}
	if _, err := p.open().Rewritten(t.Context(), "soon"); fault.CodeOf(err) != fault.Usage {
		t.Errorf("no version: %v", err)
	}
	if p.refs() != before || p.read("deploy/Chart.yaml") != chart || p.git("status", "--porcelain") != "" {
		t.Errorf("something was written: %s", p.git("status", "--porcelain"))
	}
	// A project below the repository's root: paths are the repository's.
	p.write("services/api/VERSION", "3.0.0\n")
	p.write("services/api/berth.yaml", berthYAML)
	p.commit("chore: an api")
	o := p.options()
	o.Project = "services/api"
	opened, err := pipelines.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	got, err := opened.Rewritten(t.Context(), "patch")
	if diff := cmp.Diff(map[string][]byte{"services/api/VERSION": []byte("3.0.1\n")}, got); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
}

// A bump whose push did not come through is pushed by the same command, not made once more.
func TestABumpThatBrokeOffBeforeItsPush(t *testing.T) {
	t.Parallel()
	for _, target := range []string{"minor", "next"} {
		t.Run(target, func(t *testing.T) {
			t.Parallel()
			p := newProject(t)
			remote := filepath.Join(t.TempDir(), "remote.git")
			p.git("remote", "add", "origin", remote) // which is not there yet
			p.git("tag", "v1.0.0")
			p.commit("feat: a")
			push := pipelines.ReleaseOptions{Push: true}
			if _, err := p.open().Bump(t.Context(), target, push); err == nil {
				t.Fatal("the push went to a remote that does not exist")
			}
			done := p.refs()
			p.git("init", "--quiet", "--bare", remote)
			got, err := p.open().Bump(t.Context(), target, push)
			if err != nil {
				t.Fatal(err)
			}
			if !got.Pushed || got.Created || got.Version != "1.1.0" {
				t.Errorf("%+v", got)
			}
			if diff := cmp.Diff(done, p.refs()); diff != "" {
				t.Errorf("(-one bump +another):\n%s", diff)
			}
			if tags := p.git("--git-dir", remote, "tag", "--list"); strings.TrimSpace(tags) != "v1.1.0" {
				t.Errorf("the remote has tags %q", tags)
			}
		})
	}
}
