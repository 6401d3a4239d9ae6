package policy_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/berth-sh/berth/pipelines/config"
	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/image"
	"github.com/berth-sh/berth/pipelines/policy"
)

func platforms(t testing.TB, names ...string) []ocispec.Platform {
	t.Helper()
	var out []ocispec.Platform
	for _, name := range names {
		p, err := image.ParsePlatform(name)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, p)
	}
	return out
}

func read(t testing.TB, content string, in policy.Inputs) ([]policy.Base, error) {
	t.Helper()
	d, err := policy.Parse("Dockerfile", []byte(content))
	if err != nil {
		return nil, err
	}
	if in.Platforms == nil {
		in.Platforms = platforms(t, "linux/amd64", "linux/arm64")
	}
	return d.Bases(in)
}

// places writes bases as "LINE INSTRUCTION IMAGE".
func places(bases []policy.Base) []string {
	out := []string{}
	for _, b := range bases {
		out = append(out, fmt.Sprintf("%d %s %s", b.Line, b.Instruction, b.Image))
	}
	return out
}

const kubernaut = `ARG GO_VERSION=1.25
ARG REGISTRY=registry.access.redhat.com
FROM --platform=$BUILDPLATFORM ${REGISTRY}/ubi10/go-toolset:${GO_VERSION} AS builder
RUN go build
FROM builder AS development
FROM ${REGISTRY}/ubi10/ubi-minimal:latest AS production
COPY --from=builder /bin/x /x
`

func TestBasesAreThoseThatTheBuildTakes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		content string
		in      policy.Inputs
		want    []string
	}{
		"one":            {"FROM alpine:3.20\n", policy.Inputs{}, []string{"1 FROM alpine:3.20"}},
		"scratch":        {"FROM scratch\n", policy.Inputs{}, []string{}},
		"lower-case key": {"from alpine\n", policy.Inputs{}, []string{"1 FROM alpine"}},
		"defaults": {kubernaut, policy.Inputs{}, []string{
			"3 FROM registry.access.redhat.com/ubi10/go-toolset:1.25", "6 FROM registry.access.redhat.com/ubi10/ubi-minimal:latest",
		}},
		"arguments": {kubernaut, policy.Inputs{Args: map[string]string{"REGISTRY": "quay.io/x"}}, []string{
			"3 FROM quay.io/x/ubi10/go-toolset:1.25", "6 FROM quay.io/x/ubi10/ubi-minimal:latest",
		}},
		"target": {kubernaut, policy.Inputs{Target: "Development"}, []string{
			"3 FROM registry.access.redhat.com/ubi10/go-toolset:1.25",
		}},
		"an argument that no ARG declares has no effect": {
			"ARG A=alpine\nFROM ${A}${B}\nARG B=x\n", policy.Inputs{Args: map[string]string{"B": ":evil"}}, []string{"2 FROM alpine"},
		},
		"default of the expansion": {"FROM ${A:-alpine}\n", policy.Inputs{}, []string{"1 FROM alpine"}},
		"an ARG from another":      {"ARG V=3\nARG I=alpine:$V\nFROM $I\n", policy.Inputs{}, []string{"3 FROM alpine:3"}},
		"an ARG after FROM does not count": {
			"ARG V=3\nFROM alpine:$V AS a\nARG V=4\nFROM busybox:$V\nCOPY --from=a / /\n",
			policy.Inputs{},
			[]string{"2 FROM alpine:3", "4 FROM busybox:3"},
		},
		"copied from an image": {
			"FROM scratch\nCOPY --from=golang:1.26 /a /a\nCOPY --from=0 /b /b\n", policy.Inputs{}, []string{"2 COPY --from golang:1.26"},
		},
		"a stage by number": {
			"FROM alpine\nFROM scratch\nCOPY --from=0 /b /b\n", policy.Inputs{}, []string{"1 FROM alpine"},
		},
		"a stage in capitals": {
			"FROM alpine AS Base\nFROM scratch\nCOPY --from=BASE /b /b\n", policy.Inputs{}, []string{"1 FROM alpine"},
		},
		"a stage is known below it only": {
			"FROM later\nFROM alpine AS later\n", policy.Inputs{Target: ""}, []string{"2 FROM alpine"},
		},
		"the name of a later stage is an image in FROM": {
			"FROM later AS a\nFROM alpine AS later\nFROM a\n", policy.Inputs{}, []string{"1 FROM later"},
		},
		"mounted": {
			"FROM scratch\nRUN --mount=type=cache,target=/c \\\n  --mount=type=bind,from=busybox,target=/b \\\n  x\n",
			policy.Inputs{},
			[]string{"2 RUN --mount busybox"},
		},
		"on build": {
			"FROM scratch AS a\nONBUILD COPY --from=evil /x /x\nFROM a\n", policy.Inputs{}, []string{"2 COPY --from evil"},
		},
		"by the platform": {
			"FROM base-amd64 AS amd64\nFROM base-arm64 AS arm64\nFROM ${TARGETARCH}\n",
			policy.Inputs{},
			[]string{"1 FROM base-amd64", "2 FROM base-arm64"},
		},
		"by one platform": {
			"FROM base-amd64 AS amd64\nFROM base-arm64 AS arm64\nFROM ${TARGETARCH}\n",
			policy.Inputs{Platforms: platforms(t, "linux/arm64/v8")},
			[]string{"2 FROM base-arm64"},
		},
		"by whatever platform builds": {
			"FROM tool-$BUILDARCH\n",
			policy.Inputs{Platforms: platforms(t, "linux/amd64")},
			[]string{"1 FROM tool-amd64", "1 FROM tool-arm64"},
		},
		"another escape": {"# escape=`\nFROM `\n  alpine\n", policy.Inputs{}, []string{"2 FROM alpine"}},
		"crlf":           {"FROM alpine:1\r\nRUN x\r\n", policy.Inputs{}, []string{"1 FROM alpine:1"}},
		"heredoc":        {"FROM alpine\nRUN <<EOF\nFROM evil\nEOF\n", policy.Inputs{}, []string{"1 FROM alpine"}},
		"a comment":      {"# FROM evil\nFROM alpine\n# COPY --from=evil\n", policy.Inputs{}, []string{"2 FROM alpine"}},
		"the frontend is the builder's": {
			"# syntax=evil/frontend:1\nFROM alpine\n", policy.Inputs{}, []string{"2 FROM alpine"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bases, err := read(t, c.content, c.in)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, places(bases)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestMistakesNameTheLine(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		content       string
		in            policy.Inputs
		subject, said string
		next          string
	}{
		"empty":        {"", policy.Inputs{}, "Dockerfile", "", ""},
		"no stage":     {"ARG A\n", policy.Inputs{}, "Dockerfile", "no FROM", ""},
		"instruction":  {"FROM a\n\nRAN x\n", policy.Inputs{}, "Dockerfile:3", "RAN", ""},
		"before FROM":  {"ARG A\nRUN x\nFROM a\n", policy.Inputs{}, "Dockerfile:2", "only ARG", ""},
		"heredoc":      {"FROM a\nRUN <<EOF\nx\n", policy.Inputs{}, "Dockerfile:2", "heredoc", ""},
		"blank":        {"ARG A\nFROM $A$B\n", policy.Inputs{}, "Dockerfile:2", "FROM $A$B names no image", "give A, B a value: ARG A=…"},
		"substitution": {"FROM ${A\n", policy.Inputs{}, "Dockerfile:1", "", ""},
		"reference":    {"FROM a\nFROM Not/AnImage\n", policy.Inputs{}, "Dockerfile:2", "FROM Not/AnImage names no image", "write REGISTRY"},
		"target":       {"FROM a AS x\nFROM b AS y\n", policy.Inputs{Target: "z"}, "Dockerfile", `no stage "z"`, "known stages: x, y"},
		"mount":        {"FROM a\nRUN --mount=type=bind,from=$A x\n", policy.Inputs{}, "Dockerfile:2", "variable expansion", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := read(t, c.content, c.in)
			if err == nil {
				t.Fatal("no error")
			}
			if fault.CodeOf(err) != fault.Usage || !strings.HasPrefix(err.Error(), c.subject+": ") ||
				!strings.Contains(err.Error(), c.said) || !strings.Contains(fault.NextOf(err), c.next) {
				t.Errorf("code %d: %v\nnext %q", fault.CodeOf(err), err, fault.NextOf(err))
			}
		})
	}
}

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

func base(t *testing.T, component, text string, line int) policy.Base {
	t.Helper()
	b, err := policy.NewBase(text)
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
		got := policy.Check(configured(t, "  baseImages: ['"+c.pattern+"']\n"), []policy.Base{base(t, "a", c.image, 1)})
		if (len(got) == 0) != c.allowed {
			t.Errorf("%s allows %s: %v", c.pattern, c.image, got)
		}
	}
}

func TestRefusalsNameThePlaceAndTheRule(t *testing.T) {
	t.Parallel()
	c := configured(t, "  baseImages: [quay.io/x/*, registry.redhat.io]\n  pinned: true\n")
	got := policy.Check(c, []policy.Base{
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
	if got := policy.Check(configured(t, "  pinned: false\n"), []policy.Base{base(t, "a", "alpine", 1)}); len(got) != 0 {
		t.Errorf("without rules: %v", got)
	}
}
