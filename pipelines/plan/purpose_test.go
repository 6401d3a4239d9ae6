package plan_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/berth-sh/berth/pipelines/config"
	"github.com/berth-sh/berth/pipelines/facts"
	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/plan"
)

// example is the configuration of examples/kubernaut.
func example(t testing.TB) *config.Config {
	t.Helper()
	c, err := config.Load(filepath.Join("..", "..", "examples", "kubernaut", config.FileName),
		func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// The decision tree "Is this image for …?" of DD-REGISTRY-001, question by question.
func TestTheDecisionTree(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]plan.Choice{
		"local-development":   {Environment: "dev", Prefix: "quay.io/jordigilh"},
		"integration-testing": {Environment: "dev", Prefix: "quay.io/jordigilh"},
		"ci":                  {Environment: "dev", Prefix: "quay.io/jordigilh"},
		"feature-branch":      {Environment: "dev", Prefix: "quay.io/jordigilh"},
		"staging":             {Environment: "staging", Prefix: "quay.io/kubernaut"},
		"production":          {Environment: "production", Prefix: "quay.io/kubernaut"},
		"release":             {Environment: "production", Prefix: "quay.io/kubernaut"},
		"documentation":       {Environment: "production", Prefix: "quay.io/kubernaut"},
	} {
		got, err := plan.ForUse(example(t), name)
		if err != nil || got.Environment != want.Environment || got.Prefix != want.Prefix {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestForUseRefusesToGuess(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ purposes, use, message string }{
		"unknown":    {"[development]", "fun", `there is no purpose "fun"`},
		"nobody's":   {"[development]", "release", "no registry is for production"},
		"everyone's": {"[production]", "release", "registries a and b are all for production"},
	} {
		c := parse(t, `{apiVersion: berth/v1, project: p, components: {web: {go: {}}}, tags: [{branch: "**", set: ["{sha}"]}],
  registries: {a: {prefix: ghcr.io/a, purpose: `+tt.purposes+`}, b: {prefix: ghcr.io/b, purpose: `+tt.purposes+`}},
  environments: {dev: {registry: a}}}`)
		_, err := plan.ForUse(c, tt.use)
		if fault.CodeOf(err) != fault.Usage || !strings.Contains(err.Error(), tt.message) || fault.NextOf(err) == "" {
			t.Errorf("%s: %v, next %q", name, err, fault.NextOf(err))
		}
	}
}

// Where no environment's refs name the git ref, its purpose does.
func TestTheTreeAnswersForGitRefs(t *testing.T) {
	t.Parallel()
	for ref, tt := range map[string]struct {
		facts       facts.Facts
		environment string
	}{
		"release":         {onTag("v1.0.0"), "production"},
		"candidate":       {onTag("v1.0.0-rc.1"), "staging"},
		"main":            {onBranch("main"), "dev"},
		"other":           {onBranch("fix/x"), "dev"},
		"chart's release": {onTag("chart-v1.0.0"), ""},
	} {
		got, err := plan.Choose(example(t), tt.facts, "")
		if got.Environment != tt.environment || (err == nil) != (tt.environment != "") {
			t.Errorf("%s: %+v, %v", ref, got, err)
		}
		// To know where it belongs is not to let it in.
		p, err := plan.Make(example(t), tt.facts, one(), plan.Request{})
		if err == nil {
			err = p.Err()
		}
		if fault.CodeOf(err) != fault.Refused {
			t.Errorf("a publish of %s: code %d, %v", ref, fault.CodeOf(err), err)
		}
	}
}

// An environment that takes any ref is never chosen by itself, and so not by purpose either.
func TestTheTreeOpensNoEnvironment(t *testing.T) {
	t.Parallel()
	c := parse(t, `{apiVersion: berth/v1, project: p, components: {web: {go: {}}}, tags: [{branch: "**", set: ["{sha}"]}],
  registries: {a: {prefix: ghcr.io/a, purpose: [development]}}, environments: {dev: {registry: a}}}`)
	if got, err := plan.Choose(c, onBranch("x"), ""); err == nil {
		t.Errorf("%+v", got)
	}
}

func TestPushesThatDoNotFitThePurpose(t *testing.T) {
	t.Parallel()
	c := parse(t, `apiVersion: berth/v1
project: p
components: {web: {go: {}}}
tags:
  - {branch: main, set: ["v{version}"]}
  - {tag: "v*", set: ["v{version}"]}
  - {branch: "**", set: ["dev-{sha}"]}
registries:
  development: {prefix: quay.io/a, purpose: [development, testing]}
  staging: {prefix: quay.io/b, purpose: [staging]}
  production: {prefix: quay.io/c, purpose: [production]}
  any: {prefix: quay.io/d}
environments:
  dev: {registry: development}
  staging: {registry: staging, refs: {branches: [develop, "**"], pullRequests: true}}
  production: {registry: production}
  local: {registry: any}
`)
	for name, tt := range map[string]struct {
		facts       facts.Facts
		environment string
		reason      string
	}{
		"feature to development": {onBranch("feature/x"), "dev", ""},
		"feature to staging":     {onBranch("feature/x"), "staging", "it is for staging, but branch feature/x is a feature branch"},
		"feature to production":  {onBranch("feature/x"), "production", "it is for production, but branch feature/x is a feature"},
		"pull to staging":        {onPull("7", "main"), "staging", "it is for staging, but pull request 7 is no release"},
		"named branch":           {onBranch("develop"), "staging", ""},
		"release branch":         {onBranch("main"), "production", ""},
		"release to development": {onBranch("main"), "dev", "it is for development and testing, but branch main is a release"},
		"tag to development":     {onTag("v1.0.0"), "dev", "it is for development and testing, but tag v1.0.0 is a release"},
		"release to staging":     {onTag("v1.0.0"), "production", ""},
		"anything anywhere":      {onBranch("feature/x"), "local", ""},
	} {
		p, err := plan.Make(c, tt.facts, one(), plan.Request{Environment: tt.environment})
		if err != nil {
			t.Fatal(name, err)
		}
		err = p.Err()
		switch {
		case tt.reason == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case tt.reason != "" && (fault.CodeOf(err) != fault.Refused || !strings.Contains(err.Error(), tt.reason) ||
			!strings.Contains(fault.NextOf(err), "--env")):
			t.Errorf("%s: code %d, %v\nnext: %s", name, fault.CodeOf(err), err, fault.NextOf(err))
		}
	}
}
