package plan_test

import (
	"fmt"
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
		"two approvals by one person": {
			"approvals: [qa]", "approvals: [qa, qa]", "there are too few people for all approvals: nobody is left for \"qa\"",
		},
		"another's robot": {"[high+pre]", "[low+ci]", "robot low+ci belongs to low, and cannot write to quay.io/high"},
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

// Nobody counts twice, but who has several roles may give any one of them.
func TestApprovalsCanBeGiven(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		approvals, ci, approvers string
		ok                       bool
	}{
		"nobody needed":     {"[]", "[]", "", true},
		"moved for another": {"[qa, boss]", "[]", "Ann qa, Ann boss, Bob qa", true},
		"one for two":       {"[qa, boss]", "[]", "Ann qa, Ann boss", false},
		"one by the CI":     {"[qa, boss]", "[boss]", "Ann qa", true},
		"twice by two":      {"[qa, qa]", "[]", "Ann qa, Bob qa", true},
		"chain":             {"[a, b, c]", "[]", "X a, X b, Y b, Y c, Z a", true},
		"broken chain":      {"[a, b, c]", "[]", "X a, X b, Y b, Y c", false},
	} {
		people := []string{}
		for i, p := range strings.FieldsFunc(tt.approvers, func(r rune) bool { return r == ',' }) {
			who := strings.Fields(p)
			people = append(people, fmt.Sprintf("{name: %s, role: %s, key: %d.pub}", who[0], who[1], i))
		}
		c := parse(t, `apiVersion: berth/v1
project: p
components: {web: {go: {}}}
tags: [{branch: "**", set: ["{sha}"]}]
registries: {r: {prefix: ghcr.io/acme}}
environments: {dev: {registry: r}, prd: {registry: r, promote: {from: dev, set: [x], approvals: `+tt.approvals+`, ci: `+tt.ci+`}}}
approvers: [`+strings.Join(people, ", ")+`]
`)
		if err := plan.Contradictions(c); (err == nil) != tt.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}
