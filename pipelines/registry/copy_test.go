package registry_test

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/berth-sh/berth/internal/faultproxy"
	"github.com/berth-sh/berth/internal/faultproxy/testimage"
	"github.com/berth-sh/berth/pipelines/registry"
)

// whole lists an image's manifests, the index first.
func whole(x testimage.Image, children ...ocispec.Descriptor) []ocispec.Descriptor {
	return append([]ocispec.Descriptor{x.Root}, children...)
}

// Everything that is attached travels along, through registries with the referrers API and without.
func TestACopyTakesEverythingAlong(t *testing.T) {
	t.Parallel()
	for _, road := range [][2]string{
		{"quay.io/dev/n", "quay.io/prd/n"},
		{"quay.io/dev/n", "ghcr.io/prd/n"},
		{"ghcr.io/dev/n", "quay.io/prd/n"},
		{"ghcr.io/dev/n", "ghcr.io/prd/n"},
	} {
		t.Run(road[0]+" to "+road[1], func(t *testing.T) {
			t.Parallel()
			open := boxed(t)
			from, to, x := open(road[0]), open(road[1]), testimage.New(t, "a", 5000)
			if _, err := publish(t.Context(), from, x); err != nil {
				t.Fatal(err)
			}
			index, _, err := from.Manifest(t.Context(), x.Root.Digest.String())
			if err != nil {
				t.Fatal(err)
			}
			child := childrenOf(t, index)[0]
			signature := attach(t, from, x.Root, "application/signature", "1")
			ofSignature := attach(t, from, signature, "application/timestamp", "2")
			ofChild := attach(t, from, child, "application/sbom", "3")
			cosign := testimage.New(t, "cosign", 10)
			if _, err := publish(t.Context(), from, cosign); err != nil {
				t.Fatal(err)
			}
			sig := "sha256-" + x.Root.Digest.Encoded() + ".sig"
			if err := from.Tag(t.Context(), cosign.Index, cosign.Root, sig); err != nil {
				t.Fatal(err)
			}
			for range 2 { // the second time, nothing is sent
				copier := registry.NewCopier(from, to, registry.NewMounts())
				if _, err := copier.Copy(t.Context(), x.Root); err != nil {
					t.Fatal(err)
				}
				if _, err := copier.CopyAttached(t.Context(), whole(x, childrenOf(t, index)...)); err != nil {
					t.Fatal(err)
				}
			}
			for subject, want := range map[string]ocispec.Descriptor{
				x.Root.Digest.String(): signature, signature.Digest.String(): ofSignature, child.Digest.String(): ofChild,
			} {
				found, err := to.Referrers(t.Context(), subject, "")
				if err != nil || len(found) != 1 || found[0].Digest != want.Digest {
					t.Errorf("referrers of %s: %v, %v", subject, found, err)
				}
			}
			if desc, err := to.Resolve(t.Context(), sig); err != nil || desc.Digest != cosign.Root.Digest {
				t.Errorf("%s: %v, %v", sig, desc, err)
			}
			got, _, err := to.Manifest(t.Context(), x.Root.Digest.String())
			if err != nil || string(got) != string(index) {
				t.Errorf("the index: %v", err)
			}
		})
	}
}

func childrenOf(t *testing.T, index []byte) []ocispec.Descriptor {
	t.Helper()
	var x ocispec.Index
	if err := json.Unmarshal(index, &x); err != nil {
		t.Fatal(err)
	}
	return x.Manifests
}

// Between two registries, a blob is four requests at most and a manifest two; within one, a blob is one.
func TestACopyAsksLittle(t *testing.T) {
	t.Parallel()
	far, source := serve(t)
	near, target := serve(t)
	c := registry.NewClient(registry.Options{Policy: quick()})
	open := func(name string) *registry.Repository {
		r, err := c.Repository(name)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	x := testimage.New(t, "a", 50_000)
	if _, err := publish(t.Context(), open(far+"/o/a"), x); err != nil {
		t.Fatal(err)
	}
	source.ResetCounts()
	sent, err := registry.NewCopier(open(far+"/o/a"), open(near+"/o/a"), registry.NewMounts()).Copy(t.Context(), x.Root)
	if err != nil || sent.Blobs != testimage.Blobs || sent.Manifests != 3 {
		t.Fatalf("%+v, %v", sent, err)
	}
	// The source gives 3 manifests and 5 blobs, each once.
	if n := source.Count("", ""); n != 3+testimage.Blobs {
		t.Errorf("%d requests at the source: %v", n, source.Log())
	}
	// The target is asked for the index and the three layers, and takes 5 blobs by POST and PUT and 3 manifests.
	if n := target.Count("", ""); n != 1+3+2*testimage.Blobs+3 {
		t.Errorf("%d requests at the target: %v", n, target.Log())
	}
	// Again: one look.
	target.ResetCounts()
	source.ResetCounts()
	if _, err := registry.NewCopier(open(far+"/o/a"), open(near+"/o/a"), registry.NewMounts()).Copy(t.Context(), x.Root); err != nil {
		t.Fatal(err)
	}
	if n := target.Count("", ""); n != 1 || source.Count("", "") != 0 {
		t.Errorf("%d and %d requests for what is there: %v", n, source.Count("", ""), target.Log())
	}
	// Within one registry, blobs are mounted and never read.
	target.ResetCounts()
	sent, err = registry.NewCopier(open(near+"/o/a"), open(near+"/o/b"), registry.NewMounts()).Copy(t.Context(), x.Root)
	if err != nil || sent.Blobs != 0 || target.Count(http.MethodGet, "blobs") != 0 {
		t.Errorf("%+v, %v: %v", sent, err, target.Log())
	}
	if n := target.Count("", ""); n != 1+3+testimage.Blobs+3 {
		t.Errorf("%d requests within a registry: %v", n, target.Log())
	}
}

// A copy that breaks off is finished by the next one, and a blob that the source cannot give is an error.
func TestACopyIsResumed(t *testing.T) {
	t.Parallel()
	far, source := serve(t)
	near, target := serve(t)
	c := registry.NewClient(registry.Options{Policy: quick()})
	from, err := c.Repository(far + "/o/a")
	if err != nil {
		t.Fatal(err)
	}
	to, err := c.Repository(near + "/o/a")
	if err != nil {
		t.Fatal(err)
	}
	x := testimage.New(t, "a", 5000)
	if _, err := publish(t.Context(), from, x); err != nil {
		t.Fatal(err)
	}
	source.Add(faultproxy.Rule{
		Method: http.MethodGet, Path: regexp.MustCompile(`/blobs/` + x.Shared.Digest.String()), Fault: status(http.StatusForbidden, ""),
	})
	if _, err := registry.NewCopier(from, to, registry.NewMounts()).Copy(t.Context(), x.Root); err == nil {
		t.Fatal("copied without a blob")
	}
	if slices.Contains(target.Log(), "PUT /v2/o/a/manifests/"+x.Root.Digest.String()) {
		t.Error("the index was put without its children")
	}
	source.Clear()
	if _, err := registry.NewCopier(from, to, registry.NewMounts()).Copy(t.Context(), x.Root); err != nil {
		t.Fatal(err)
	}
	if _, _, err := to.Manifest(t.Context(), x.Root.Digest.String()); err != nil {
		t.Error(err)
	}
}
