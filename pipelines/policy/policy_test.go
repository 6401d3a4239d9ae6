package policy_test

import (
	"testing"

	"github.com/berth-sh/berth/pipelines/config"
	"github.com/berth-sh/berth/pipelines/dockerfile"
	"github.com/berth-sh/berth/pipelines/policy"
)

func configured(t *testing.T, rules string) *config.Config {
	t.Helper()
	c, err := config.Parse("/somewhere/berth.yaml", []byte(`apiVersion: berth/v1
project: p
components: {a: {go: {dir: .}}, b: {go: {dir: .}}}
registries: {r: {prefix: quay.io/x}}
tags: [{branch: "**", set: ["{sha}"]}]
environments: {e: {registry: r}}
policy:
`+rules), func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func base(t *testing.T, component, text string, line int) dockerfile.Base {
	t.Helper()
	b, err := dockerfile.NewBase(text)
	if err != nil {
		t.Fatal(err)
	}
	b.Component, b.File, b.Line, b.Instruction = component, "Dockerfile", line, "FROM"
	return b
}

const someDigest = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

func TestPatternsAllowRepositories(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pattern, image string
		allowed        bool
	}{
		{"registry.access.redhat.com", "registry.access.redhat.com/ubi9/ubi:9", true},
		{"registry.access.redhat.com", "registry.access.redhat.com.evil.org/ubi9/ubi:9", false},
		{"*.redhat.io", "registry.redhat.io/rhel9", true},
		{"localhost:5000", "localhost:5000/a/b", true},
		{"quay.io/jordigilh/*", "quay.io/jordigilh/base:1", true},
		{"quay.io/jordigilh/*", "quay.io/jordigilh/base/deep:1", false},
		{"quay.io/jordigilh/**", "quay.io/jordigilh/base/deep:1", true},
		{"quay.io/jordigilh/*", "quay.io/jordigilh-evil/base:1", false},
		{"golang", "golang:1.26", true},
		{"golang", "docker.io/library/golang:1.26", true},
		{"docker.io/library/*", "golang:1.26", true},
		{"docker.io", "golang:1.26", true},
		{"golang", "quay.io/x/golang:1.26", false},
		{"golang:1.26*", "golang:1.26.8", true},
		{"golang:1.26*", "golang:1.25", false},
		{"golang:1.26*", "golang", false},
		// The tag beside a digest names nothing, so that it allows nothing.
		{"golang:1.26*", "golang:1.26@" + someDigest, false},
		{"golang@" + someDigest, "golang:1.26@" + someDigest, true},
		{"**", "anything/at:all", true},
	} {
		got := policy.Check(configured(t, "  baseImages: ['"+c.pattern+"']\n"), []dockerfile.Base{base(t, "a", c.image, 1)})
		if (len(got) == 0) != c.allowed {
			t.Errorf("%s allows %s: %v", c.pattern, c.image, got)
		}
	}
}

func TestRefusalsNameThePlaceAndTheRule(t *testing.T) {
	t.Parallel()
	c := configured(t, "  baseImages: [quay.io/x/*, registry.redhat.io]\n  pinned: true\n")
	got := policy.Check(c, []dockerfile.Base{
		base(t, "a", "alpine:3", 2), base(t, "b", "alpine:3", 2), base(t, "b", "quay.io/x/y@"+someDigest, 7),
	})
	if len(got) != 2 {
		t.Fatalf("%d refusals: %v", len(got), got)
	}
	for i, want := range []string{
		"FROM alpine:3 is not allowed: policy.baseImages (berth.yaml:8:3) has quay.io/x/*, registry.redhat.io (component a, b)",
		"FROM alpine:3 has no digest: policy.pinned (berth.yaml:9:11) asks for one (component a, b)",
	} {
		if got[i].Subject != "Dockerfile:2" || got[i].Reason != want || got[i].Next == "" {
			t.Errorf("%+v\nwant %s", got[i], want)
		}
	}
	if got := policy.Check(configured(t, "  pinned: false\n"), []dockerfile.Base{base(t, "a", "alpine", 1)}); len(got) != 0 {
		t.Errorf("without rules: %v", got)
	}
}
