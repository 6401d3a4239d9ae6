package attest_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
	"oras.land/oras-go/v2/content"

	"github.com/berth-sh/berth/pipelines/attest"
	"github.com/berth-sh/berth/pipelines/registry"
)

func attach(t *testing.T, r attest.Repository, to ocispec.Descriptor, d attest.Document) ocispec.Descriptor {
	t.Helper()
	desc, err := attest.Attach(t.Context(), r, to, d)
	if err != nil {
		t.Fatal(err)
	}
	return desc
}

func TestAttachedDocumentsAreListed(t *testing.T) {
	t.Parallel()
	for kind, name := range hosts() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			r, x := open(t, name, nil)
			s := signer(t)
			if found, err := attest.List(t.Context(), r, x.Root.Digest); err != nil || len(found) > 0 {
				t.Fatalf("before: %v, %v", found, err)
			}
			record := &attest.Promotion{
				Project: "kubernaut", Component: "gateway", From: "staging", To: "production", At: now().AddDate(0, 0, 1),
			}
			attach(t, r, x.Root, sign(t, x.Root.Digest, record, nil))
			first := attach(t, r, x.Root, sign(t, x.Root.Digest, approval(), s))

			all, err := attest.List(t.Context(), r, x.Root.Digest)
			if err != nil {
				t.Fatal(err)
			}
			if len(all) != 2 || all[0].Manifest.Digest != first.Digest || all[1].Signed {
				t.Fatalf("listed %+v, want the approval and then the unsigned record", all)
			}
			if _, err := all[0].SignedBy(t.Context(), s.PublicKey()); err != nil {
				t.Error(err)
			}
			if p, ok := all[1].Predicate.(*attest.Promotion); !ok || p.To != "production" {
				t.Errorf("the record says %+v", all[1].Predicate)
			}
			some, err := attest.List(t.Context(), r, x.Root.Digest, attest.PromotionType)
			if err != nil || len(some) != 1 {
				t.Errorf("promotions alone: %+v, %v", some, err)
			}
		})
	}
}

// What a client of OCI 1.1 sees: an image manifest with a subject, an artifact type and one layer.
func TestManifestIsThatOfAnArtifact(t *testing.T) {
	t.Parallel()
	r, x := open(t, hosts()["api"], nil)
	desc := attach(t, r, x.Root, sign(t, x.Root.Digest, approval(), signer(t)))
	raw, _, err := r.Manifest(t.Context(), desc.Digest.String())
	if err != nil {
		t.Fatal(err)
	}
	var m ocispec.Manifest
	if err := json.Unmarshal(raw, &m); err != nil {
		t.Fatal(err)
	}
	if m.Subject == nil || m.Subject.Digest != x.Root.Digest || m.ArtifactType != "application/vnd.berth.approval.v1+json" ||
		m.Config.MediaType != ocispec.MediaTypeEmptyJSON || len(m.Layers) != 1 ||
		m.Layers[0].MediaType != attest.EnvelopeMediaType ||
		m.Annotations[ocispec.AnnotationCreated] != "2026-11-21T12:00:00Z" {
		t.Errorf("manifest %s", raw)
	}
}

func TestWritersAtOnceAreAllListed(t *testing.T) {
	t.Parallel()
	r, x := open(t, hosts()["api"], nil)
	const writers = 5
	g, ctx := errgroup.WithContext(t.Context())
	for range writers {
		doc := sign(t, x.Root.Digest, approval(), signer(t))
		g.Go(func() error {
			_, err := attest.Attach(ctx, r, x.Root, doc)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	if found, err := attest.List(t.Context(), r, x.Root.Digest); err != nil || len(found) != writers {
		t.Errorf("%d of %d are listed, %v", len(found), writers, err)
	}
}

// A writer that comes between is simulated: the first index that is put under the fallback tag is lost.
func TestLostEntryOfTheFallbackTagIsPutAgain(t *testing.T) {
	t.Parallel()
	var lost atomic.Int32
	r, x := open(t, hosts()["fallback tag"], func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(req *http.Request) (*http.Response, error) {
			if req.Method == http.MethodPut && strings.Contains(req.URL.Path, "/manifests/sha256-") && lost.Add(1) == 1 {
				return &http.Response{
					StatusCode: http.StatusCreated, Header: http.Header{}, Body: http.NoBody, Request: req,
				}, nil
			}
			return next.RoundTrip(req)
		})
	})
	attach(t, r, x.Root, sign(t, x.Root.Digest, approval(), signer(t)))
	found, err := attest.List(t.Context(), r, x.Root.Digest)
	if err != nil || len(found) != 1 {
		t.Errorf("listed %+v, %v", found, err)
	}
	if lost.Load() < 2 {
		t.Error("nothing was lost: the test does not test")
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// Replay: a document about one image, attached to another, counts for nothing there.
func TestDocumentAboutAnotherImageIsNotUnderstood(t *testing.T) {
	t.Parallel()
	r, x := open(t, hosts()["api"], nil)
	attach(t, r, x.Root, sign(t, somewhere, approval(), signer(t)))
	found, err := attest.List(t.Context(), r, x.Root.Digest)
	if err != nil {
		t.Fatal(err)
	}
	if len(found) != 1 || found[0].Err == nil || found[0].Predicate != nil {
		t.Errorf("listed %+v", found)
	}
}

// One that is listed but whose manifest or document is gone is shown, and is no failure of the whole.
func TestDamagedAttestationIsListedAsSuch(t *testing.T) {
	t.Parallel()
	r, x := open(t, hosts()["api"], nil)
	attach(t, r, x.Root, sign(t, x.Root.Digest, approval(), signer(t)))
	for name, broken := range map[string]attest.Reader{
		"manifest gone": readers{r, func(context.Context, string) ([]byte, ocispec.Descriptor, error) {
			return nil, ocispec.Descriptor{}, registry.ErrNotFound
		}},
		"no manifest": readers{r, func(context.Context, string) ([]byte, ocispec.Descriptor, error) {
			return []byte("["), ocispec.Descriptor{}, nil
		}},
		"two documents": readers{r, func(context.Context, string) ([]byte, ocispec.Descriptor, error) {
			return []byte(`{"layers":[{},{}]}`), ocispec.Descriptor{}, nil
		}},
		"a large document": readers{r, func(context.Context, string) ([]byte, ocispec.Descriptor, error) {
			return []byte(`{"layers":[{"size":1000000000}]}`), ocispec.Descriptor{}, nil
		}},
		"no digest": readers{r, func(context.Context, string) ([]byte, ocispec.Descriptor, error) {
			return []byte(`{"layers":[{"size":1}]}`), ocispec.Descriptor{}, nil
		}},
		"document gone": readers{r, func(context.Context, string) ([]byte, ocispec.Descriptor, error) {
			return []byte(`{"layers":[{"size":1,"digest":"` + string(digest.FromString("gone")) + `"}]}`),
				ocispec.Descriptor{}, nil
		}},
	} {
		found, err := attest.List(t.Context(), broken, x.Root.Digest)
		if err != nil || len(found) != 1 || found[0].Err == nil || found[0].Predicate != nil {
			t.Errorf("%s: listed %+v, %v", name, found, err)
		}
	}
}

// One that is attached as something else than it says counts for nothing.
func TestDocumentInTheGuiseOfAnotherIsNotUnderstood(t *testing.T) {
	t.Parallel()
	r, x := open(t, hosts()["api"], nil)
	attach(t, r, x.Root, sign(t, x.Root.Digest, approval(), signer(t)))
	found, err := attest.List(t.Context(), guise{r}, x.Root.Digest, attest.PromotionType)
	if err != nil || len(found) != 1 || found[0].Err == nil || found[0].Predicate != nil {
		t.Errorf("listed %+v, %v", found, err)
	}
}

// guise is a repository that lists everything as records of promotions.
type guise struct{ attest.Reader }

func (g guise) Referrers(ctx context.Context, subject, _ string) ([]ocispec.Descriptor, error) {
	out, err := g.Reader.Referrers(ctx, subject, "")
	for i := range out {
		out[i].ArtifactType = "application/vnd.berth.promotion.v1+json"
	}
	return out, err
}

// readers is a repository with other manifests.
type readers struct {
	attest.Reader
	manifest func(context.Context, string) ([]byte, ocispec.Descriptor, error)
}

func (r readers) Manifest(ctx context.Context, ref string) ([]byte, ocispec.Descriptor, error) {
	return r.manifest(ctx, ref)
}

func TestImageThatIsNotThereTakesNoDocument(t *testing.T) {
	t.Parallel()
	r, _ := open(t, hosts()["api"], nil)
	gone := content.NewDescriptorFromBytes(ocispec.MediaTypeImageIndex, []byte("gone"))
	_, err := attest.Attach(t.Context(), r, gone, sign(t, gone.Digest, approval(), signer(t)))
	if err == nil || !strings.Contains(err.Error(), "does not have the image") {
		t.Errorf("error %v", err)
	}
	if errors.Is(err, registry.ErrNotFound) {
		t.Error("it passes for an absent repository")
	}
}
