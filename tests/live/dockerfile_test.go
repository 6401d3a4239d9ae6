package live

import (
	"archive/tar"
	"compress/gzip"
	"crypto/md5"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

const kitchenYAML = `apiVersion: berth/v1
project: shop
version: {file: VERSION}
platforms: [linux/amd64, linux/arm64]
components:
  kitchen:
    dockerfile: {context: kitchen, file: docker/kitchen.Dockerfile, target: app, args: {COOK: ada}, secrets: [{id: spice, env: SPICE}]}
    labels: {team: kitchen}
registries:
  hub: {kind: oci, prefix: hub.example.com/shop}
environments:
  dev: {registry: hub}
tags:
  - {branch: "**", set: ["v{version}", latest]}
`

const kitchenDockerfile = `# syntax=docker/dockerfile:1
ARG TOOLS=golang:1.26.8
FROM --platform=$BUILDPLATFORM ${TOOLS} AS build
ARG TARGETPLATFORM
ARG COOK=nobody
WORKDIR /work
COPY . .
RUN --mount=type=secret,id=spice test "$(md5sum < /run/secrets/spice)" = "SPICE  -"
RUN ls -A > /work/seen && echo "$COOK cooks $VERSION for $TARGETPLATFORM on $(uname -m)" > /work/menu
FROM scratch AS app
ARG VERSION
ARG COOK
ENV DISH=$VERSION
COPY --from=build /work /work
ENTRYPOINT ["/work/menu"]
FROM build AS broken
RUN echo "the oven is cold" && exit 7
`

// newKitchen is a shop whose component is built from a Dockerfile.
func newKitchen(t *testing.T) shop {
	t.Helper()
	s := newShop(t)
	s.write("svc/berth.yaml", kitchenYAML)
	sum := fmt.Sprintf("%x", md5.Sum([]byte(spice)))
	s.write("svc/docker/kitchen.Dockerfile", strings.Replace(kitchenDockerfile, "SPICE", sum, 1))
	s.write("svc/kitchen/.dockerignore", "waste\n")
	s.write("svc/kitchen/waste", "peel")
	s.write("svc/kitchen/salt", "salt")
	s.commit("feat: a kitchen")
	return s
}

const spice = "saffron"

// A Dockerfile gives the same image through the module and through the command line; the second publish sends nothing.
func TestDockerfileComponent(t *testing.T) {
	t.Parallel()
	s, h := newKitchen(t), newHub(t, nil)
	program, err := berth()
	if err != nil {
		t.Fatal(err)
	}
	env := []string{"SPICE=" + spice}
	layout := filepath.Join(t.TempDir(), "layout")
	line := []string{"--silent", "run", program, "build", "--builder", "dagger", "--output", layout, "--format", "json"}
	want := digests(decode[[]built](t, run(t, s.project(), env, "dagger", line...).ok(t)))
	publish := func() receipt {
		t.Helper()
		args := []string{h.service, "--build-secrets", "env:SPICE", "publish", "--env", "dev", "--format", "json"}
		r := callWith(t, s.project(), env, args...)
		if strings.Contains(r.stdout+r.stderr, spice) {
			t.Error("the secret was printed")
		}
		return decode[receipt](t, r.ok(t))
	}
	first := publish()
	if diff := cmp.Diff(want, digests(first.Images)); diff != "" {
		t.Errorf("the command line, then the module:\n%s", diff)
	}
	if up := first.Images[0].Uploaded; up.Manifests != 3 {
		t.Errorf("first: %+v", up)
	}
	if up := publish().Images[0].Uploaded; up.Manifests != 0 || up.Blobs != 0 {
		t.Errorf("second: %+v", up)
	}
	for _, arch := range []string{"amd64", "arm64"} {
		checkKitchen(t, s, layout, arch)
	}
}

// checkKitchen looks at what is in the image.
func checkKitchen(t *testing.T, s shop, layout, arch string) {
	t.Helper()
	config, files := unpack(t, layout, arch)
	if config.OS != "linux" || config.Architecture != arch {
		t.Errorf("it is for %s/%s, want %s", config.OS, config.Architecture, arch)
	}
	for label, want := range map[string]string{
		"team": "kitchen", ocispec.AnnotationTitle: "kitchen", ocispec.AnnotationVersion: "0.1.0",
		ocispec.AnnotationRevision: strings.TrimSpace(s.git("rev-parse", "HEAD")),
	} {
		if config.Config.Labels[label] != want {
			t.Errorf("%s: label %s is %q, want %q", arch, label, config.Config.Labels[label], want)
		}
	}
	// ENV stays, what ARG gave to the build does not.
	for _, v := range config.Config.Env {
		if name, value, _ := strings.Cut(v, "="); name != "PATH" && v != "DISH=0.1.0" {
			t.Errorf("%s: variable %s=%s", arch, name, value)
		}
	}
	if menu := files["work/menu"]; !strings.HasPrefix(menu, "ada cooks  for linux/"+arch+" on ") {
		t.Errorf("%s: %q", arch, menu)
	}
	if seen := files["work/seen"]; seen != ".dockerignore\nsalt\nseen\n" {
		t.Errorf("%s: the build saw %q", arch, seen)
	}
	for name, content := range files {
		if strings.Contains(content, spice) {
			t.Errorf("%s: the secret is in %s", arch, name)
		}
	}
}

// unpack reads the configuration of a platform, and the files of its layers. No file may be later than the image.
func unpack(t *testing.T, layout, arch string) (ocispec.Image, map[string]string) {
	t.Helper()
	open := func(d digest.Digest) *os.File {
		t.Helper()
		f, err := os.Open(filepath.Join(layout, "blobs", "sha256", d.Encoded()))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = f.Close() })
		return f
	}
	blob := func(d digest.Digest, v any) {
		t.Helper()
		if err := json.NewDecoder(open(d)).Decode(v); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(filepath.Join(layout, ocispec.ImageIndexFile))
	if err != nil {
		t.Fatal(err)
	}
	index := decode[ocispec.Index](t, string(data))
	blob(index.Manifests[0].Digest, &index)
	var image ocispec.Image
	files := map[string]string{}
	for _, m := range index.Manifests {
		if m.Platform.Architecture != arch {
			continue
		}
		var manifest ocispec.Manifest
		blob(m.Digest, &manifest)
		blob(manifest.Config.Digest, &image)
		for _, l := range manifest.Layers {
			zip, err := gzip.NewReader(open(l.Digest))
			if err != nil {
				t.Fatal(err)
			}
			for r := tar.NewReader(zip); ; {
				entry, err := r.Next()
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				content, err := io.ReadAll(r)
				if err != nil {
					t.Fatal(err)
				}
				if entry.ModTime.After(*image.Created) {
					t.Errorf("%s: %s is of %s, later than the image", arch, entry.Name, entry.ModTime)
				}
				files[strings.TrimSuffix(entry.Name, "/")] = string(content)
			}
		}
	}
	return image, files
}

// What is wrong with a Dockerfile is said in one line, and a step that fails with what it printed.
func TestDockerfileMistakes(t *testing.T) {
	t.Parallel()
	s := newKitchen(t)
	build := func(args ...string) result {
		return callWith(t, s.project(), []string{"SPICE=" + spice}, append(args, "build", "--platforms", "linux/amd64", "entries")...)
	}
	given := []string{"--build-secrets", "env:SPICE"}
	build().refused(t, "secret spice: the variable SPICE is not set", "next: set the variable")
	build("--build-secrets", "file:/etc/hostname").refused(t, "does not come from a variable", "next: give each as env:NAME")
	s.write("svc/berth.yaml", strings.Replace(kitchenYAML, "target: app", "target: broken", 1))
	broken := build(given...)
	broken.refused(t, "build kitchen for linux/amd64: /bin/sh -c echo", "the oven is cold")
	if !strings.Contains(broken.stderr, "exit status 7") || !strings.Contains(broken.stderr, "next: correct the step in svc/docker/kitchen.Dockerfile") {
		t.Errorf("the failed step:\n%s", broken.stderr)
	}
	s.write("svc/berth.yaml", strings.Replace(kitchenYAML, "target: app", "target: nope", 1))
	build(given...).refused(t, `there is no stage "nope" to build`, "next: known stages: build, app, broken")
	s.write("svc/berth.yaml", kitchenYAML+"policy: {baseImages: [registry.example.com]}\n")
	build(given...).refused(t, "docker/kitchen.Dockerfile:3: FROM golang:1.26.8 is not allowed", "next: build on an image that is allowed")
	s.write("svc/berth.yaml", kitchenYAML)
	s.write("svc/docker/kitchen.Dockerfile", "FROM scratch AS app\nARG COOK\nCOPPY a b\n")
	build(given...).refused(t, "kitchen.Dockerfile:3: unknown instruction: COPPY", "next: correct the Dockerfile there")
}
