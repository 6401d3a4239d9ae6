package plan_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/berth-sh/berth/pipelines/config"
	"github.com/berth-sh/berth/pipelines/plan"
	"github.com/berth-sh/berth/pipelines/registry"
)

const account = "339954290315.dkr.ecr.us-west-2.amazonaws.com"

// onECR is a configuration whose environments publish to repositories of ECR that are created.
func onECR(t *testing.T, environments ...string) *config.Config {
	t.Helper()
	return parse(t, fmt.Sprintf(`apiVersion: berth/v1
project: web
components: {web: {go: {}}}
registries:
  ecr: {prefix: %[1]s/app, createRepositories: true, repositoryTags: {team: web}}
  other: {prefix: %[1]s/other, createRepositories: true}
  plain: {prefix: %[1]s/plain}
  public: {prefix: public.ecr.aws/app, createRepositories: true}
  ghcr: {prefix: ghcr.io/app, createRepositories: true}
environments:
  %[2]s
`, account, strings.Join(environments, "\n  ")))
}

// The settings promise what the environments do, and let through what they move: everything that berth may push must be
// possible, for every template, and as much of the rest refused as ECR can express.
func TestRepositoriesAreCreatedToFitTheirTags(t *testing.T) {
	t.Parallel()
	const strict = `, immutable: ["v*.*.*"]`
	for name, c := range map[string]struct {
		environments []string
		mutability   registry.Mutability
		exclusions   []string
		reason       string
	}{
		"latest": {
			[]string{`prd: {registry: ecr, tags: [{branch: "**", set: ["v{version}", latest, "{sha}"]}]` + strict + `}`},
			registry.ImmutableExcept,
			[]string{"latest"},
			"",
		},
		"uncommitted work is put again": {
			[]string{`dev: {registry: ecr, tags: [{branch: "**", set: ["v{version}", latest]}]}`},
			registry.ImmutableExcept,
			[]string{"*-dirty*", "latest"},
			"",
		},
		"branches": {
			[]string{`dev: {registry: ecr, tags: [{branch: "feature/**", set: ["dev-{sha}", "feature-{branch}"]}]` + strict + `}`},
			registry.ImmutableExcept,
			[]string{"feature-*"},
			"",
		},
		"nothing floats": {
			[]string{`prd: {registry: ecr, tags: [{branch: "**", set: ["v{version}"]}]` + strict + `}`},
			registry.Immutable,
			[]string{},
			"",
		},
		"two environments share the repositories": {
			[]string{
				`dev: {registry: ecr, tags: [{branch: "**", set: ["dev-{sha}", dev-latest]}]` + strict + `}`,
				`prd: {registry: ecr, promote: {from: dev, set: ["v{version}", latest]}` + strict + `}`,
				`far: {registry: other, tags: [{branch: "**", set: ["x-{branch}"]}]}`,
			},
			registry.ImmutableExcept,
			[]string{"dev-latest", "latest"},
			"",
		},
		"a ladder": {
			[]string{`prd: {registry: ecr, tags: [{branch: "**", set: ["v{version}", "v{major}.{minor}", "v{major}"]}]` + strict + `}`},
			registry.Mutable,
			[]string{},
			"cannot tell floating tags (v*) from version tags (v1.2.3)",
		},
		"promised never to move": {
			[]string{`prd: {registry: ecr, tags: [{branch: "**", set: ["v{version}", stable, latest]}], immutable: [stable]}`},
			registry.ImmutableExcept,
			[]string{"latest"},
			"",
		},
		"too many": {
			[]string{`prd: {registry: ecr, tags: [{branch: "**", set: [a, b, c, d, e, f]}]` + strict + `}`},
			registry.Mutable,
			[]string{},
			"takes 5 wildcards at most, and floating tags need 6",
		},
		"too many stars": {
			[]string{`prd: {registry: ecr, tags: [{branch: "**", set: ["x{major}-{minor}-{branch}"]}]` + strict + `}`},
			registry.Mutable,
			[]string{},
			"2 stars in a wildcard at most, and floating tags need x*-*-*",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := plan.Repositories(onECR(t, c.environments...), "ecr")
			if got == nil || got.Mutability != c.mutability || !cmp.Equal(got.Exclusions, c.exclusions) ||
				!strings.Contains(got.Reason, c.reason) || got.Tags["team"] != "web" || !got.ScanOnPush {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestOnlyWhatIsAskedForIsCreated(t *testing.T) {
	t.Parallel()
	c := onECR(t, `dev: {registry: ecr, tags: [{branch: "**", set: [latest]}]}`)
	for name, want := range map[string]bool{"ecr": true, "other": true, "plain": false, "public": false, "ghcr": false} {
		if got := plan.Repositories(c, name); (got != nil) != want {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
