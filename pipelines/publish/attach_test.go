package publish_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/berth-sh/berth/pipelines/image"
	"github.com/berth-sh/berth/pipelines/publish"
	"github.com/berth-sh/berth/pipelines/registry"
	"github.com/berth-sh/berth/pipelines/sandbox"
)

// attest gives the images of a ship, which it writes into a layout, statements of the types about each platform.
func (s ship) attest(t *testing.T, says string, types ...string) ship {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "layout")
	if err := image.WriteLayout(t.Context(), dir, s.images); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, ocispec.ImageIndexFile)
	var index ocispec.Index
	data, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(data, &index)
	}
	if err != nil {
		t.Fatal(err)
	}
	add := func(mediaType string, data []byte) ocispec.Descriptor {
		d := ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}
		if err := os.WriteFile(filepath.Join(dir, "blobs", "sha256", d.Digest.Encoded()), data, 0o600); err != nil {
			t.Fatal(err)
		}
		return d
	}
	for _, x := range s.images {
		for _, child := range x.Manifest.Manifests {
			for _, kind := range types {
				subject := ocispec.Descriptor{MediaType: child.MediaType, Digest: child.Digest, Size: child.Size}
				manifest, err := json.Marshal(ocispec.Manifest{
					Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
					ArtifactType: image.StatementMediaType, Config: add(ocispec.MediaTypeEmptyJSON, []byte("{}")), Subject: &subject,
					Layers:      []ocispec.Descriptor{add(image.StatementMediaType, []byte(says+kind))},
					Annotations: map[string]string{image.AnnotationPredicateType: kind},
				})
				if err != nil {
					t.Fatal(err)
				}
				d := add(ocispec.MediaTypeImageManifest, manifest)
				d.ArtifactType = image.StatementMediaType
				index.Manifests = append(index.Manifests, d)
			}
		}
	}
	if data, err = json.Marshal(index); err == nil {
		err = os.WriteFile(file, data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	out := ship{plan: s.plan}
	if out.images, err = image.ReadLayout(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	return out
}

// embedded is a client of embedded registries: that of ghcr.io has no referrers API.
func embedded(t *testing.T) *registry.Client {
	t.Helper()
	box, err := sandbox.New(sandbox.Options{Dir: filepath.Join(t.TempDir(), "sandbox")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := box.Close(); err != nil {
			t.Error(err)
		}
	})
	return registry.NewClient(registry.Options{
		Transport: box.Transport(),
		Credentials: registry.NewCredentials(registry.Explicit{
			"": {Username: sandbox.Username, Password: sandbox.Password, Source: "test"},
		}),
	})
}

// happened is what a receipt says of the attachments: type → action, which is the same for all platforms.
func happened(t *testing.T, r publish.Receipt) map[string]publish.Action {
	t.Helper()
	out := map[string]publish.Action{}
	for _, x := range r.Images {
		for _, a := range x.Attached {
			if had, ok := out[a.PredicateType]; ok && had != a.Action {
				t.Errorf("%s is %s and %s", a.PredicateType, had, a.Action)
			}
			out[a.PredicateType] = a.Action
		}
	}
	return out
}

func TestStatementsAreAttachedOnce(t *testing.T) {
	t.Parallel()
	h := newHarbour(t)
	for host, client := range map[string]*registry.Client{h.host: h.client, "ghcr.io": embedded(t)} {
		s := load(t, host, cargo{version: "1.0.0", day: 1}, nil)
		monday, tuesday := s.attest(t, "monday", "a"), s.attest(t, "tuesday", "a", "b")
		p := publisher(client)
		for i, step := range []struct {
			ship ship
			want map[string]publish.Action
		}{
			{monday, map[string]publish.Action{"a": "created"}},
			{monday, map[string]publish.Action{"a": "unchanged"}},
			{tuesday, map[string]publish.Action{"a": "unchanged", "b": "created"}},
			{s, map[string]publish.Action{}},
		} {
			r, err := run(t.Context(), p, step.ship)
			if err != nil {
				t.Fatalf("%s, step %d: %v", host, i, err)
			}
			var text strings.Builder
			if err := r.Text(&text); err != nil {
				t.Fatal(err)
			}
			for kind, action := range step.want {
				if told := strings.Contains(text.String(), "attached to bravo: "+kind+"\n"); told != (action == publish.ActionCreated) {
					t.Errorf("%s, step %d: %s is %s\n%s", host, i, kind, action, text.String())
				}
			}
			if got := happened(t, r); len(got) != len(step.want) || got["a"] != step.want["a"] || got["b"] != step.want["b"] {
				t.Errorf("%s, step %d: %v, want %v", host, i, got, step.want)
			}
		}
		r, err := client.Repository(host + "/acme/bravo")
		if err != nil {
			t.Fatal(err)
		}
		first := len(monday.images[1].Attestations)
		for i, a := range slices.Concat(monday.images[1].Attestations, tuesday.images[1].Attestations) {
			listed, err := r.Referrers(t.Context(), a.Subject.Digest.String(), image.StatementMediaType)
			if err != nil || len(listed) != 2 {
				t.Fatalf("%s lists %+v, %v", host, listed, err)
			}
			there := slices.ContainsFunc(listed, func(d ocispec.Descriptor) bool { return d.Digest == a.Descriptor.Digest })
			if want := i < first || a.PredicateType == "b"; there != want {
				t.Errorf("%s: %s of %s is there: %v", host, a.PredicateType, a.Platform, there)
			}
		}
	}
}

// What leads to an image comes last.
func TestStatementsAreThereBeforeTags(t *testing.T) {
	t.Parallel()
	h := newHarbour(t)
	s := h.load(cargo{version: "1.0.0", day: 1}).attest(t, "monday", "a")
	found := -1
	h.once(false, func(r *http.Request) bool {
		return r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/manifests/v1.0.0")
	}, func() {
		found = 0
		for _, x := range s.images {
			r, err := h.direct.Repository(h.behind + "/acme/" + x.Component)
			if err != nil {
				t.Error(err)
				return
			}
			for _, a := range x.Attestations {
				listed, err := r.Referrers(t.Context(), a.Subject.Digest.String(), "")
				if err != nil {
					t.Error(err)
				}
				found += len(listed)
			}
		}
	})
	if _, err := h.publish(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if found != 2*components {
		t.Errorf("%d statements were there before the first version tag", found)
	}
}
