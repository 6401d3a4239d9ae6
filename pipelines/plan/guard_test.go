package plan_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/berth-sh/berth/pipelines/facts"
	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/plan"
	"github.com/berth-sh/berth/pipelines/version"
)

// What the environment says must be what is checked out, in every environment.
func TestAConflictIsARefusal(t *testing.T) {
	t.Parallel()
	f := onBranch("main")
	f.Conflict = &facts.Conflict{Subject: "git tag v1", Reason: "it names commit a, but b is checked out", Next: "git checkout v1"}
	for _, environment := range []string{"", "prd", "dev", "local"} {
		p, err := plan.Make(own(t), f, one(), plan.Request{Environment: environment})
		if err != nil {
			t.Fatal(err)
		}
		want := []plan.Refusal{{
			Subject: "git tag v1", Reason: "it names commit a, but b is checked out", Next: "git checkout v1",
		}}
		if diff := cmp.Diff(want, p.Refusals); diff != "" {
			t.Errorf("--env %q (-want +got):\n%s", environment, diff)
		}
		err = p.Err()
		if fault.CodeOf(err) != fault.Refused || err.Error() != "git tag v1: it names commit a, but b is checked out" ||
			fault.NextOf(err) != "git checkout v1" {
			t.Errorf("--env %q: code %d: %v\nnext: %s", environment, fault.CodeOf(err), err, fault.NextOf(err))
		}
	}
}

// Two environments with one prefix have the same repositories: what is immutable in one never moves from the other.
func TestImmutableTagsHoldForAllWhoShareThePrefix(t *testing.T) {
	t.Parallel()
	c := parse(t, `apiVersion: berth/v1
project: web
components: {web: {go: {}}}
registries:
  here: {prefix: ghcr.io/acme}
  alias: {prefix: ghcr.io/acme}
  there: {prefix: quay.io/acme}
tags: [{branch: "**", set: ["stable-{branch}", "edge", "v{major}"]}]
environments:
  dev: {registry: here}
  stage: {registry: alias}
  far: {registry: there}
  prd: {registry: here, immutable: ["stable-*"]}
  other: {registry: there, immutable: [edge]}
`)
	for environment, want := range map[string][]version.Class{
		"prd":   {version.ClassVersion, version.ClassFloating, version.ClassFloating},
		"dev":   {version.ClassVersion, version.ClassFloating, version.ClassFloating},
		"stage": {version.ClassVersion, version.ClassFloating, version.ClassFloating},
		"far":   {version.ClassFloating, version.ClassVersion, version.ClassFloating},
		"other": {version.ClassFloating, version.ClassVersion, version.ClassFloating},
	} {
		tags, err := plan.Tags(c, onBranch("main"), one(), environment)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"stable-main", "edge", "v1"}, names(tags)); diff != "" {
			t.Error(diff)
		}
		var got []version.Class
		for _, tag := range tags {
			got = append(got, tag.Class)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", environment, diff)
		}
	}
	// Only what is immutable in an environment itself keeps uncommitted changes out of it.
	f := onBranch("main")
	f.Dirty = []string{"a"}
	for environment, want := range map[string]fault.Code{"dev": fault.Done, "stage": fault.Done, "prd": fault.Refused} {
		p, err := plan.Make(c, f, one(), plan.Request{Environment: environment})
		if err != nil || fault.CodeOf(p.Err()) != want {
			t.Errorf("uncommitted to %s: code %d, %v", environment, fault.CodeOf(p.Err()), err)
		}
	}
}

const mixed = `apiVersion: berth/v1
project: fleet
platforms: [linux/amd64, linux/arm64]
components:
  api: {go: {}}
  edge: {go: {}, platforms: [linux/arm64, linux/arm/v7]}
  web: {go: {}, platforms: [linux/amd64]}
registries: {main: {prefix: ghcr.io/acme}}
tags: [{branch: "**", set: ["v{version}"]}]
environments:
  dev: {registry: main}
  prd: {registry: main, immutable: ["v*.*.*"]}
`

func TestAskedPlatformsKeepWhatAComponentHas(t *testing.T) {
	t.Parallel()
	c := parse(t, mixed)
	for what, k := range map[string]struct {
		components, asked []string
		want              map[string][]string
	}{
		"none asked": {nil, nil, map[string][]string{
			"api": {"linux/amd64", "linux/arm64"}, "edge": {"linux/arm64", "linux/arm/v7"}, "web": {"linux/amd64"},
		}},
		"both of two": {nil, []string{"linux/arm64", "linux/amd64"}, map[string][]string{
			"api": {"linux/amd64", "linux/arm64"}, "edge": {"linux/arm64"}, "web": {"linux/amd64"},
		}},
		"one that some have": {[]string{"api", "edge"}, []string{"linux/arm64"}, map[string][]string{
			"api": {"linux/arm64"}, "edge": {"linux/arm64"},
		}},
		"twice": {[]string{"web"}, []string{"linux/amd64", "linux/amd64"}, map[string][]string{"web": {"linux/amd64"}}},
	} {
		p, err := plan.Make(c, onBranch("main"), one(), plan.Request{Environment: "dev", Components: k.components, Platforms: k.asked})
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		got := map[string][]string{}
		for _, x := range p.Images {
			got[x.Component] = x.Platforms
		}
		if diff := cmp.Diff(k.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	for asked, text := range map[string]string{
		"linux/arm/v7":  "--platform linux/arm/v7: api is not built for it",
		"linux/riscv64": "--platform linux/riscv64: api is not built for it",
		"arm64":         "--platform arm64: ",
	} {
		_, err := plan.Make(c, onBranch("main"), one(), plan.Request{Environment: "dev", Platforms: []string{asked}})
		if fault.CodeOf(err) != fault.Usage || !strings.HasPrefix(err.Error(), text) || fault.NextOf(err) == "" {
			t.Errorf("%s: code %d: %v\nnext: %s", asked, fault.CodeOf(err), err, fault.NextOf(err))
		}
	}
}

// A version tag names all platforms for good, so that a part of them is no release.
func TestAPartOfThePlatformsIsNoRelease(t *testing.T) {
	t.Parallel()
	c := parse(t, mixed)
	refused := func(component, reason string) plan.Refusal {
		return plan.Refusal{Subject: "component " + component, Reason: reason, Next: "leave out --platform"}
	}
	for what, k := range map[string]struct {
		environment string
		components  []string
		platforms   []string
		want        []plan.Refusal
	}{
		"all":                    {"prd", nil, nil, []plan.Refusal{}},
		"all of each, by name":   {"prd", []string{"api", "web"}, []string{"linux/amd64", "linux/arm64"}, []plan.Refusal{}},
		"all that the one has":   {"prd", []string{"web"}, []string{"linux/amd64"}, []plan.Refusal{}},
		"where nothing is fixed": {"dev", []string{"api"}, []string{"linux/amd64"}, []plan.Refusal{}},
		"a part": {"prd", []string{"api", "web"}, []string{"linux/amd64"}, []plan.Refusal{
			refused("api", "only linux/amd64 of linux/amd64, linux/arm64 would be released, and its version tag never moves"),
		}},
		"parts of two": {"prd", []string{"edge", "api"}, []string{"linux/arm64"}, []plan.Refusal{
			refused("api", "only linux/arm64 of linux/amd64, linux/arm64 would be released, and its version tag never moves"),
			refused("edge", "only linux/arm64 of linux/arm64, linux/arm/v7 would be released, and its version tag never moves"),
		}},
	} {
		p, err := plan.Make(c, onBranch("main"), one(),
			plan.Request{Environment: k.environment, Components: k.components, Platforms: k.platforms})
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		if diff := cmp.Diff(k.want, p.Refusals); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
}

func TestWhatIsARelease(t *testing.T) {
	t.Parallel()
	c := parse(t, `apiVersion: berth/v1
project: web
version: {gitTag: "web-v{version}"}
components: {web: {go: {}}}
registries: {main: {prefix: ghcr.io/acme}}
tags:
  - {tag: "**", set: ["{tag}", latest]}
  - {branch: main, set: ["v{version}", latest]}
  - {branch: "web-v*", set: ["{branch}", latest]}
  - {branch: "**", set: ["v{version}-dev.{sha}", latest]}
environments: {dev: {registry: main}}
`)
	dirty := onBranch("main")
	dirty.Dirty = []string{"a"}
	for what, k := range map[string]struct {
		facts facts.Facts
		want  bool
	}{
		"a release's git tag":       {onTag("web-v1.0.0"), true},
		"a candidate's git tag":     {onTag("web-v1.0.0-rc.1"), true},
		"another git tag":           {onTag("nightly"), false},
		"a branch with the version": {onBranch("main"), true},
		"uncommitted work":          {dirty, false},
		"a branch named like it":    {onBranch("web-v1.0.0"), false},
		"another branch":            {onBranch("topic"), false},
		"a pull request":            {onPull("7", "main"), false},
	} {
		p, err := plan.Make(c, k.facts, one(), plan.Request{Environment: "dev"})
		if err != nil || p.Release != k.want {
			t.Errorf("%s: release %v, want %v (%v)", what, p.Release, k.want, err)
		}
	}
}

// REGISTRY_TYPE may settle an environment that takes any ref, but never for a pull request, which anybody can open.
func TestAPullRequestNeverPicksAnOpenEnvironment(t *testing.T) {
	t.Parallel()
	c := environments(t, "open: {registry: main}", "pulls: {registry: main, refs: {branches: [x]}}")
	by := func(f facts.Facts) facts.Facts {
		f.RegistryType = "main"
		return f
	}
	if got, err := plan.Choose(c, by(onBranch("topic")), ""); err != nil || got.Environment != "open" || got.Reason != "REGISTRY_TYPE=main" {
		t.Errorf("a branch: %+v, %v", got, err)
	}
	got, err := plan.Choose(c, by(onPull("7", "main")), "")
	if fault.CodeOf(err) != fault.Refused || got.Environment != "" ||
		err.Error() != "pull request 7: no environment on the registry that REGISTRY_TYPE=main names accepts pull requests" ||
		fault.NextOf(err) != "name an environment that takes any: --env open" {
		t.Errorf("a pull request: %+v, code %d: %v\nnext: %s", got, fault.CodeOf(err), err, fault.NextOf(err))
	}
	alone := environments(t, "open: {registry: main}")
	if got, err := plan.Choose(alone, by(onPull("7", "main")), ""); fault.CodeOf(err) != fault.Refused {
		t.Errorf("a pull request, the only environment: %+v, %v", got, err)
	}
	accepts := environments(t, "open: {registry: main}", "pulls: {registry: main, refs: {pullRequests: true}}")
	if got, err := plan.Choose(accepts, by(onPull("7", "main")), ""); err != nil || got.Environment != "pulls" {
		t.Errorf("one that accepts pull requests: %+v, %v", got, err)
	}
}

func TestHowARefComesToBeAccepted(t *testing.T) {
	t.Parallel()
	c := environments(t, "a: {registry: main, refs: {branches: [main]}}", "b: {registry: main, refs: {branches: [next]}}")
	for what, k := range map[string]struct {
		facts       facts.Facts
		chosen, own string
	}{
		"a branch": {
			onBranch("topic"),
			"publish from a ref that it accepts, or add the branch to refs.branches of environment a or b",
			"publish from a ref that it accepts, or add the branch to refs.branches of environment a",
		},
		"a git tag": {
			onTag("v1"),
			"publish from a ref that it accepts, or add the tag to refs.tags of environment a or b",
			"publish from a ref that it accepts, or add the tag to refs.tags of environment a",
		},
		"a pull request": {
			onPull("7", "main"),
			"publish from a branch, or set refs: {pullRequests: true} in environment a or b",
			"publish from a branch, or set refs: {pullRequests: true} in environment a",
		},
	} {
		_, err := plan.Choose(c, k.facts, "")
		if fault.CodeOf(err) != fault.Refused || fault.NextOf(err) != k.chosen {
			t.Errorf("%s chooses: code %d: %v\nnext: %s", what, fault.CodeOf(err), err, fault.NextOf(err))
		}
		p, err := plan.Make(c, k.facts, one(), plan.Request{Environment: "a"})
		if err != nil || len(p.Refusals) != 1 || p.Refusals[0].Next != k.own {
			t.Errorf("%s to a: %+v, %v", what, p.Refusals, err)
		}
	}
	p, err := plan.Make(c, onBranch("next"), one(), plan.Request{Environment: "a"})
	if err != nil || len(p.Refusals) != 1 || p.Refusals[0].Next != "publish to b (--env b), or from a ref that a accepts" {
		t.Errorf("a ref of another environment: %+v, %v", p.Refusals, err)
	}
}
