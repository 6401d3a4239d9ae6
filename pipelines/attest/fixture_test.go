package attest_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/berth-sh/berth/internal/faultproxy/testimage"
	"github.com/berth-sh/berth/pipelines/attest"
	"github.com/berth-sh/berth/pipelines/registry"
	"github.com/berth-sh/berth/pipelines/sandbox"
)

// now is the time in these tests.
func now() time.Time { return time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC) }

// somewhere is the digest of an image.
const somewhere = digest.Digest("sha256:1111111111111111111111111111111111111111111111111111111111111111")

func approval() *attest.Approval {
	return &attest.Approval{
		Project: "kubernaut", Component: "gateway", From: "staging", To: "production", Role: "qa", Approver: "grace",
		Version: "1.2.3", Commit: "0123456789abcdef0123456789abcdef01234567", At: now(), Expires: now().AddDate(0, 0, 30),
		Comment: "soak test <72 h> & no alert",
	}
}

// ed25519Key is a key as `openssl genpkey -algorithm ed25519` writes it.
func ed25519Key(t *testing.T) []byte {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return pkcs8(t, key)
}

func pkcs8(t testing.TB, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func ecdsaKey(t testing.TB, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// signer is a new key without a password.
func signer(t testing.TB) *attest.Signer {
	t.Helper()
	s, err := attest.ParsePrivateKey(pkcs8(t, ecdsaKey(t, elliptic.P256())), nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func statement(t *testing.T, d digest.Digest, p attest.Predicate) attest.Statement {
	t.Helper()
	s, err := attest.NewStatement("quay.io/kubernaut/gateway", d, p)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func sign(t *testing.T, d digest.Digest, p attest.Predicate, s *attest.Signer) attest.Document {
	t.Helper()
	doc, err := attest.Sign(t.Context(), statement(t, d, p), s)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// hosts have the referrers API, or not.
func hosts() map[string]string {
	return map[string]string{"api": "quay.io/kubernaut/gateway", "fallback tag": "ghcr.io/kubernaut/gateway"}
}

// open is a repository of embedded registries, and an image that it has. wrap stands in front of them; nil is nothing.
func open(t *testing.T, name string, wrap func(http.RoundTripper) http.RoundTripper) (
	*registry.Repository, testimage.Image,
) {
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
	transport := box.Transport()
	if wrap != nil {
		transport = wrap(transport)
	}
	account := registry.Credential{Username: sandbox.Username, Password: sandbox.Password, Source: "test"}
	r, err := registry.NewClient(registry.Options{
		Transport:   transport,
		Credentials: registry.NewCredentials(registry.Explicit{"": account}),
		Policy:      registry.Policy{Base: time.Millisecond},
	}).Repository(name)
	if err != nil {
		t.Fatal(err)
	}
	x := testimage.New(t, "gateway", 64)
	if _, err := r.Push(t.Context(), x, x.Root, registry.PushOptions{}); err != nil {
		t.Fatal(err)
	}
	return r, x
}
