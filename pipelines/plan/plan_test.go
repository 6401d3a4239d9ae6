package plan_test

import (
	"encoding/json"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Masterminds/semver/v3"
	"github.com/google/go-cmp/cmp"

	"github.com/berth-sh/berth/pipelines/config"
	"github.com/berth-sh/berth/pipelines/facts"
	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/plan"
	"github.com/berth-sh/berth/pipelines/version"
)

const hash = "0123456789abcdef0123456789abcdef01234567"

func noon() time.Time { return time.Date(2026, 3, 1, 12, 30, 45, 0, time.UTC) }

func parse(t testing.TB, text string) *config.Config {
	t.Helper()
	c, err := config.Parse("berth.yaml", []byte(text), func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// own is this repository's configuration, without a value for GCP_PROJECT.
func own(t testing.TB) *config.Config {
	t.Helper()
	c, err := config.Load(filepath.Join("..", "..", config.FileName), func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// kubernaut is the configuration of two Quay organisations.
func kubernaut(t testing.TB) *config.Config {
	t.Helper()
	c, err := config.Load(filepath.Join("..", "config", "testdata", "kubernaut.yaml"), func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func onBranch(name string) facts.Facts {
	return facts.Facts{Commit: hash, CommitTime: noon(), Branch: name}
}

func onTag(name string) facts.Facts { return facts.Facts{Commit: hash, CommitTime: noon(), Tag: name} }

// onPull is a pull request whose branch has any name, that of a fork's main included.
func onPull(number, branch string) facts.Facts {
	return facts.Facts{Commit: hash, CommitTime: noon(), Branch: branch, PullRequest: number}
}

func one() *semver.Version { return semver.MustParse("1.0.0") }

func names(tags []version.Tag) []string {
	out := make([]string, 0, len(tags))
	for _, t := range tags {
		out = append(out, t.Name)
	}
	return out
}

// The JSON form is a contract: keys, their order and the words in it.
func TestTheJSONContract(t *testing.T) {
	t.Parallel()
	p, err := plan.Make(own(t), onBranch("develop"), one(), plan.Request{
		Environment: "prd", Components: []string{"knative-lambda-sidecar"}, Platforms: []string{"linux/arm64"},
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	const want = `{
  "environment": "prd",
  "registry": "ecr",
  "reason": "--env prd",
  "commit": "0123456789abcdef0123456789abcdef01234567",
  "version": "1.0.0",
  "images": [
    {
      "component": "knative-lambda-sidecar",
      "repository": "339954290315.dkr.ecr.us-west-2.amazonaws.com/knative-lambdas/knative-lambda-sidecar",
      "platforms": [
        "linux/arm64"
      ],
      "tags": [
        {
          "name": "v1.0.0-beta.20260301123045",
          "class": "version",
          "rule": "branch develop: v{version}-beta.{timestamp}"
        },
        {
          "name": "latest",
          "class": "floating",
          "rule": "branch develop: latest"
        },
        {
          "name": "0123456",
          "class": "version",
          "rule": "branch develop: {sha}"
        }
      ]
    }
  ],
  "refusals": [
    {
      "subject": "environment prd",
      "reason": "it does not accept branch develop; it accepts branches main and git tags knative-lambda-v*",
      "next": "publish to dev (--env dev), or from a ref that prd accepts"
    },
    {
      "subject": "component knative-lambda-sidecar",
      "reason": "only linux/arm64 of linux/amd64, linux/arm64 would be released, and its version tag never moves",
      "next": "leave out --platform"
    }
  ],
  "repositories": {
    "mutability": "IMMUTABLE_WITH_EXCLUSION",
    "exclusions": [
      "latest"
    ],
    "scanOnPush": true,
    "tags": {},
    "reason": "version tags never move"
  }
}`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
	err = p.Err()
	if fault.CodeOf(err) != fault.Refused || !strings.HasPrefix(err.Error(), "environment prd: "+p.Refusals[0].Reason) ||
		fault.NextOf(err) != p.Refusals[0].Next+"\n"+p.Refusals[1].Next {
		t.Errorf("%v", err)
	}
}

func TestNothingIsNullInJSON(t *testing.T) {
	t.Parallel()
	p, err := plan.Make(own(t), onBranch("develop"), one(), plan.Request{})
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(p)
	if err != nil || strings.Contains(string(text), "null") || p.Err() != nil {
		t.Errorf("%s, %v, %v", text, err, p.Err())
	}
}

func TestWhatThePublisherReads(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		facts   facts.Facts
		release bool
		dirty   bool
		tags    []string
	}{
		"main":    {onBranch("main"), true, false, []string{"v1.0.0", "latest", "0123456"}},
		"release": {onTag("knative-lambda-v1.0.0"), true, false, []string{"v1.0.0", "latest", "0123456"}},
		"develop": {onBranch("develop"), false, false, []string{"v1.0.0-beta.20260301123045", "latest", "0123456"}},
		"feature": {onBranch("feature/x"), false, false, []string{"v1.0.0-dev.0123456", "latest", "0123456"}},
		"pull":    {onPull("7", "main"), false, false, []string{"v1.0.0-dev.0123456", "latest", "0123456"}},
		"dirty": {
			facts.Facts{Commit: hash, CommitTime: noon(), Branch: "feature/x", Dirty: []string{"a"}},
			false, true,
			[]string{"v1.0.0-dev.0123456-dirty", "latest", "0123456-dirty"},
		},
		"by hand": {
			facts.Facts{Commit: hash, CommitTime: noon(), Branch: "feature/x", ShortCommit: "cafe"},
			false, false,
			[]string{"v1.0.0-dev.cafe", "latest", "cafe"},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, err := plan.Make(own(t), c.facts, one(), plan.Request{})
			if err != nil {
				t.Fatal(err)
			}
			if p.Release != c.release || p.Dirty != c.dirty || !p.CommitTime.Equal(noon()) || p.Kind == "" || len(p.Images) != 3 {
				t.Errorf("%+v", p)
			}
			for _, x := range p.Images {
				if diff := cmp.Diff(c.tags, names(x.Tags)); diff != "" {
					t.Errorf("%s: %s", x.Component, diff)
				}
			}
			alone, err := plan.Tags(own(t), c.facts, one(), "")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(p.Images[0].Tags, alone); diff != "" {
				t.Errorf("Tags differ from those of the plan: %s", diff)
			}
		})
	}
	p, err := plan.Make(kubernaut(t), onBranch("develop"), one(), plan.Request{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"jordigilh+ci-builder"}, p.Writers); diff != "" {
		t.Error(diff)
	}
}

func TestComponentsAndPlatforms(t *testing.T) {
	t.Parallel()
	c := parse(t, `
apiVersion: berth/v1
project: fleet
platforms: [linux/amd64, linux/arm64]
components:
  web: {go: {}, repository: site/web}
  api: {go: {}}
  old: {go: {}, platforms: [linux/amd64]}
registries: {main: {prefix: localhost:5000/acme}}
tags: [{branch: "**", set: [latest]}]
environments: {dev: {registry: main, refs: {branches: ["**"]}}}
`)
	planned := func(components, platforms []string) (plan.Plan, error) {
		return plan.Make(c, onBranch("main"), one(), plan.Request{Components: components, Platforms: platforms})
	}
	p, err := planned(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, x := range p.Images {
		got = append(got, x.Component+" "+x.Repository+" "+strings.Join(x.Platforms, ","))
	}
	want := []string{
		"api localhost:5000/acme/api linux/amd64,linux/arm64",
		"old localhost:5000/acme/old linux/amd64",
		"web localhost:5000/acme/site/web linux/amd64,linux/arm64",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	// The order of the request and repetitions do not matter.
	if p, err = planned([]string{"web", "api", "web"}, []string{"linux/arm64"}); err != nil {
		t.Fatal(err)
	}
	if len(p.Images) != 2 || p.Images[0].Component != "api" || p.Images[1].Component != "web" ||
		!slices.Equal(p.Images[1].Platforms, []string{"linux/arm64"}) {
		t.Errorf("%+v", p.Images)
	}
	for name, c := range map[string]struct {
		components, platforms []string
		text, next            string
	}{
		"unknown component": {[]string{"web", "wob"}, nil, `--component wob: there is no component "wob"`, "known components: api, old, web"},
		"not built for it":  {[]string{"old"}, []string{"linux/arm64"}, "--platform linux/arm64: old is not built for it", "platforms of old: linux/amd64"},
		"no platform":       {nil, []string{"arm64"}, "--platform arm64: ", "linux/amd64"},
	} {
		_, err := planned(c.components, c.platforms)
		if fault.CodeOf(err) != fault.Usage || !strings.HasPrefix(err.Error(), c.text) || !strings.Contains(fault.NextOf(err), c.next) {
			t.Errorf("%s: %v\n%s", name, err, fault.NextOf(err))
		}
	}
}

func TestWhereThereIsNoPlan(t *testing.T) {
	t.Parallel()
	c := parse(t, `apiVersion: berth/v1
project: web
components: {web: {go: {}, base: "alpine@sha256:${DIGEST}"}}
registries: {main: {prefix: "${REGION}.example.com/acme"}, other: {prefix: ghcr.io/acme}}
tags: [{branch: main, set: ["v{version}-{branch}-{branch}-{branch}"]}, {tag: "v*", set: ["{branch}"]}]
environments:
  dev: {registry: main}
  prd: {registry: other}
`)
	cases := map[string]struct {
		facts facts.Facts
		env   string
		code  fault.Code
		text  string
		next  string
	}{
		"detached": {
			facts.Facts{Commit: hash},
			"prd", fault.Usage,
			"HEAD at 0123456: HEAD is detached: there is no branch or release tag to choose environment and tags by", "GIT_BRANCH=main",
		},
		"unknown environment":   {onBranch("main"), "stage", fault.Usage, `--env stage: there is no environment "stage"`, "known environments: dev, prd"},
		"nothing chosen":        {onBranch("main"), "", fault.Refused, "branch main: no environment's refs accept it", "--env dev|prd"},
		"no rule":               {onBranch("topic"), "prd", fault.Usage, "berth.yaml:8:3: no tag rule of environment prd matches branch topic", "add a tag rule"},
		"a pull request's rule": {onPull("7", "main"), "prd", fault.Usage, "berth.yaml:8:3: no tag rule of environment prd matches pull request 7", "add a tag rule"},
		"no branch on a tag":    {onTag("v1"), "prd", fault.Usage, "berth.yaml:5:90: ", "change the template"},
		"an unset base":         {onBranch("main"), "prd", fault.Usage, "berth.yaml:3:34: the environment variable DIGEST is not set", "export DIGEST="},
		"an unset registry":     {onBranch("main"), "dev", fault.Usage, "berth.yaml:4:29: the environment variable REGION is not set", "export REGION="},
	}
	for name, k := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := plan.Make(c, k.facts, one(), plan.Request{Environment: k.env})
			if fault.CodeOf(err) != k.code || !strings.HasPrefix(err.Error(), k.text) || !strings.Contains(fault.NextOf(err), k.next) {
				t.Errorf("code %d: %v\n%s", fault.CodeOf(err), err, fault.NextOf(err))
			}
		})
	}
}

func TestATagThatIsTooLong(t *testing.T) {
	t.Parallel()
	c := parse(t, `apiVersion: berth/v1
project: web
components: {web: {go: {}}}
registries: {main: {prefix: ghcr.io/acme}}
tags: [{branch: "**", set: ["{branch}-{branch}-{commit}"]}]
environments: {dev: {registry: main, refs: {branches: ["**"]}}}
`)
	_, err := plan.Make(c, onBranch(strings.Repeat("long", 16)), one(), plan.Request{})
	if fault.CodeOf(err) != fault.Usage || !strings.HasPrefix(err.Error(), "berth.yaml:5:29: ") ||
		!strings.Contains(err.Error(), "168 characters, at most 128") {
		t.Errorf("code %d: %v", fault.CodeOf(err), err)
	}
}

func TestAPlanIsDeterministic(t *testing.T) {
	t.Parallel()
	for _, f := range []facts.Facts{onBranch("main"), onBranch("feature/ä/1"), onTag("knative-lambda-v1.0.0"), onPull("7", "x")} {
		first, err := plan.Make(own(t), f, one(), plan.Request{})
		if err != nil {
			t.Fatal(err)
		}
		for range 20 {
			again, err := plan.Make(own(t), f, one(), plan.Request{})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(first, again); diff != "" {
				t.Fatal(diff)
			}
		}
	}
}

// Whatever a ref is called, its tags are tags, or there is a fault that says why not.
func FuzzRefs(f *testing.F) {
	for _, seed := range []string{"main", "feature/a", "", "HEAD", "ä", "-", "..", "a/../b", "1.10", "v1.0.0", "knative-lambda-v1.0.0", "A+B", "\x00", "feature/", strings.Repeat("x", 300)} {
		for kind := range uint8(3) {
			f.Add(seed, kind, false)
		}
	}
	ours, theirs := own(f), kubernaut(f)
	f.Fuzz(func(t *testing.T, name string, kind uint8, dirty bool) {
		found := facts.Facts{Commit: hash, CommitTime: noon()}
		switch kind % 3 {
		case 0:
			found.Branch = name
		case 1:
			found.Tag = name
		default:
			found.Branch, found.PullRequest = name, "7"
		}
		if dirty {
			found.Dirty = []string{"a"}
		}
		for _, c := range []*config.Config{ours, theirs} {
			p, err := plan.Make(c, found, one(), plan.Request{})
			if err != nil {
				if _, ok := errors.AsType[*fault.Error](err); !ok {
					t.Errorf("%T %v", err, err)
				}
				continue
			}
			if kind%3 == 2 && (p.Environment == "prd" || p.Environment == "production") {
				t.Errorf("a pull request chose %s", p.Environment)
			}
			for _, x := range p.Images {
				if len(x.Tags) == 0 {
					t.Errorf("%s has no tag", x.Component)
				}
				for _, tag := range x.Tags {
					if err := version.CheckTag(tag.Name); err != nil {
						t.Error(err)
					}
				}
			}
		}
	})
}

func BenchmarkMake(b *testing.B) {
	c, f, v := kubernaut(b), onBranch("develop"), one()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := plan.Make(c, f, v, plan.Request{Environment: "dev"}); err != nil {
			b.Fatal(err)
		}
	}
}
