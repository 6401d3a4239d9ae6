package plan_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/berth-sh/berth/pipelines/config"
	"github.com/berth-sh/berth/pipelines/facts"
	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/plan"
)

func TestRefusals(t *testing.T) {
	t.Parallel()
	dirty := onBranch("main")
	dirty.Dirty = []string{"a", "b", "c", "d", "e", "f", "g"}
	dirtyElsewhere := onBranch("topic")
	dirtyElsewhere.Dirty = []string{"cmd/main.go"}
	cases := map[string]struct {
		c     *config.Config
		facts facts.Facts
		env   string
		want  []plan.Refusal
	}{
		"main to prd":       {own(t), onBranch("main"), "prd", []plan.Refusal{}},
		"a release to prd":  {own(t), onTag("knative-lambda-v1.0.0"), "prd", []plan.Refusal{}},
		"anything to local": {own(t), onPull("7", "x"), "local", []plan.Refusal{}},
		"dirty to dev":      {own(t), dirtyElsewhere, "dev", []plan.Refusal{}},
		"a pull request named": {own(t), onPull("7", "main"), "prd", []plan.Refusal{{
			Subject: "environment prd",
			Reason:  "it does not accept pull request 7; it accepts branches main and git tags knative-lambda-v*",
			Next:    "publish to dev (--env dev), or from a ref that prd accepts",
		}}},
		"a merge queue": {own(t), onBranch("gh-readonly-queue/main/pr-7-0123456"), "prd", []plan.Refusal{{
			Subject: "environment prd",
			Reason:  "it does not accept branch gh-readonly-queue/main/pr-7-0123456; it accepts branches main and git tags knative-lambda-v*",
			Next:    "publish to dev (--env dev), or from a ref that prd accepts",
		}}},
		"a branch named like a tag": {own(t), onBranch("knative-lambda-v1.0.0"), "prd", []plan.Refusal{{
			Subject: "environment prd",
			Reason:  "it does not accept branch knative-lambda-v1.0.0; it accepts branches main and git tags knative-lambda-v*",
			Next:    "publish to dev (--env dev), or from a ref that prd accepts",
		}}},
		"a tag to dev": {own(t), onTag("knative-lambda-v1.0.0"), "dev", []plan.Refusal{{
			Subject: "environment dev",
			Reason:  "it does not accept tag knative-lambda-v1.0.0; it accepts branches ** and pull requests",
			Next:    "publish to prd (--env prd), or from a ref that dev accepts",
		}}},
		"dirty to prd": {own(t), dirty, "prd", []plan.Refusal{{
			Subject: "environment prd",
			Reason:  "there are uncommitted changes, and its release tags must name a commit: a, b, c, d, e and 2 more",
			Next:    "commit or stash them, or publish to an environment without immutable tags",
		}}},
		"both, in order": {own(t), dirtyElsewhere, "prd", []plan.Refusal{
			{
				Subject: "environment prd",
				Reason:  "it does not accept branch topic; it accepts branches main and git tags knative-lambda-v*",
				Next:    "publish to dev (--env dev), or from a ref that prd accepts",
			},
			{
				Subject: "environment prd",
				Reason:  "there are uncommitted changes, and its release tags must name a commit: cmd/main.go",
				Next:    "commit or stash them, or publish to an environment without immutable tags",
			},
		}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, err := plan.Make(c.c, c.facts, one(), plan.Request{Environment: c.env})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, p.Refusals); diff != "" {
				t.Error(diff)
			}
			want := fault.Refused
			if len(c.want) == 0 {
				want = fault.Done
			}
			if got := fault.CodeOf(p.Err()); got != want {
				t.Errorf("code %d, want %d", got, want)
			}
			for _, r := range c.want {
				if !strings.Contains(p.Err().Error(), r.Reason) {
					t.Errorf("%v does not say %q", p.Err(), r.Reason)
				}
			}
		})
	}
}

func TestImagesComeByPromotionOnly(t *testing.T) {
	t.Parallel()
	c := parse(t, `
apiVersion: berth/v1
project: web
components: {web: {go: {}}}
registries: {main: {prefix: ghcr.io/acme}}
tags: [{branch: "**", set: ["{sha}"]}]
environments:
  dev: {registry: main, refs: {branches: ["**"]}}
  prd: {registry: main, promote: {from: dev, set: ["v{version}"]}}
  none: {registry: main, refs: {}}
`)
	p, err := plan.Make(c, onBranch("main"), one(), plan.Request{Environment: "prd"})
	if err != nil {
		t.Fatal(err)
	}
	want := []plan.Refusal{{
		Subject: "environment prd", Reason: "images come here by promotion from dev only",
		Next: "publish to dev, then promote from there",
	}}
	if diff := cmp.Diff(want, p.Refusals); diff != "" {
		t.Error(diff)
	}
	if p, err = plan.Make(c, onBranch("main"), one(), plan.Request{Environment: "none"}); err != nil || len(p.Refusals) != 1 ||
		p.Refusals[0].Reason != "it does not accept branch main; it accepts nothing" {
		t.Errorf("%+v, %v", p.Refusals, err)
	}
	// The same holds where there is no tag rule, because promotions bring their own.
	_, err = plan.Make(kubernaut(t), onBranch("main"), one(), plan.Request{Environment: "production"})
	if fault.CodeOf(err) != fault.Refused || !strings.HasPrefix(err.Error(), "environment production: images come here by promotion from staging only\n") ||
		fault.NextOf(err) != "publish to dev, then promote to staging, then to production" {
		t.Errorf("code %d: %v\n%s", fault.CodeOf(err), err, fault.NextOf(err))
	}
}
