package dockerfile

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/berth-sh/berth/pipelines/image"
	"github.com/berth-sh/berth/pipelines/publish"
)

// scan is a generator of SBOMs.
// Source: https://github.com/moby/buildkit/blob/master/docs/attestations/sbom-protocol.md
const scan = `#!/bin/sh
set -e
for file in $(ls "$BUILDKIT_SCAN_SOURCE"); do
  packages="$packages{\"name\": \"$file\", \"SPDXID\": \"SPDXRef-$file\"},"
done
cat > "$BUILDKIT_SCAN_DESTINATION/$(basename "$BUILDKIT_SCAN_SOURCE").spdx.json" <<EOF
{"_type": "https://in-toto.io/Statement/v0.1", "predicateType": "https://spdx.dev/Document", "predicate": {
 "spdxVersion": "SPDX-2.3", "SPDXID": "SPDXRef-DOCUMENT", "name": "scan $(cat /proc/sys/kernel/random/uuid)",
 "packages": [${packages%,}]}}
EOF
`

// said is what a test reads of an in-toto statement.
type said struct {
	PredicateType string
	Subject       []struct{ Digest map[string]string }
	Predicate     struct {
		Packages        []struct{ Name string }
		BuildDefinition struct {
			ExternalParameters struct {
				Request struct{ Args map[string]string }
			}
		}
	}
}

// attestations publishes with one builder, again with the other and from a layout, and promotes.
func (l *lab) attestations(t *testing.T, setting []string) {
	env := l.environment(setting...)
	scanner := l.project(t, map[string]string{
		"berth.yaml": strings.Replace(berthYAML("{dockerfile: {}, repository: scanner, platforms: [linux/amd64]}"), "latest", `"{version}"`, 1),
		"VERSION":    "1.0.0\n", "scan": scan,
		"Dockerfile": "FROM busybox:1\nCOPY --chmod=755 scan /scan\nENTRYPOINT [\"/scan\"]\n",
	})
	l.do(t, scanner, env, l.berth, "publish", "--builder", "buildkit")
	dir := l.project(t, map[string]string{
		"berth.yaml": strings.NewReplacer(
			"{main: {prefix: HOST/acme}}", "{main: {prefix: HOST/said}, stage: {prefix: HOST/stage}, shelf: {prefix: HOST/shelf}}",
			"environments: {", `environments: {shelf: {registry: shelf},
  stage: {registry: stage, promote: {from: dev, set: ["stage-{version}"]}}, `,
		).Replace(berthYAML("{dockerfile: {attestations: {provenance: max, sbom: HOST/acme/scanner:1.0.0}, args: {WHO: Ann}}}")),
		"VERSION": "1.0.0\n",
		"Dockerfile": "FROM --platform=$BUILDPLATFORM busybox:1 AS build\nARG WHO TARGETARCH\nRUN echo $WHO $TARGETARCH > /said\n" +
			"FROM scratch\nCOPY --from=build /said /\n",
	})
	first := l.published(t, dir, env, "--env", "dev", "--builder", "docker")
	again := l.published(t, dir, env, "--env", "dev", "--builder", "buildkit")
	if first.Digest != again.Digest {
		t.Fatalf("docker gives %s, buildkit %s", first.Digest, again.Digest)
	}
	if len(first.Attached) != 4 || len(again.Attached) != 4 {
		t.Fatalf("attached %+v, then %+v", first.Attached, again.Attached)
	}
	for i, x := range first.Attached {
		if x.Action != publish.ActionCreated {
			t.Errorf("%+v", x)
		}
		if x.Action = publish.ActionUnchanged; again.Attached[i] != x {
			t.Errorf("published again: %+v", again.Attached[i])
		}
	}
	l.accompanied(t, "said/web", first.Digest)
	for _, builder := range []string{"docker", "buildkit"} { // what a layout carries, from either
		out := filepath.Join(l.dir, "attested-"+builder)
		l.build(t, dir, env, "--env", "shelf", "--builder", builder, "--output", out)
		l.published(t, dir, env, "--env", "shelf", "--from", out)
		l.accompanied(t, "shelf/web", first.Digest)
	}
	l.do(t, dir, env, l.berth, "promote", "--to", "stage", "--version", "1.0.0")
	l.accompanied(t, "stage/web", first.Digest)
}

func (l *lab) published(t *testing.T, dir string, env []string, args ...string) publish.Image {
	t.Helper()
	var receipt publish.Receipt
	out := l.do(t, dir, env, l.berth, append([]string{"publish", "--format", "json"}, args...)...)
	if err := json.Unmarshal([]byte(out), &receipt); err != nil {
		t.Fatal(err)
	}
	if len(receipt.Images) != 1 {
		t.Fatalf("%d images", len(receipt.Images))
	}
	return receipt.Images[0]
}

// accompanied holds that an index has nothing but its platforms, and each of those the statements as referrers, by the
// client that `oras discover` uses.
func (l *lab) accompanied(t *testing.T, repository, digest string) {
	t.Helper()
	r := l.repository(t, repository)
	root, err := r.Resolve(t.Context(), digest)
	if err != nil {
		t.Fatal(err)
	}
	var index ocispec.Index
	fetch(t, r, root, &index)
	if len(index.Manifests) != 2 {
		t.Fatalf("the index lists %+v", index.Manifests)
	}
	for _, child := range index.Manifests {
		var types []string
		err := r.Referrers(t.Context(), child, image.StatementMediaType, func(all []ocispec.Descriptor) error {
			for _, d := range all {
				types = append(types, d.Annotations["in-toto.io/predicate-type"])
				var manifest ocispec.Manifest
				fetch(t, r, d, &manifest)
				var one said
				fetch(t, r, manifest.Layers[0], &one)
				if len(one.Subject) != 1 || one.Subject[0].Digest["sha256"] != child.Digest.Encoded() {
					t.Errorf("%s: the subject is %+v, not %s", repository, one.Subject, child.Digest)
				}
				p := one.Predicate
				if one.PredicateType == "https://spdx.dev/Document" && (len(p.Packages) != 1 || p.Packages[0].Name != "said") {
					t.Errorf("the SBOM lists %+v", p.Packages)
				}
				if who := p.BuildDefinition.ExternalParameters.Request.Args["build-arg:WHO"]; strings.Contains(one.PredicateType, "slsa") && who != "Ann" {
					t.Errorf("the provenance names %q", who)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(types)
		if got := strings.Join(types, " "); got != "https://slsa.dev/provenance/v1 https://spdx.dev/Document" {
			t.Errorf("%s has %q", repository, got)
		}
	}
}
