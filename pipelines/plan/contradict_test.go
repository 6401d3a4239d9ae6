package plan_test

import (
	"strings"
	"testing"

	"github.com/berth-sh/berth/pipelines/config"
	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/plan"
)

func TestConfigurationsWithoutContradiction(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]*config.Config{"own": own(t), "kubernaut": example(t)} {
		if err := plan.Contradictions(c); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Each case changes one line of a sound configuration.
func TestContradictions(t *testing.T) {
	t.Parallel()
	const sound = `apiVersion: berth/v1
project: p
components: {web: {go: {}}}
tags: [{branch: "release/*", set: ["v{version}"]}, {branch: "**", set: ["dev-{sha}"]}, {tag: "v*", set: ["v{version}"]}]
registries:
  low: {kind: quay, prefix: quay.io/low, purpose: [development, testing], writers: [low+ci]}
  high: {kind: quay, prefix: quay.io/high, purpose: [staging, production]}
environments:
  dev: {registry: low, refs: {branches: [main, "feature/*"], tags: [], pullRequests: true}}
  pre: {registry: high, writers: [high+pre], refs: {branches: [main, "release/*"], tags: ["v*"], pullRequests: false}}
  prd: {registry: high, writers: [high+prd], promote: {from: pre, approvals: [qa], set: ["v{version}"]}}
approvers: [{name: Ann, role: qa, key: ann.pub}]
`
	if err := plan.Contradictions(parse(t, sound)); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct{ old, new, message string }{
		"pull requests in production": {
			"pullRequests: false", "pullRequests: true",
			"berth.yaml:10:112: environment pre accepts pull requests, but registry high",
		},
		"features in production": {
			`"release/*"], tags`, `"feature/*"], tags`, `environment pre accepts branches "feature/*", but registry high`,
		},
		"releases of branches in development": {
			`"feature/*"], tags`, `"release/*"], tags`, `environment dev accepts branches "release/*", but registry low`,
		},
		"releases in development": {
			"tags: []", `tags: ["chart-*", "v*"]`, `environment dev accepts git tags "v*", and so releases, but registry low`,
		},
		"the wrong way": {
			"{registry: low,", "{registry: low, promote: {from: pre, set: [x]},",
			"images would go from a registry for staging and production to one for development and testing",
		},
		"release tag of a promotion": {
			"{registry: high, writers: [high+prd], promote: {from: pre,", "{registry: low, promote: {from: dev,",
			`"v{version}" is the tag of a release, but registry low is for development and testing`,
		},
		"approval by nobody": {"approvals: [qa]", "approvals: [qa, boss]", `nobody has the role "boss"`},
		"another's robot":    {"[high+pre]", "[low+ci]", "robot low+ci belongs to low, and cannot write to quay.io/high"},
		"the registry's robot": {
			"[low+ci]", "[low+ci, high+ci]", "berth.yaml:6:93: robot high+ci belongs to high, and cannot write to quay.io/low",
		},
		"writers without effect": {
			"[staging, production]}", "[staging, production], writers: [high+x]}",
			"they have no effect: each environment on it (prd, pre) has writers of its own",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := strings.Replace(sound, tt.old, tt.new, 1)
			if text == sound {
				t.Fatal("the case changes nothing")
			}
			err := plan.Contradictions(parse(t, text))
			if fault.CodeOf(err) != fault.Usage || !strings.Contains(err.Error(), tt.message) || fault.NextOf(err) == "" {
				t.Errorf("%v\nnext: %s", err, fault.NextOf(err))
			}
		})
	}
}
