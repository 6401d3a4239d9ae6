package registry_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"

	"github.com/olareg/olareg/config"
	"github.com/opencontainers/go-digest"
	specs "github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content/memory"

	"github.com/berth-sh/berth/internal/faultproxy/testimage"
	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/registry"
	"github.com/berth-sh/berth/pipelines/sandbox"
)

// boxed returns repositories of sandboxed registries.
func boxed(t *testing.T) func(name string) *registry.Repository {
	t.Helper()
	box, err := sandbox.New(sandbox.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = box.Close() })
	c := registry.NewClient(registry.Options{
		Transport: box.Transport(), Clock: now, Policy: quick(),
		Credentials: registry.NewCredentials(registry.Explicit{"": {Username: sandbox.Username, Password: sandbox.Password}}),
	})
	return func(name string) *registry.Repository {
		r, err := c.Repository(name)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
}

// attach pushes a manifest that has the image as its subject.
func attach(t *testing.T, r *registry.Repository, subject ocispec.Descriptor, artifactType, text string) ocispec.Descriptor {
	t.Helper()
	store := memory.New()
	add := func(mediaType string, body []byte) ocispec.Descriptor {
		d := ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(body), Size: int64(len(body))}
		if err := store.Push(t.Context(), d, bytes.NewReader(body)); err != nil {
			t.Fatal(err)
		}
		return d
	}
	config := add(ocispec.MediaTypeEmptyJSON, []byte("{}"))
	layer := add("text/plain", []byte(text))
	body, err := json.Marshal(ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest, ArtifactType: artifactType,
		Config: config, Layers: []ocispec.Descriptor{layer}, Subject: &subject,
	})
	if err != nil {
		t.Fatal(err)
	}
	desc := add(ocispec.MediaTypeImageManifest, body)
	if _, err := r.Push(t.Context(), store, desc, registry.PushOptions{}); err != nil {
		t.Fatal(err)
	}
	return desc
}

func TestReferrersAreListedByAPIOrFallbackTag(t *testing.T) {
	t.Parallel()
	open := boxed(t)
	for name, api := range map[string]bool{"ghcr.io/o/n": false, "quay.io/o/n": true, "registry.example.com/n": true} {
		r, x := open(name), testimage.New(t, "a", 100)
		if _, err := r.Referrers(t.Context(), x.Root.Digest.String(), ""); api && !errors.Is(err, registry.ErrNotFound) && err != nil {
			t.Errorf("%s, no repository: %v", name, err)
		}
		if _, err := publish(t.Context(), r, x); err != nil {
			t.Fatal(err)
		}
		if found, err := r.Referrers(t.Context(), x.Root.Digest.String(), ""); err != nil || len(found) != 0 {
			t.Errorf("%s, none yet: %v, %v", name, found, err)
		}
		one := attach(t, r, x.Root, "application/one", "1")
		two := attach(t, r, x.Root, "application/two", "2")
		if found, err := r.Referrers(t.Context(), x.Root.Digest.String(), ""); err != nil || len(found) != 2 {
			t.Errorf("%s, all: %v, %v", name, found, err)
		}
		found, err := r.Referrers(t.Context(), x.Root.Digest.String(), "application/two")
		if err != nil || len(found) != 1 || found[0].Digest != two.Digest {
			t.Errorf("%s, of one type: %v, %v", name, found, err)
		}
		if has, err := r.HasReferrersAPI(t.Context()); has != api || err != nil {
			t.Errorf("%s, the API: %v, %v", name, has, err)
		}
		tags, err := r.Tags(t.Context())
		if err != nil || len(tags) != map[bool]int{true: 1, false: 2}[api] {
			t.Errorf("%s, tags: %v, %v", name, tags, err)
		}
		// GHCR refuses; what is there must still be listed then.
		err = r.Delete(t.Context(), one.Digest.String())
		if refused := errors.Is(err, registry.ErrUnsupported); refused == api || err != nil && !refused {
			t.Errorf("%s, delete: %v", name, err)
		}
		if found, err := r.Referrers(t.Context(), x.Root.Digest.String(), ""); err != nil || len(found) != map[bool]int{true: 1, false: 2}[api] {
			t.Errorf("%s, after deleting one: %v, %v", name, found, err)
		}
	}
	if _, err := open("quay.io/o/n").Referrers(t.Context(), "v1", ""); fault.CodeOf(err) != fault.Failed {
		t.Errorf("a tag: %v", err)
	}
}

func TestADeletedReferrerLeavesTheFallbackIndex(t *testing.T) {
	t.Parallel()
	host, _ := serveWith(t, config.ConfigAPI{Referrer: config.ConfigAPIReferrer{Enabled: new(false)}, DeleteEnabled: new(true)})
	r, x := repository(t, host+"/o/n", registry.Options{}), testimage.New(t, "a", 100)
	if _, err := publish(t.Context(), r, x); err != nil {
		t.Fatal(err)
	}
	one := attach(t, r, x.Root, "application/one", "1")
	two := attach(t, r, x.Root, "application/two", "2")
	if err := r.Delete(t.Context(), one.Digest.String()); err != nil {
		t.Fatal(err)
	}
	found, err := r.Referrers(t.Context(), x.Root.Digest.String(), "")
	if err != nil || len(found) != 1 || found[0].Digest != two.Digest {
		t.Errorf("%v, %v", found, err)
	}
}

func TestDelete(t *testing.T) {
	t.Parallel()
	open := boxed(t)
	const ecr = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
	for name, can := range map[string]bool{
		"ghcr.io/o/n": false, ecr + "/n": false, "quay.io/o/n": true, "gcr.io/p/n": true, "registry.example.com/n": true,
	} {
		r, x := open(name), testimage.New(t, "a", 100)
		if _, err := publish(t.Context(), r, x); err != nil {
			t.Fatal(err)
		}
		if err := r.Tag(t.Context(), x.Index, x.Root, "v2"); err != nil {
			t.Fatal(err)
		}
		if !can {
			for what, err := range map[string]error{
				"delete": r.Delete(t.Context(), x.Root.Digest.String()), "untag": r.Untag(t.Context(), "v1"),
			} {
				if !errors.Is(err, registry.ErrUnsupported) || fault.CodeOf(err) != fault.Failed || fault.NextOf(err) == "" {
					t.Errorf("%s, %s: %v", name, what, err)
				}
			}
			continue
		}
		if err := r.Untag(t.Context(), "v1"); err != nil {
			t.Errorf("%s, untag: %v", name, err)
		}
		if _, err := r.Resolve(t.Context(), "v1"); !errors.Is(err, registry.ErrNotFound) {
			t.Errorf("%s, an untagged tag: %v", name, err)
		}
		if desc, err := r.Resolve(t.Context(), "v2"); err != nil || desc.Digest != x.Root.Digest {
			t.Errorf("%s, the other tag: %v, %v", name, desc, err)
		}
		if err := r.Untag(t.Context(), "v1"); !errors.Is(err, registry.ErrNotFound) {
			t.Errorf("%s, untag again: %v", name, err)
		}
		if err := r.Delete(t.Context(), x.Root.Digest.String()); err != nil {
			t.Errorf("%s, delete: %v", name, err)
		}
		for _, ref := range []string{"v2", x.Root.Digest.String()} {
			if _, err := r.Resolve(t.Context(), ref); !errors.Is(err, registry.ErrNotFound) {
				t.Errorf("%s, %s after deleting: %v", name, ref, err)
			}
		}
		if err := r.Delete(t.Context(), x.Root.Digest.String()); !errors.Is(err, registry.ErrNotFound) {
			t.Errorf("%s, delete again: %v", name, err)
		}
	}
}

// A tag for a digest, or the other way round, would delete more than was meant.
func TestDeleteAndUntagTakeNothingElse(t *testing.T) {
	t.Parallel()
	r, x := boxed(t)("quay.io/o/n"), testimage.New(t, "a", 100)
	if _, err := publish(t.Context(), r, x); err != nil {
		t.Fatal(err)
	}
	if r.Delete(t.Context(), "v1") == nil || r.Untag(t.Context(), x.Root.Digest.String()) == nil {
		t.Error("accepted")
	}
	if _, err := r.Resolve(t.Context(), "v1"); err != nil {
		t.Error(err)
	}
}
