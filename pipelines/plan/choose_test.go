package plan_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/berth-sh/berth/pipelines/config"
	"github.com/berth-sh/berth/pipelines/facts"
	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/plan"
	"github.com/berth-sh/berth/pipelines/version"
)

func TestRefOf(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		facts facts.Facts
		want  version.Ref
	}{
		"branch":                 {onBranch("main"), version.Ref{Kind: version.RefBranch, Name: "main"}},
		"tag":                    {onTag("v1"), version.Ref{Kind: version.RefTag, Name: "v1"}},
		"pull before branch":     {onPull("7", "main"), version.Ref{Kind: version.RefPull, Name: "pr-7"}},
		"tag before branch":      {facts.Facts{Tag: "v1", Branch: "main"}, version.Ref{Kind: version.RefTag, Name: "v1"}},
		"pull before everything": {facts.Facts{Tag: "v1", Branch: "main", PullRequest: "7"}, version.Ref{Kind: version.RefPull, Name: "pr-7"}},
	} {
		got, err := plan.RefOf(c.facts)
		if err != nil || got != c.want {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	_, err := plan.RefOf(facts.Facts{Commit: "abc"})
	if fault.CodeOf(err) != fault.Usage || !strings.HasPrefix(err.Error(), "HEAD at abc: HEAD is detached") ||
		!strings.Contains(fault.NextOf(err), "git switch") {
		t.Errorf("%v", err)
	}
}

// environments is a configuration with one component and these environments, on one registry.
func environments(t *testing.T, lines ...string) *config.Config {
	t.Helper()
	return parse(t, `apiVersion: berth/v1
project: web
components: {web: {go: {}}}
registries: {main: {prefix: ghcr.io/acme}}
tags: [{branch: "**", set: [latest]}, {tag: "**", set: [latest]}]
environments:
  `+strings.Join(lines, "\n  ")+"\n")
}

func TestTheMostSpecificEnvironmentIsChosen(t *testing.T) {
	t.Parallel()
	const all, some, more, exact = "any: {registry: main, refs: {branches: ['**']}}", "some: {registry: main, refs: {branches: ['release/*']}}",
		"more: {registry: main, refs: {branches: ['release/1.*']}}", "exact: {registry: main, refs: {branches: [release/1.2]}}"
	cases := map[string]struct {
		lines []string
		ref   facts.Facts
		want  string
		rule  string
	}{
		"an exact name before a glob": {[]string{all, some, more, exact}, onBranch("release/1.2"), "exact", `branch release/1.2 matches branches "release/1.2" of environment exact`},
		"in all order of the file":    {[]string{exact, more, some, all}, onBranch("release/1.2"), "exact", `branch release/1.2 matches branches "release/1.2" of environment exact`},
		"a longer literal":            {[]string{all, some, more, exact}, onBranch("release/1.3"), "more", `branch release/1.3 matches branches "release/1.*" of environment more`},
		"a shorter literal":           {[]string{more, exact, all, some}, onBranch("release/2"), "some", `branch release/2 matches branches "release/*" of environment some`},
		"the rest":                    {[]string{some, all}, onBranch("topic"), "any", `branch topic matches branches "**" of environment any`},
		"an exact short name before a long glob": {
			[]string{"a: {registry: main, refs: {branches: ['mainlines*', 'ma{in,ster}']}}", "b: {registry: main, refs: {branches: [main]}}"},
			onBranch("main"), "b", `branch main matches branches "main" of environment b`,
		},
		"the best of several globs": {
			[]string{"a: {registry: main, refs: {branches: ['**', 'feature/**']}}", "b: {registry: main, refs: {branches: ['f**']}}"},
			onBranch("feature/x"), "a", `branch feature/x matches branches "feature/**" of environment a`,
		},
		"a tie that a third one beats": {
			[]string{"a: {registry: main, refs: {branches: ['r**']}}", "b: {registry: main, refs: {branches: ['**r']}}", "c: {registry: main, refs: {branches: [rr]}}"},
			onBranch("rr"), "c", `branch rr matches branches "rr" of environment c`,
		},
		"wildcards do not count": {
			[]string{"a: {registry: main, refs: {branches: ['v*.*.*.*']}}", "b: {registry: main, refs: {branches: ['v1.*']}}", "c: {registry: main, refs: {branches: ['?1.2.3.4']}}"},
			onBranch("v1.2.3.4"), "c", `branch v1.2.3.4 matches branches "?1.2.3.4" of environment c`,
		},
		"git tags have their own globs": {
			[]string{"a: {registry: main, refs: {branches: [v1]}}", "b: {registry: main, refs: {tags: ['v*']}}"},
			onTag("v1"), "b", `tag v1 matches tags "v*" of environment b`,
		},
		"pull requests": {
			[]string{"a: {registry: main, refs: {branches: [main, 'pr-7']}}", "b: {registry: main, refs: {pullRequests: true}}"},
			onPull("7", "main"), "b", `pull request 7 matches pullRequests of environment b`,
		},
		"one without refs is never chosen": {
			[]string{"a: {registry: main}", "b: {registry: main, refs: {branches: ['**']}}"},
			onBranch("main"), "b", `branch main matches branches "**" of environment b`,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := plan.Choose(environments(t, c.lines...), c.ref, "")
			if err != nil || got.Environment != c.want || got.Reason != c.rule {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}

func TestATieIsAConfigurationError(t *testing.T) {
	t.Parallel()
	for name, lines := range map[string][]string{
		"exact":         {"a: {registry: main, refs: {branches: [main]}}", "b: {registry: main, refs: {branches: [main]}}"},
		"globs":         {"a: {registry: main, refs: {branches: ['ma*']}}", "b: {registry: main, refs: {branches: ['*in']}}"},
		"after a worse": {"_: {registry: main, refs: {branches: ['**']}}", "a: {registry: main, refs: {branches: ['ma*']}}", "b: {registry: main, refs: {branches: ['*in']}}"},
		"a third worse": {"a: {registry: main, refs: {branches: [main]}}", "b: {registry: main, refs: {branches: [main]}}", "c: {registry: main, refs: {branches: ['**']}}"},
	} {
		_, err := plan.Choose(environments(t, lines...), onBranch("main"), "")
		if fault.CodeOf(err) != fault.Usage || !strings.HasSuffix(err.Error(), "environments a and b match branch main equally well") ||
			!strings.HasPrefix(err.Error(), "berth.yaml:") || !strings.Contains(fault.NextOf(err), "--env") {
			t.Errorf("%s: %v", name, err)
		}
	}
	c := environments(t, "a: {registry: main, refs: {branches: [main]}}", "b: {registry: main, refs: {branches: [main]}}")
	if got, err := plan.Choose(c, onBranch("main"), "b"); err != nil || got.Environment != "b" {
		t.Errorf("--env does not settle it: %+v, %v", got, err)
	}
}

// This repository's own rules: main and release tags give prd, all else dev.
func TestThisRepositorysChoices(t *testing.T) {
	t.Parallel()
	by := func(f facts.Facts, registryType string) facts.Facts {
		f.RegistryType = registryType
		return f
	}
	cases := map[string]struct {
		facts    facts.Facts
		env      string
		wantEnv  string
		registry string
	}{
		"main":                  {onBranch("main"), "", "prd", "ecr"},
		"release":               {onTag("knative-lambda-v1.0.0"), "", "prd", "ecr"},
		"develop":               {onBranch("develop"), "", "dev", "ghcr"},
		"feature":               {onBranch("feature/test-feature"), "", "dev", "ghcr"},
		"a merge queue":         {onBranch("gh-readonly-queue/main/pr-7-0123456"), "", "dev", "ghcr"},
		"a fork's main":         {onPull("7", "main"), "", "dev", "ghcr"},
		"by name":               {onBranch("main"), "local", "local", "ghcr"},
		"main on ghcr":          {by(onBranch("main"), "ghcr"), "", "dev", "ghcr"},
		"main on ecr":           {by(onBranch("main"), "ecr"), "", "prd", "ecr"},
		"feature on gcr":        {by(onBranch("feature/x"), "gcr"), "", "gcp", "gcr"},
		"a release on gcr":      {by(onTag("knative-lambda-v1.0.0"), "gcr"), "", "gcp", "gcr"},
		"a release on ghcr":     {by(onTag("knative-lambda-v1.0.0"), "ghcr"), "", "local", "ghcr"},
		"feature on ecr":        {by(onBranch("feature/x"), "ecr"), "", "prd", "ecr"}, // its guard then refuses
		"a pull request on ecr": {by(onPull("7", "main"), "ecr"), "", "prd", "ecr"},   // its guard then refuses
		"by name and registry":  {by(onBranch("feature/x"), "ghcr"), "local", "local", "ghcr"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := plan.Choose(own(t), c.facts, c.env)
			if err != nil || got.Environment != c.wantEnv || got.Registry != c.registry || got.Kind != c.registry || got.Reason == "" {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
	for _, f := range []facts.Facts{by(onBranch("feature/x"), "ecr"), by(onPull("7", "main"), "ecr")} {
		p, err := plan.Make(own(t), f, one(), plan.Request{})
		if err != nil || fault.CodeOf(p.Err()) != fault.Refused {
			t.Errorf("REGISTRY_TYPE led around the guard: %+v, %v", p, err)
		}
	}
}

func TestRegistryTypeThatDoesNotFit(t *testing.T) {
	t.Parallel()
	c := parse(t, `apiVersion: berth/v1
project: web
components: {web: {go: {}}}
registries: {here: {prefix: ghcr.io/acme}, there: {prefix: quay.io/acme}, spare: {prefix: a.io/b}}
tags: [{branch: "**", set: [latest]}]
environments: {a: {registry: here}, b: {registry: here}, c: {registry: there, refs: {branches: [main]}}}
`)
	for name, k := range map[string]struct {
		registryType, env string
		text, next        string
	}{
		"unknown":         {"acr", "", "REGISTRY_TYPE=acr: no environment uses a registry of that name or kind", "here, there"},
		"used by none":    {"spare", "", "REGISTRY_TYPE=spare: no environment uses", "here, there"},
		"by kind":         {"ghcr", "", "REGISTRY_TYPE=ghcr: several environments use that registry", "--env a|b"},
		"by name":         {"here", "", "REGISTRY_TYPE=here: several environments use that registry", "--env a|b"},
		"against --env":   {"quay", "a", "--env a: the environment uses registry here, but REGISTRY_TYPE=quay asks for another", "unset REGISTRY_TYPE"},
		"case is a value": {"GHCR", "", "REGISTRY_TYPE=GHCR: no environment uses", "here, there"},
	} {
		f := onBranch("main")
		f.RegistryType = k.registryType
		_, err := plan.Choose(c, f, k.env)
		if fault.CodeOf(err) != fault.Usage || !strings.HasPrefix(err.Error(), k.text) || !strings.Contains(fault.NextOf(err), k.next) {
			t.Errorf("%s: %v\n%s", name, err, fault.NextOf(err))
		}
	}
	f := onBranch("main")
	f.RegistryType = "quay"
	if got, err := plan.Choose(c, f, ""); err != nil || got.Environment != "c" || got.Kind != "quay" || !strings.HasSuffix(got.Reason, "on the registry that REGISTRY_TYPE=quay names") {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestTheJSONContractOfAChoice(t *testing.T) {
	t.Parallel()
	got, err := plan.Choose(own(t), onBranch("main"), "")
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"environment":"prd","registry":"ecr","kind":"ecr",` +
		`"prefix":"339954290315.dkr.ecr.us-west-2.amazonaws.com/knative-lambdas",` +
		`"reason":"branch main matches branches \"main\" of environment prd"}`
	if diff := cmp.Diff(want, string(text)); diff != "" {
		t.Error(diff)
	}
}
