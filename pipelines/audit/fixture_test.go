package audit_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"path/filepath"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/berth-sh/berth/internal/faultproxy/testimage"
	"github.com/berth-sh/berth/pipelines/approve"
	"github.com/berth-sh/berth/pipelines/attest"
	"github.com/berth-sh/berth/pipelines/audit"
	"github.com/berth-sh/berth/pipelines/registry"
	"github.com/berth-sh/berth/pipelines/sandbox"
)

// now is the time in these tests.
func now() time.Time { return time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC) }

const name = "quay.io/kubernaut/gateway"

// world is a repository with an image, and people with keys.
type world struct {
	repository *registry.Repository
	image      audit.Image
	root       ocispec.Descriptor
	keys       map[string]*attest.Signer
	ring       approve.Keyring
}

func newWorld(t *testing.T) *world {
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
	account := registry.Credential{Username: sandbox.Username, Password: sandbox.Password, Source: "test"}
	r, err := registry.NewClient(registry.Options{
		Transport: box.Transport(), Credentials: registry.NewCredentials(registry.Explicit{"": account}),
	}).Repository(name)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{repository: r, keys: map[string]*attest.Signer{}}
	for _, who := range []string{"ada", "grace", "ci", "mallory"} {
		w.keys[who] = signer(t)
	}
	w.ring = approve.Keyring{
		Approvers: []approve.Approver{
			{Name: "ada", Role: "release-manager", Key: w.keys["ada"].PublicKey()},
			{Name: "grace", Role: "qa", Key: w.keys["grace"].PublicKey()},
		},
		Recorders: []approve.Recorder{{Name: "ci", Key: w.keys["ci"].PublicKey()}},
	}
	x := testimage.New(t, "gateway", 64)
	w.root = annotated(t, x)
	if _, err := r.Push(t.Context(), x, w.root, registry.PushOptions{}); err != nil {
		t.Fatal(err)
	}
	body, _, err := r.Manifest(t.Context(), w.root.Digest.String())
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Tag(t.Context(), body, w.root, "v1.2.3"); err != nil {
		t.Fatal(err)
	}
	w.image = audit.Image{Component: "gateway", Name: name, Ref: "v1.2.3", Source: r}
	return w
}

// annotated adds an index that says what it was built from.
func annotated(t *testing.T, x testimage.Image) ocispec.Descriptor {
	t.Helper()
	var index ocispec.Index
	if err := json.Unmarshal(x.Index, &index); err != nil {
		t.Fatal(err)
	}
	index.Annotations = map[string]string{
		ocispec.AnnotationVersion:  "1.2.3",
		ocispec.AnnotationRevision: "0123456789abcdef0123456789abcdef01234567",
		ocispec.AnnotationCreated:  now().AddDate(0, 0, -3).Format(time.RFC3339),
	}
	body, err := json.Marshal(index)
	if err != nil {
		t.Fatal(err)
	}
	desc := ocispec.Descriptor{
		MediaType: ocispec.MediaTypeImageIndex, Digest: digest.FromBytes(body), Size: int64(len(body)),
	}
	if err := x.Push(t.Context(), desc, bytes.NewReader(body)); err != nil {
		t.Fatal(err)
	}
	return desc
}

func signer(t *testing.T) *attest.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	s, err := attest.ParsePrivateKey(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// says attaches a statement, signed by somebody or, for "", by nobody.
func (w *world) says(t *testing.T, who string, said attest.Predicate) attest.Document {
	t.Helper()
	statement, err := attest.NewStatement(name, w.root.Digest, said)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := attest.Sign(t.Context(), statement, w.keys[who])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := attest.Attach(t.Context(), w.repository, w.root, doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

func approval(role, who string) *attest.Approval {
	return &attest.Approval{
		Project: "kubernaut", Component: "gateway", From: "staging", To: "production", Role: role, Approver: who,
		Version: "1.2.3", At: now().Add(-2 * time.Hour), Expires: now().AddDate(0, 0, 10),
	}
}

func promotion() *attest.Promotion {
	return &attest.Promotion{
		Project: "kubernaut", Component: "gateway", Who: "kubernaut+release", From: "staging", To: "production",
		Source: name, Target: name, Version: "1.2.3", Tags: []string{"v1.2.3", "latest"},
		Approvals: []attest.Evidence{{Role: "release-manager", By: "ada"}, {Role: "qa", By: "grace"}}, At: now(),
	}
}

// released has both approvals and a record signed by whom.
func released(t *testing.T, recorder string) *world {
	t.Helper()
	w := newWorld(t)
	w.says(t, "ada", approval("release-manager", "ada"))
	w.says(t, "grace", approval("qa", "grace"))
	w.says(t, recorder, promotion())
	return w
}

// wanted is what production wants.
func (w *world) wanted() audit.Wanted {
	return audit.Wanted{
		Environment: "production", Platforms: []string{"linux/amd64", "linux/arm64/v8"}, Repository: name,
		Rules: &approve.Rules{
			Project: "kubernaut", Component: "gateway", From: "staging", To: "production", Roles: []string{"release-manager", "qa"}, Keys: w.ring,
		},
	}
}

// tag puts a tag to the image by hand, and looks at the image by it.
func (w *world) tag(t *testing.T, tag string) {
	t.Helper()
	body, desc, err := w.repository.Manifest(t.Context(), w.root.Digest.String())
	if err != nil {
		t.Fatal(err)
	}
	if err := w.repository.Tag(t.Context(), body, desc, tag); err != nil {
		t.Fatal(err)
	}
	w.image.Ref = tag
}

func (w *world) verify(t *testing.T, wanted audit.Wanted) audit.Verification {
	t.Helper()
	v, err := audit.Verify(t.Context(), w.image, w.ring, wanted)
	if err != nil {
		t.Fatal(err)
	}
	return v
}
