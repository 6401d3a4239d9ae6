package image_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/image"
)

const (
	provenance = "https://slsa.dev/provenance/v1"
	spdx       = "https://spdx.dev/Document"
)

// attested adds what BuildKit writes beside an image: a manifest with a statement of each type.
func (l *layoutDir) attested(about ocispec.Descriptor, statements ...[2]string) ocispec.Descriptor {
	l.t.Helper()
	manifest := ocispec.Manifest{Config: l.json(ocispec.MediaTypeImageConfig, map[string]string{"os": "unknown"})}
	for _, s := range statements {
		d := l.blob(image.StatementMediaType, []byte(s[1]))
		d.Annotations = map[string]string{"in-toto.io/predicate-type": s[0]}
		manifest.Layers = append(manifest.Layers, d)
	}
	manifest.Layers = append(manifest.Layers, l.blob("text/plain", []byte("not known")))
	d := l.json(ocispec.MediaTypeImageManifest, manifest)
	d.Platform = &ocispec.Platform{OS: "unknown", Architecture: "unknown"}
	d.Annotations = map[string]string{
		"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": about.Digest.String(),
	}
	return d
}

func statement(subjects, says string) string {
	return `{"_type":"https://in-toto.io/Statement/v1","subject":` + subjects + `,"predicateType":"x","predicate":{"says":"` + says + `"}}`
}

func adoptHere(t *testing.T, layout string) image.Index {
	t.Helper()
	s := adoptSpec()
	s.WorkDir = t.TempDir()
	x, err := image.Adopt(t.Context(), s, []ocispec.Platform{platform(t, "linux/amd64"), platform(t, "linux/arm64")}, layout)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func TestAttestationsBecomeReferrers(t *testing.T) {
	t.Parallel()
	plain := newLayoutDir(t)
	bare := adoptHere(t, plain.write(plain.image(configFor("amd64"), "amd"), plain.image(configFor("arm64"), "arm")))

	l := newLayoutDir(t)
	amd, arm := l.image(configFor("amd64"), "amd"), l.image(configFor("arm64"), "arm")
	self := `[{"name":"_","digest":{"sha256":"` + amd.Digest.Encoded() + `"}},{"name":"other","digest":{"sha256":"00"}}]`
	dir := l.write(amd, arm, l.attested(arm, [2]string{provenance, statement("[]", "arm")}),
		l.attested(amd, [2]string{spdx, statement(self, "one")}, [2]string{provenance, statement(self, "two")}, [2]string{spdx, statement(self, "three")}))
	x := adoptHere(t, dir)
	if x.Descriptor.Digest != bare.Descriptor.Digest {
		t.Errorf("%s with attestations, %s without", x.Descriptor.Digest, bare.Descriptor.Digest)
	}
	if len(bare.Attestations) > 0 || len(x.Attestations) != 3 {
		t.Fatalf("%+v", x.Attestations)
	}
	for i, want := range []struct {
		platform, kind string
		child          int
		says           []string
		subjects       int
	}{
		{"linux/amd64", provenance, 0, []string{"two"}, 2},
		{"linux/amd64", spdx, 0, []string{"one", "three"}, 2},
		{"linux/arm64", provenance, 1, []string{"arm"}, 1},
	} {
		a, child := x.Attestations[i], x.Manifest.Manifests[want.child]
		var m ocispec.Manifest
		if err := json.Unmarshal(fetch(t, x, a.Descriptor), &m); err != nil {
			t.Fatal(err)
		}
		if a.Platform != want.platform || a.PredicateType != want.kind || a.Subject.Digest != child.Digest ||
			m.Subject.Digest != child.Digest || m.ArtifactType != "application/vnd.in-toto+json" ||
			m.Annotations["in-toto.io/predicate-type"] != want.kind || m.Config.MediaType != ocispec.MediaTypeEmptyJSON ||
			string(fetch(t, x, m.Config)) != "{}" || len(m.Layers) != len(want.says) {
			t.Fatalf("%+v\n%+v", a, m)
		}
		for k, says := range want.says {
			var got struct {
				Type    string `json:"_type"`
				Subject []struct {
					Name   string
					Digest map[string]string
				}
				Predicate struct{ Says string }
			}
			if err := json.Unmarshal(fetch(t, x, m.Layers[k]), &got); err != nil {
				t.Fatal(err)
			}
			if got.Type == "" || got.Predicate.Says != says || len(got.Subject) != want.subjects ||
				got.Subject[0].Name != "api" || got.Subject[0].Digest["sha256"] != child.Digest.Encoded() {
				t.Errorf("%+v", got)
			}
		}
	}
}

func TestLayoutsCarryAttestations(t *testing.T) {
	t.Parallel()
	l := newLayoutDir(t)
	amd, arm := l.image(configFor("amd64"), "amd"), l.image(configFor("arm64"), "arm")
	x := adoptHere(t, l.write(amd, arm, l.attested(amd, [2]string{provenance, statement("[]", "built")}), l.attested(arm, [2]string{spdx, statement("[]", "holds")})))
	dir := filepath.Join(t.TempDir(), "layout")
	mustWrite(t, dir, x)
	read := func() ([]image.Index, error) { return image.ReadLayout(t.Context(), dir) }
	images, err := read()
	if err != nil || len(images) != 1 {
		t.Fatalf("%d images, %v", len(images), err)
	}
	if diff := cmp.Diff(x.Attestations, images[0].Attestations); diff != "" {
		t.Error(diff)
	}
	before := tree(t, dir)
	mustWrite(t, dir, images...)
	if diff := cmp.Diff(before, tree(t, dir)); diff != "" {
		t.Errorf("written again: %s", diff)
	}

	var m ocispec.Manifest
	if err := json.Unmarshal(fetch(t, images[0], images[0].Attestations[0].Descriptor), &m); err != nil {
		t.Fatal(err)
	}
	damaged := filepath.Join(dir, "blobs", "sha256", m.Layers[0].Digest.Encoded())
	if err := os.WriteFile(damaged, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := read(); fault.CodeOf(err) != fault.Usage || !strings.Contains(err.Error(), "attestation sha256:") {
		t.Errorf("a damaged statement: %v", err)
	}
}

// What a layout lists as an attestation may come from anywhere.
func TestLayoutsRefuseOddAttestations(t *testing.T) {
	t.Parallel()
	other := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromString("other"), Size: 5}
	for want, m := range map[string]ocispec.Manifest{
		"no subject":                {},
		"no annotation":             {Subject: &other},
		"is no image of the layout": {Subject: &other, Annotations: map[string]string{image.AnnotationPredicateType: spdx}},
	} {
		dir := filepath.Join(t.TempDir(), "layout")
		mustWrite(t, dir, named(t, "a", "1"))
		l := &layoutDir{t: t, dir: dir}
		d := l.json(ocispec.MediaTypeImageManifest, m)
		d.ArtifactType = image.StatementMediaType
		var index ocispec.Index
		data, err := os.ReadFile(filepath.Join(dir, "index.json"))
		if err == nil {
			err = json.Unmarshal(data, &index)
		}
		if err != nil {
			t.Fatal(err)
		}
		l.write(append(index.Manifests, d)...)
		if _, err := image.ReadLayout(t.Context(), dir); fault.CodeOf(err) != fault.Usage || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestAdoptRefusesStatementsThatAreNone(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"[]", `{"subject":7}`, "no JSON"} {
		l := newLayoutDir(t)
		amd := l.image(configFor("amd64"), "amd")
		s := adoptSpec()
		s.WorkDir = t.TempDir()
		_, err := image.Adopt(t.Context(), s, []ocispec.Platform{platform(t, "linux/amd64")}, l.write(amd, l.attested(amd, [2]string{spdx, text})))
		if fault.CodeOf(err) != fault.Failed || !strings.Contains(err.Error(), "statement "+spdx) {
			t.Errorf("%s: %v", text, err)
		}
	}
}
