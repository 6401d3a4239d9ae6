package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/berth-sh/berth/pipelines/config"
	"github.com/berth-sh/berth/pipelines/fault"
)

// valid is a whole configuration of eight lines; what a test adds begins at line nine.
const valid = `apiVersion: berth/v1
project: web
components:
  web: {go: {dir: cmd/web}}
registries:
  main: {prefix: ghcr.io/acme}
tags: [{branch: "**", set: ["v{version}"]}]
environments: {dev: {registry: main}}
`

// with replaces one line of the valid configuration.
func with(line, by string) string { return strings.Replace(valid, line, by, 1) }

// env is an environment with these variables.
func env(pairs ...string) config.Lookup {
	return func(name string) (string, bool) {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1], true
			}
		}
		return "", false
	}
}

func parse(t *testing.T, text string, pairs ...string) *config.Config {
	t.Helper()
	c, err := config.Parse("berth.yaml", []byte(text), env(pairs...))
	if err != nil {
		t.Fatalf("%v\n%s", err, fault.NextOf(err))
	}
	return c
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	c := parse(t, valid)
	if c.Version.File != config.VersionFromGit || c.Version.GitTag != "v{version}" || c.Version.Bump != nil {
		t.Errorf("version: %+v", c.Version)
	}
	if diff := cmp.Diff([]string{"linux/amd64", "linux/arm64"}, c.PlatformsOf("web")); diff != "" {
		t.Error(diff)
	}
	if c.RepositoryOf("web") != "web" || c.WritersOf("dev") != nil || len(c.TagRulesOf("dev")) != 1 {
		t.Errorf("%+v", c)
	}
	c = parse(t, valid+"version: {file: deploy/Chart.yaml}\n")
	if diff := cmp.Diff([]string{"deploy/Chart.yaml"}, c.Version.Bump); diff != "" {
		t.Error(diff)
	}
}

func TestWhatIsSetForOneWins(t *testing.T) {
	t.Parallel()
	c := parse(t, `
apiVersion: berth/v1
project: web
platforms: [linux/amd64]
components:
  web: {go: {}, platforms: [linux/s390x], repository: team/site}
  api: {dockerfile: {context: api}}
registries: {main: {prefix: ghcr.io/acme, writers: [robot]}}
tags: [{branch: "**", set: [latest]}]
environments:
  dev: {registry: main, tags: [{branch: main, set: ["{sha}"]}]}
  prd: {registry: main, writers: [captain]}
`)
	got := []any{
		c.ComponentNames(), c.EnvironmentNames(), c.PlatformsOf("web"), c.PlatformsOf("api"), c.RepositoryOf("web"),
		c.WritersOf("dev"), c.WritersOf("prd"), c.TagRulesOf("dev"),
	}
	want := []any{
		[]string{"api", "web"},
		[]string{"dev", "prd"},
		[]string{"linux/s390x"},
		[]string{"linux/amd64"},
		"team/site",
		[]string{"robot"},
		[]string{"captain"},
		[]config.TagRule{{Branch: "main", Set: []string{"{sha}"}}, {Branch: "**", Set: []string{"latest"}}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestAFileThatIsNotThere(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "berth.yaml")
	_, err := config.Load(file, env())
	if fault.CodeOf(err) != fault.Usage || err.Error() != file+": there is no configuration" ||
		!strings.Contains(fault.NextOf(err), "berth init") {
		t.Errorf("%v\n%s", err, fault.NextOf(err))
	}
	if err := os.Mkdir(file, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := config.Load(file, env()); fault.CodeOf(err) != fault.Usage || !strings.Contains(err.Error(), "cannot read") {
		t.Error(err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(valid+"colour: red\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := config.Load(file, env()); err == nil || !strings.HasPrefix(err.Error(), file+":9:1: ") {
		t.Error(err)
	}
}

// This repository's own file and the one of kubernaut in the design.
func TestRealConfigurations(t *testing.T) {
	t.Parallel()
	own, err := config.Load(filepath.Join("..", "..", config.FileName), env("GCP_PROJECT", "acme-1"))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"knative-lambda-builder", "knative-lambda-metrics-pusher", "knative-lambda-sidecar"}
	if diff := cmp.Diff(want, own.ComponentNames()); diff != "" {
		t.Error(diff)
	}
	if own.Registries["gcr"].Prefix != "gcr.io/acme-1" {
		t.Errorf("%+v", own.Registries["gcr"])
	}
	c, err := config.Load(filepath.Join("testdata", "kubernaut.yaml"), env())
	if err != nil {
		t.Fatalf("%v\n%s", err, fault.NextOf(err))
	}
	wantPromote := &config.Promote{
		From: "staging", Approvals: []string{"release-manager", "qa"},
		Set: []string{"v{version}", "v{major}.{minor}", "v{major}", "latest"},
	}
	if diff := cmp.Diff(wantPromote, c.Environments["production"].Promote); diff != "" {
		t.Error(diff)
	}
	wantKeep := []config.RetentionRule{{Match: "dev-latest", Keep: "forever"}, {Match: "test-*", Keep: "14d"}, {Match: "*", Keep: "30d"}}
	if diff := cmp.Diff(wantKeep, c.Environments["dev"].Retention); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"jordigilh+ci-builder"}, c.WritersOf("dev")); diff != "" {
		t.Error(diff)
	}
	if !c.Environments["dev"].Refs.PullRequests {
		t.Error("dev takes no pull requests")
	}
}

func TestHowAFileMayBeWritten(t *testing.T) {
	t.Parallel()
	want := parse(t, valid)
	for name, text := range map[string]string{
		"byte order mark":    "\ufeff" + valid,
		"CRLF":               strings.ReplaceAll(valid, "\n", "\r\n"),
		"document start":     "---\n" + valid,
		"document end":       valid + "...\n",
		"comments":           "# yaml-language-server: $schema=x\n" + strings.ReplaceAll(valid, "\n", " # why\n") + "# end\n",
		"empty document":     valid + "---\n# nothing\n",
		"quoted keys":        with("project:", `"project":`),
		"an empty section":   valid + "version:\n",
		"an alias for text":  with("project: web\ncomponents:", "project: &name web\ncomponents:"),
		"a merge key":        with("main: {prefix: ghcr.io/acme}", "main: {<<: {prefix: ghcr.io/acme}}"),
		"no newline at end":  strings.TrimSuffix(valid, "\n"),
		"a trailing comma":   with(`set: ["v{version}"]`, `set: ["v{version}", ]`),
		"text with a tag":    with("project: web", "project: !!str web"),
		"text over lines":    with("project: web", "project: >-\n  web"),
		"escaped in a value": with("project: web", `project: "\x77eb"`),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := parse(t, text)
			if diff := cmp.Diff(want, got, cmp.FilterPath(func(p cmp.Path) bool { return p.String() == "source" }, cmp.Ignore())); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAnchorsAndMergeKeys(t *testing.T) {
	t.Parallel()
	c := parse(t, with("main: {prefix: ghcr.io/acme}", `main: &main {prefix: ghcr.io/acme, writers: &who [robot]}
  other: {<<: *main, prefix: quay.io/acme}
  third: {prefix: quay.io/third, writers: *who}
  fourth: *main
  fifth: {prefix: quay.io/fifth, <<: *main}`))
	for name, want := range map[string]config.Registry{
		"main":   {Prefix: "ghcr.io/acme", Writers: []string{"robot"}},
		"other":  {Prefix: "quay.io/acme", Writers: []string{"robot"}},
		"third":  {Prefix: "quay.io/third", Writers: []string{"robot"}},
		"fifth":  {Prefix: "quay.io/fifth", Writers: []string{"robot"}},
		"fourth": {Prefix: "ghcr.io/acme", Writers: []string{"robot"}},
	} {
		if diff := cmp.Diff(want, c.Registries[name]); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestVariables(t *testing.T) {
	t.Parallel()
	text := with("main: {prefix: ghcr.io/acme}", `main: {prefix: "${HOST}/${OWNER}"}
  far: {prefix: "gcr.io/${PROJECT}"}`) + `approvers: [{name: "$${HOST} $HOST ${HOST}", role: r, key: k}]
`
	c := parse(t, text, "HOST", "quay.io", "OWNER", "acme", "PROJECT", "p-1")
	if got := c.Registries["main"].Prefix; got != "quay.io/acme" {
		t.Error(got)
	}
	if got := c.Approvers[0].Name; got != "${HOST} $HOST quay.io" {
		t.Error(got)
	}
	if err := c.RequireSet("registries"); err != nil {
		t.Error(err)
	}
	if got := c.Unset(); len(got) != 0 {
		t.Error(got)
	}
	// A value stays a value: it is neither expanded again nor read as YAML.
	odd := "${HOST}: {b # c"
	if got := parse(t, text, "HOST", odd, "OWNER", "acme", "PROJECT", "p").Approvers[0].Name; got != "${HOST} $HOST "+odd {
		t.Error(got)
	}
}

func TestAnUnsetVariableIsAnErrorWhereItIsUsed(t *testing.T) {
	t.Parallel()
	c := parse(t, with("main: {prefix: ghcr.io/acme}", `main: {prefix: ghcr.io/acme}
  far: &far {prefix: "gcr.io/${PROJECT}"}
  alias: *far
  merged: {<<: *far}
  inline: {<<: {prefix: "gcr.io/${INLINE}"}}
  empty: {prefix: "gcr.io/${EMPTY}"}`), "EMPTY", "")
	if err := c.RequireSet("registries", "main"); err != nil {
		t.Errorf("main uses no variable: %v", err)
	}
	for name, want := range map[string]string{
		"far":    "berth.yaml:7:22: the environment variable PROJECT is not set",
		"alias":  "berth.yaml:8:10: the environment variable PROJECT is not set",
		"merged": "berth.yaml:9:3: the environment variable PROJECT is not set",
		"inline": "berth.yaml:10:3: the environment variable INLINE is not set",
		"empty":  "berth.yaml:11:19: the environment variable EMPTY is not set",
	} {
		err := c.RequireSet("registries", name)
		if err == nil || err.Error() != want || fault.CodeOf(err) != fault.Usage || !strings.HasPrefix(fault.NextOf(err), "set it: export ") {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
	want := []string{
		"berth.yaml:7:22: PROJECT", "berth.yaml:8:10: PROJECT", "berth.yaml:9:3: PROJECT", "berth.yaml:10:3: INLINE",
		"berth.yaml:11:19: EMPTY",
	}
	if diff := cmp.Diff(want, c.Unset()); diff != "" {
		t.Error(diff)
	}
}

func TestFaultsPointAtTheNearestValue(t *testing.T) {
	t.Parallel()
	c := parse(t, valid)
	for want, path := range map[string][]string{
		"berth.yaml:8:32": {"environments", "dev", "registry"},
		"berth.yaml:8:16": {"environments", "dev", "refs"},
		"berth.yaml:8:1":  {"environments", "prd", "registry"},
		"berth.yaml:7:29": {"tags", "0", "set", "0"},
		"berth.yaml":      {"nowhere"},
	} {
		if got := c.Where(path...); got != want {
			t.Errorf("%v is at %s, want %s", path, got, want)
		}
	}
	cause := errors.New("cause")
	if err := c.Fault([]string{"project"}, "next", "what: %w", cause); err.Error() != "berth.yaml:2:10: what: cause" ||
		err.Next != "next" || !errors.Is(err, cause) || err.Code != fault.Usage {
		t.Errorf("%+v", err)
	}
	if got := (&config.Config{}).Where("project"); got != "berth.yaml" {
		t.Error(got)
	}
}

func TestMatch(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		glob, name string
		want       bool
	}{
		{"main", "main", true},
		{"main", "main2", false},
		{"*", "main", true},
		{"*", "feature/a", false},
		{"**", "feature/a", true},
		{"**", "main", true},
		{"feature/**", "feature/a/b", true},
		{"feature/**", "feature", true},
		{"feature/*", "feature/a/b", false},
		{"v*.*.*", "v1.2.3", true},
		{"v*.*.*", "v1.2", false},
		{"knative-lambda-v*", "knative-lambda-v1.0.0", true},
		{"release-{a,b}", "release-b", true},
		{"[", "[", false},
	} {
		if got := config.Match(c.glob, c.name); got != c.want {
			t.Errorf("Match(%q, %q) is %v", c.glob, c.name, got)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	data, err := os.ReadFile("testdata/kubernaut.yaml")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if _, err := config.Parse("berth.yaml", data, env()); err != nil {
			b.Fatal(err)
		}
	}
}
