package dockerfile_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/berth-sh/berth/pipelines/dockerfile"
	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/image"
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

func read(t testing.TB, content string, in dockerfile.Inputs) ([]dockerfile.Base, error) {
	t.Helper()
	d, err := dockerfile.Parse("Dockerfile", []byte(content))
	if err != nil {
		return nil, err
	}
	if in.Platforms == nil {
		in.Platforms = platforms(t, "linux/amd64", "linux/arm64")
	}
	return d.Bases(in)
}

// places writes bases as "LINE INSTRUCTION IMAGE".
func places(bases []dockerfile.Base) []string {
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
		in      dockerfile.Inputs
		want    []string
	}{
		"one":            {"FROM alpine:3.20\n", dockerfile.Inputs{}, []string{"1 FROM alpine:3.20"}},
		"scratch":        {"FROM scratch\n", dockerfile.Inputs{}, []string{}},
		"lower-case key": {"from alpine\n", dockerfile.Inputs{}, []string{"1 FROM alpine"}},
		"defaults": {kubernaut, dockerfile.Inputs{}, []string{
			"3 FROM registry.access.redhat.com/ubi10/go-toolset:1.25", "6 FROM registry.access.redhat.com/ubi10/ubi-minimal:latest",
		}},
		"arguments": {kubernaut, dockerfile.Inputs{Args: map[string]string{"REGISTRY": "quay.io/x"}}, []string{
			"3 FROM quay.io/x/ubi10/go-toolset:1.25", "6 FROM quay.io/x/ubi10/ubi-minimal:latest",
		}},
		"target": {kubernaut, dockerfile.Inputs{Target: "Development"}, []string{
			"3 FROM registry.access.redhat.com/ubi10/go-toolset:1.25",
		}},
		"an argument that no ARG declares has no effect": {
			"ARG A=alpine\nFROM ${A}${B}\nARG B=x\n", dockerfile.Inputs{Args: map[string]string{"B": ":evil"}}, []string{"2 FROM alpine"},
		},
		"default of the expansion": {"FROM ${A:-alpine}\n", dockerfile.Inputs{}, []string{"1 FROM alpine"}},
		"an ARG from another":      {"ARG V=3\nARG I=alpine:$V\nFROM $I\n", dockerfile.Inputs{}, []string{"3 FROM alpine:3"}},
		"an ARG after FROM does not count": {
			"ARG V=3\nFROM alpine:$V AS a\nARG V=4\nFROM busybox:$V\nCOPY --from=a / /\n",
			dockerfile.Inputs{},
			[]string{"2 FROM alpine:3", "4 FROM busybox:3"},
		},
		"copied from an image": {
			"FROM scratch\nCOPY --from=golang:1.26 /a /a\nCOPY --from=0 /b /b\n", dockerfile.Inputs{}, []string{"2 COPY --from golang:1.26"},
		},
		"a stage by number": {
			"FROM alpine\nFROM scratch\nCOPY --from=0 /b /b\n", dockerfile.Inputs{}, []string{"1 FROM alpine"},
		},
		"a stage in capitals": {
			"FROM alpine AS Base\nFROM scratch\nCOPY --from=BASE /b /b\n", dockerfile.Inputs{}, []string{"1 FROM alpine"},
		},
		"a stage is known below it only": {
			"FROM later\nFROM alpine AS later\n", dockerfile.Inputs{Target: ""}, []string{"2 FROM alpine"},
		},
		"the name of a later stage is an image in FROM": {
			"FROM later AS a\nFROM alpine AS later\nFROM a\n", dockerfile.Inputs{}, []string{"1 FROM later"},
		},
		"mounted": {
			"FROM scratch\nRUN --mount=type=cache,target=/c \\\n  --mount=type=bind,from=busybox,target=/b \\\n  x\n",
			dockerfile.Inputs{},
			[]string{"2 RUN --mount busybox"},
		},
		"on build": {
			"FROM scratch AS a\nONBUILD COPY --from=evil /x /x\nFROM a\n", dockerfile.Inputs{}, []string{"2 COPY --from evil"},
		},
		"by the platform": {
			"FROM base-amd64 AS amd64\nFROM base-arm64 AS arm64\nFROM ${TARGETARCH}\n",
			dockerfile.Inputs{},
			[]string{"1 FROM base-amd64", "2 FROM base-arm64"},
		},
		"by one platform": {
			"FROM base-amd64 AS amd64\nFROM base-arm64 AS arm64\nFROM ${TARGETARCH}\n",
			dockerfile.Inputs{Platforms: platforms(t, "linux/arm64/v8")},
			[]string{"2 FROM base-arm64"},
		},
		"by whatever platform builds": {
			"FROM tool-$BUILDARCH\n",
			dockerfile.Inputs{Platforms: platforms(t, "linux/amd64")},
			[]string{"1 FROM tool-amd64", "1 FROM tool-arm64"},
		},
		"another escape": {"# escape=`\nFROM `\n  alpine\n", dockerfile.Inputs{}, []string{"2 FROM alpine"}},
		"crlf":           {"FROM alpine:1\r\nRUN x\r\n", dockerfile.Inputs{}, []string{"1 FROM alpine:1"}},
		"heredoc":        {"FROM alpine\nRUN <<EOF\nFROM evil\nEOF\n", dockerfile.Inputs{}, []string{"1 FROM alpine"}},
		"a comment":      {"# FROM evil\nFROM alpine\n# COPY --from=evil\n", dockerfile.Inputs{}, []string{"2 FROM alpine"}},
		"the frontend is the builder's": {
			"# syntax=evil/frontend:1\nFROM alpine\n", dockerfile.Inputs{}, []string{"2 FROM alpine"},
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
		in            dockerfile.Inputs
		subject, said string
		next          string
	}{
		"empty":        {"", dockerfile.Inputs{}, "Dockerfile", "", ""},
		"no stage":     {"ARG A\n", dockerfile.Inputs{}, "Dockerfile", "no FROM", ""},
		"instruction":  {"FROM a\n\nRAN x\n", dockerfile.Inputs{}, "Dockerfile:3", "RAN", ""},
		"before FROM":  {"ARG A\nRUN x\nFROM a\n", dockerfile.Inputs{}, "Dockerfile:2", "only ARG", ""},
		"heredoc":      {"FROM a\nRUN <<EOF\nx\n", dockerfile.Inputs{}, "Dockerfile:2", "heredoc", ""},
		"blank":        {"ARG A\nFROM $A$B\n", dockerfile.Inputs{}, "Dockerfile:2", "FROM $A$B names no image", "give A, B a value: ARG A=…"},
		"substitution": {"FROM ${A\n", dockerfile.Inputs{}, "Dockerfile:1", "", ""},
		"reference":    {"FROM a\nFROM Not/AnImage\n", dockerfile.Inputs{}, "Dockerfile:2", "FROM Not/AnImage names no image", "write REGISTRY"},
		"target":       {"FROM a AS x\nFROM b AS y\n", dockerfile.Inputs{Target: "z"}, "Dockerfile", `no stage "z"`, "known stages: x, y"},
		"mount":        {"FROM a\nRUN --mount=type=bind,from=$A x\n", dockerfile.Inputs{}, "Dockerfile:2", "variable expansion", ""},
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

func TestWhatAnImageStandsOn(t *testing.T) {
	t.Parallel()
	for content, want := range map[string]string{
		"FROM alpine:3 AS a\nFROM golang AS b\nFROM a\n":                    "docker.io/library/alpine 3 ",
		"ARG R=quay.io/x\nFROM $R/base@" + oldDigest + "\n":                 "quay.io/x/base  " + oldDigest,
		"FROM base-$TARGETARCH\n":                                           "docker.io/library/base-arm64  ",
		"FROM base-$BUILDARCH\n":                                            "  ",
		"FROM --platform=$BUILDPLATFORM alpine AS a\nFROM scratch\n":        "  ",
		"FROM base-$BUILDARCH AS tool\nFROM alpine\nCOPY --from=tool / /\n": "docker.io/library/alpine  ",
	} {
		d, err := dockerfile.Parse("Dockerfile", []byte(content))
		if err != nil {
			t.Fatal(err)
		}
		got, err := d.StandsOn(dockerfile.Inputs{}, platforms(t, "linux/arm64")[0])
		if err != nil || got.Repository+" "+got.Tag+" "+got.Digest != want {
			t.Errorf("%q: %+v, %v; want %q", content, got, err, want)
		}
	}
}

func TestLineageIsWhatTheImageStandsOn(t *testing.T) {
	t.Parallel()
	const content = `ARG OS=alpine:3
ARG GLOBAL
FROM golang AS build
ARG UNUSED
FROM ${OS} AS base
ARG VERSION OTHER=1
ENV OTHER=$OTHER
FROM base AS app
ARG VERSION TARGETARCH
COPY --from=build /x /x
FROM scratch AS tiny
ARG COMMIT
`
	for target, want := range map[string]dockerfile.Lineage{
		"app":  {Image: "busybox", Arguments: []string{"VERSION", "TARGETARCH"}},
		"base": {Image: "busybox", Arguments: []string{"VERSION"}},
		"":     {Arguments: []string{"COMMIT"}},
	} {
		d, err := dockerfile.Parse("Dockerfile", []byte(content))
		if err != nil {
			t.Fatal(err)
		}
		on := platforms(t, "linux/amd64", "linux/arm64")
		got, err := d.Lineage(dockerfile.Inputs{Target: target, Args: map[string]string{"OS": "busybox"}}, on[0], on[1])
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q: -want +got:\n%s", target, diff)
		}
	}
}
