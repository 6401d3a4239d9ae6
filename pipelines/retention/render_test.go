package retention

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/berth-sh/berth/pipelines/config"
	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/registry"
)

var update = flag.Bool("update", false, "write the golden files")

// mixed has rules of every kind.
func mixed(t testing.TB) *config.Config {
	t.Helper()
	return parse(t, `apiVersion: berth/v1
project: p
components: {web: {go: {}}}
registries: {r: {prefix: ghcr.io/acme}}
tags:
  - {tag: "v*", set: ["v{version}", "v{major}.{minor}", latest]}
  - {branch: main, set: ["v{version}-beta.{timestamp}", edge]}
  - {branch: "**", set: ["dev-{sha}"]}
environments:
  dev:
    registry: r
    retention:
      - {match: "keep-*", keep: forever}
      - {match: "staging-*", keep: 90d}
      - {match: "nightly-[0-9]*", keep: 7d}
      - {match: "v*-beta.*", keep: 14d}
      - {match: "dev-*", keep: 30d}
  prd: {registry: r, immutable: ["v*.*.*"]}
`)
}

func TestRender(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]*config.Config{"kubernaut": kubernaut(t), "mixed": mixed(t)} {
		for _, kind := range []registry.Kind{registry.ECR, registry.Quay, registry.GCR} {
			t.Run(name+"/"+string(kind), func(t *testing.T) {
				t.Parallel()
				out, err := Render(PolicyOf(c, "dev"), kind)
				if err != nil {
					t.Fatal(err)
				}
				got, err := json.MarshalIndent(out, "", "  ")
				if err != nil {
					t.Fatal(err)
				}
				file := filepath.Join("testdata", name+"-"+string(kind)+".json")
				if *update {
					if err := os.WriteFile(file, append(got, '\n'), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(string(want), string(got)+"\n"); diff != "" {
					t.Errorf("go test ./pipelines/retention -update writes it anew\n%s", diff)
				}
			})
		}
	}
}

func TestRenderWhereThereIsNoPolicy(t *testing.T) {
	t.Parallel()
	for _, kind := range []registry.Kind{registry.GHCR, registry.OCI, registry.Harbor} {
		_, err := Render(PolicyOf(kubernaut(t), "dev"), kind)
		if fault.CodeOf(err) != fault.Usage || !strings.Contains(fault.NextOf(err), "berth retention apply --env dev") {
			t.Errorf("%s: %v, next %q", kind, err, fault.NextOf(err))
		}
	}
}

// samples are tags of every kind.
func samples() []string {
	out := []string{
		"latest", "dev-latest", "v1", "v1.0", "v1.0.0", "1.0.0", "v1.0.0-rc.1", "v1.0.0-beta.20260102030405", "edge",
		"test-x", "staging-latest", "staging-v1.0.0-rc1", "keep-me", "nightly-20260102", "nightly-x", "somebodys",
	}
	for i := range 20 {
		out = append(out, fmt.Sprintf("dev-%07x", i), fmt.Sprintf("feature-%d", i))
	}
	return out
}

// Whatever a rendered policy deletes, the rules would have deleted, too, by then: judged tag by tag, for each day.
func TestRenderedPoliciesDeleteNothingElse(t *testing.T) {
	t.Parallel()
	lookahead := regexp.MustCompile(`^\^\(\?!\((?:\?:)?(.*)\)\$\)(.*)\$$`)
	quay := func(policy any, tag string, days int) bool {
		for _, p := range policy.([]quayPolicy) {
			var limit int
			if _, err := fmt.Sscanf(p.Value, "%dd", &limit); err != nil {
				t.Fatal(err)
			}
			var matches bool
			if m := lookahead.FindStringSubmatch(p.TagPattern); m != nil { // Go's regexp has no lookahead
				matches = regexp.MustCompile("^(?:"+m[2]+")$").MatchString(tag) && !regexp.MustCompile("^(?:"+m[1]+")$").MatchString(tag)
			} else {
				matches = regexp.MustCompile(p.TagPattern).MatchString(tag)
			}
			if matches == p.TagPatternMatches && days >= limit {
				return true
			}
		}
		return false
	}
	ecr := func(policy any, tag string, days int) bool {
		for _, r := range policy.(ecrPolicy).Rules {
			if config.Match(r.Selection.Patterns[0], tag) {
				return days >= r.Selection.Count
			}
		}
		return false
	}
	google := func(policy any, tag string, days int) bool {
		hit := func(c googleCondition) bool {
			ok := len(c.TagPrefixes) == 0
			for _, p := range c.TagPrefixes {
				ok = ok || strings.HasPrefix(tag, p)
			}
			limit := 0
			if text := c.OlderThan + c.NewerThan; text != "" {
				if _, err := fmt.Sscanf(text, "%dd", &limit); err != nil {
					t.Fatal(err)
				}
			}
			return ok && (c.OlderThan == "" || days >= limit) && (c.NewerThan == "" || days < limit)
		}
		deletes := false
		for _, p := range policy.([]googlePolicy) {
			if hit(p.Condition) {
				if p.Action.Type == "Keep" {
					return false
				}
				deletes = true
			}
		}
		return deletes
	}
	for name, c := range map[string]*config.Config{"kubernaut": kubernaut(t), "mixed": mixed(t)} {
		for kind, deletes := range map[registry.Kind]func(any, string, int) bool{
			registry.Quay: quay, registry.ECR: ecr, registry.GCR: google,
		} {
			p := PolicyOf(c, "dev")
			out, err := Render(p, kind)
			if err != nil {
				t.Fatal(err)
			}
			hits := 0
			for _, tag := range samples() {
				for _, days := range []int{0, 6, 7, 13, 14, 29, 30, 89, 90, 4000} {
					if !deletes(out.Policy, tag, days) {
						continue
					}
					hits++
					plan := Decide(Repository{Tags: []Tag{ago(tag, float64(days))}}, p, InUse{}, now())
					if plan.Tags[0].Action != Expire {
						t.Errorf("%s, %s deletes %s after %d days: %s", name, kind, tag, days, plan.Tags[0].Reason)
					}
				}
			}
			if hits == 0 {
				t.Errorf("%s, %s deletes nothing at all", name, kind)
			}
		}
	}
}
