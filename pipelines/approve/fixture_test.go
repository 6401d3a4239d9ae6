package approve_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"path/filepath"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/berth-sh/berth/internal/faultproxy/testimage"
	"github.com/berth-sh/berth/pipelines/approve"
	"github.com/berth-sh/berth/pipelines/attest"
	"github.com/berth-sh/berth/pipelines/registry"
	"github.com/berth-sh/berth/pipelines/sandbox"
)

// now is the time in these tests.
func now() time.Time { return time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC) }

const (
	ours   = digest.Digest("sha256:1111111111111111111111111111111111111111111111111111111111111111")
	theirs = digest.Digest("sha256:2222222222222222222222222222222222222222222222222222222222222222")
)

// keys are private keys by name; each is made when it is first asked for.
type keys map[string]*attest.Signer

func (k keys) of(t *testing.T, name string) *attest.Signer {
	t.Helper()
	if k[name] == nil {
		k[name] = signer(t)
	}
	return k[name]
}

func privateKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func signer(t *testing.T) *attest.Signer {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(privateKey(t))
	if err != nil {
		t.Fatal(err)
	}
	s, err := attest.ParsePrivateKey(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// publicPEM is the public half of a key as a file.
func publicPEM(t *testing.T, key *ecdsa.PrivateKey) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// rules are those of production: a release manager and somebody from QA. ada manages releases, grace tests, and alan may
// do both.
func rules(t *testing.T, k keys) approve.Rules {
	t.Helper()
	return approve.Rules{
		Project: "kubernaut", From: "staging", To: "production", Roles: []string{"release-manager", "qa"},
		Keys: approve.Keyring{Approvers: []approve.Approver{
			{Name: "ada", Role: "release-manager", Key: k.of(t, "ada").PublicKey()},
			{Name: "alan", Role: "release-manager", Key: k.of(t, "alan").PublicKey()},
			{Name: "alan", Role: "qa", Key: k.of(t, "alan's other").PublicKey()},
			{Name: "grace", Role: "qa", Key: k.of(t, "grace").PublicKey()},
		}},
	}
}

// says is a good approval in a role.
func says(role string) *attest.Approval {
	return &attest.Approval{
		Project: "kubernaut", Component: "gateway", From: "staging", To: "production", Role: role, Approver: "whoever",
		At: now(), Expires: now().AddDate(0, 0, 30),
	}
}

// signed is a statement about ours, as it is listed.
func signed(t *testing.T, s *attest.Signer, p attest.Predicate) attest.Attestation {
	t.Helper()
	statement, err := attest.NewStatement("quay.io/kubernaut/gateway", ours, p)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := attest.Sign(t.Context(), statement, s)
	if err != nil {
		t.Fatal(err)
	}
	return attest.Attestation{Document: doc, Predicate: p}
}

// open is a repository of embedded registries with an image.
func open(t *testing.T) (*registry.Repository, approve.Image) {
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
	}).Repository("ghcr.io/kubernaut/gateway")
	if err != nil {
		t.Fatal(err)
	}
	return r, image(t, r, "gateway")
}

// image pushes an image.
func image(t *testing.T, r *registry.Repository, name string) approve.Image {
	t.Helper()
	x := testimage.New(t, name, 64)
	if _, err := r.Push(t.Context(), x, x.Root, registry.PushOptions{}); err != nil {
		t.Fatal(err)
	}
	return approve.Image{Component: name, Repository: r.String(), Descriptor: x.Root, Version: "1.2.3", Commit: "c0ffee"}
}
