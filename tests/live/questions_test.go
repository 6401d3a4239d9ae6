package live

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Every function has one line of help.
func TestFunctionsHaveHelp(t *testing.T) {
	t.Parallel()
	live(t)
	list := run(t, t.TempDir(), nil, "dagger", "--silent", "-m", module(t), "functions").ok(t)
	lines := map[string]string{}
	for line := range strings.Lines(list) {
		name, help, _ := strings.Cut(strings.TrimSpace(line), " ")
		lines[name] = strings.TrimSpace(help)
	}
	for _, name := range []string{
		"build", "bump", "check-config", "check-lint", "check-rehearsal", "check-tests", "container", "plan", "publish",
		"pull-secret", "registry", "registry-check", "rehearse", "tags",
	} {
		if help := lines[name]; help == "" || len(help) > 100 {
			t.Errorf("%s: %q", name, help)
		}
	}
}

// From any folder of another repository, the module answers what the command line does, to the byte.
func TestAnswersAreThoseOfTheCommandLine(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	for function, verb := range map[string][]string{
		"plan": {"plan"}, "registry": {"registry", "which"}, "tags": {"version", "tags"},
	} {
		want := native(t, s.project(), append(verb, "--env", "dev", "--format", "json")...)
		got := call(t, filepath.Join(s.project(), "web"), function, "--env", "dev", "--format", "json").ok(t)
		if diff := cmp.Diff(strings.TrimSpace(want), strings.TrimSpace(got)); diff != "" {
			t.Errorf("%s: the command line, then the module:\n%s", function, diff)
		}
		if text := call(t, s.project(), function, "--env", "dev").ok(t); strings.HasPrefix(text, "{") || len(text) < 3 {
			t.Errorf("%s is not for people:\n%s", function, text)
		}
	}
}

// Answers follow git, the tree and the local defaults: none is a stale one from the engine's cache.
func TestAnswersFollowTheRepository(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	tags := func() []string { return strings.Fields(call(t, s.project(), "tags", "--env", "dev").ok(t)) }
	head := func() string { return s.git("rev-parse", "HEAD")[:7] }
	if diff := cmp.Diff([]string{"v0.1.0", "latest", head()}, tags()); diff != "" {
		t.Errorf("the first commit:\n%s", diff)
	}
	s.write("svc/VERSION", "0.2.0\n")
	if got := tags(); got[0] != "v0.2.0-dirty" {
		t.Errorf("a changed tree: %v", got)
	}
	s.commit("chore: 0.2.0")
	if diff := cmp.Diff([]string{"v0.2.0", "latest", head()}, tags()); diff != "" {
		t.Errorf("the second commit:\n%s", diff)
	}
	s.write(".git/info/exclude", ".env\n")
	s.write(".env", "BERTH_shaShort=abcdef0\nBERTH_variables=TEAM=blue\n")
	if got := tags(); got[len(got)-1] != "abcdef0" {
		t.Errorf("a local default: %v", got)
	}
	if got := call(t, s.project(), "plan", "--env", "spare").ok(t); !strings.Contains(got, "other.invalid/blue/web") {
		t.Errorf("a variable of berth.yaml:\n%s", got)
	}
}

// What no image is built from is not uploaded, and does not look deleted; what one is built from does.
func TestExcludedFilesAreUnchanged(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.write("docs/page.md", "# Shop\n")
	s.write("svc/berth.yaml", shopYAML+"dagger: {exclude: [docs]}\n")
	s.commit("docs: say what is sold")
	if got := call(t, s.project(), "tags", "--env", "dev").ok(t); strings.Contains(got, "dirty") {
		t.Errorf("without docs: %s", got)
	}
	if got := call(t, s.project(), "--exclude", "svc/web", "tags", "--env", "dev").ok(t); !strings.Contains(got, "v0.1.0-dirty") {
		t.Errorf("without the component: %s", got)
	}
}

// A mistake costs one line of cause and what to do next, also without a repository at all.
func TestMistakes(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	tree := filepath.Join(t.TempDir(), "tree")
	s.git("worktree", "add", "--quiet", tree)
	for name, c := range map[string]struct {
		args        []string
		cause, next string
	}{
		"environment": {[]string{"plan", "--env", "nope"}, `there is no environment "nope"`, "next: known environments: dev"},
		"component":   {[]string{"container", "--component", "nope"}, `there is no component "nope"`, "next: known components: web"},
		"platform": {
			[]string{"build", "--platforms", "linux/riscv64", "export", "--path", t.TempDir()},
			"linux/riscv64", "next: platforms of web: linux/amd64",
		},
		"format":  {[]string{"tags", "--format", "yaml"}, "value should be one of JSON,TABLE", "Run 'dagger call tags --help'"},
		"version": {[]string{"bump", "--to", "9"}, `"9" is not a version`, "next: write MAJOR.MINOR.PATCH"},
		"variable": {
			[]string{"plan", "--env", "spare"}, "svc/berth.yaml:9:", "next:",
		},
		"service": {
			[]string{"--registry-service=tcp://localhost:1", "publish", "--env", "dev"},
			"--registry-service: no registry answers there", "next: start the registry",
		},
		"half an account": {
			[]string{"--username", "ada", "publish", "--env", "dev"}, "username and password go together", "next: give both",
		},
		"half a key of AWS": {
			[]string{"--aws-access-key-id", "env:PATH", "publish", "--env", "dev"},
			"an access key of AWS and its secret go together", "next: give both",
		},
	} {
		t.Run(name, func(t *testing.T) {
			call(t, s.project(), c.args...).refused(t, c.cause, c.next)
		})
	}
	call(t, filepath.Join(tree, "svc"), "tags").refused(t, "it is a worktree or a submodule", "next: call it in a clone")
	detached := filepath.Join(t.TempDir(), "detached")
	s.git("clone", "--quiet", "--depth", "1", "file://"+s.root, detached)
	run(t, detached, nil, "git", "checkout", "--quiet", "--detach").ok(t)
	call(t, filepath.Join(detached, "svc"), "tags", "--env", "dev").refused(t, "HEAD is detached",
		"next: check out a branch (git switch BRANCH), or name it: dagger call --ref main")
	call(t, filepath.Join(detached, "svc"), "--ref", "refs/pull/7/merge", "tags", "--env", "dev").ok(t)
	call(t, t.TempDir(), "tags").refused(t, "it has no .git folder", "next: call it inside a clone")
	s.write("svc/berth.yaml", strings.Replace(shopYAML, "platforms:", "platfroms:", 1))
	call(t, s.project(), "tags").refused(t, `svc/berth.yaml:4:1: unknown key "platfroms"`, `next: did you mean "platforms"?`)
}
