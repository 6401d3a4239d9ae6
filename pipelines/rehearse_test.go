package pipelines_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/berth-sh/berth/pipelines"
	"github.com/berth-sh/berth/pipelines/fault"
)

// A rehearsal builds for real and publishes to every environment, in registries that begin empty.
func TestRehearse(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	p.replace("registries: {main: {prefix: registry.example.com/acme}}",
		"registries:\n  main: {prefix: quay.io/acme, writers: [robot]}\n  unset: {prefix: \"${NOWHERE}/acme\"}")
	p.replace("  dev:", "  spare: {registry: unset}\n  dev:")
	p.git("switch", "--quiet", "--create", "topic")
	head := p.git("rev-parse", "HEAD")
	got, err := p.open().Rehearse(t.Context(), pipelines.BuildRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Environments) != 3 {
		t.Fatalf("%+v", got)
	}
	if reason := got.Environments[2].Reason; !strings.Contains(reason, "NOWHERE is not set") {
		t.Errorf("skipped for %q", reason)
	}
	got.Environments[2].Reason = ""
	want := pipelines.Rehearsal{Commit: head, Version: "1.0.0", Environments: []pipelines.Rehearsed{
		{
			Environment: "dev", Registry: "main", Outcome: pipelines.OutcomePublished, Images: 1,
			Reason: "all images and tags; the second publish sent nothing", Tags: []string{"v1.0.0-dev." + head[:7]},
		},
		{
			Environment: "prd", Registry: "main", Outcome: pipelines.OutcomeRefused, Tags: []string{},
			Reason: "environment prd: it does not accept branch topic; it accepts branches main and git tags v*",
		},
		{Environment: "spare", Registry: "unset", Outcome: pipelines.OutcomeSkipped, Tags: []string{}},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	var text strings.Builder
	if err := got.Text(&text); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"rehearsal of 1.0.0, commit " + head[:12] + "\n", "published", "refused", "skipped"} {
		if !strings.Contains(text.String(), part) {
			t.Errorf("%q is not in\n%s", part, text.String())
		}
	}
	if left := p.git("status", "--porcelain", "--ignored"); left != "" {
		t.Errorf("left behind: %s", left)
	}
	// What cannot be built is no rehearsal.
	p.write("src/main.go", "package main\n\nfunc main() { undefined() }\n")
	p.commit("feat: break it")
	if _, err := p.open().Rehearse(t.Context(), pipelines.BuildRequest{}); fault.CodeOf(err) == fault.Done ||
		!strings.Contains(err.Error(), "undefined") {
		t.Errorf("a broken build: %v", err)
	}
}

func TestCheckFindsTiesAndMissingFolders(t *testing.T) {
	t.Parallel()
	const dev = `dev: {registry: main, refs: {branches: ["**"]}}`
	for what, c := range map[string]struct {
		old, by    string
		text, next string
	}{
		"the same branches": {
			dev, dev + "\n  edge: {registry: main, refs: {branches: [next, \"**\"]}}",
			"environments dev and edge both accept branches **", "more specific",
		},
		"the same git tags": {
			dev, dev + "\n  edge: {registry: main, refs: {tags: [\"v*\"]}}",
			"environments edge and prd both accept git tags v*", "more specific",
		},
		"pull requests": {
			dev, "dev: {registry: main, refs: {pullRequests: true}}\n  edge: {registry: main, refs: {pullRequests: true}}",
			"environments dev and edge both accept pull requests", "more specific",
		},
		"a missing folder": {"{dir: src}", "{dir: source}", `there is no folder "source"`, "relative to berth.yaml"},
		"a file as folder": {"{dir: src}", "{dir: VERSION}", `there is no folder "VERSION"`, "relative to berth.yaml"},
		"a missing context": {
			"{web: {go: {dir: src}}}", "{web: {dockerfile: {context: docker}}}", "there is no build context", "berth.yaml",
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			p := newProject(t)
			p.replace(c.old, c.by)
			_, err := p.open().Check()
			failed(t, err, fault.Usage, c.text, c.next)
			if !strings.HasPrefix(err.Error(), p.dir+"/berth.yaml:") {
				t.Errorf("%v does not say where", err)
			}
		})
	}
	// A branch and a git tag of one name are no tie, nor are globs that only overlap.
	p := newProject(t)
	p.replace(dev, dev+"\n  edge: {registry: main, refs: {branches: [\"v*\", \"rel*\"], tags: [\"**\"], pullRequests: true}}")
	if _, err := p.open().Check(); err != nil {
		t.Errorf("no tie: %v", err)
	}
}
