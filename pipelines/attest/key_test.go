package attest_test

import (
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"strings"
	"testing"

	"github.com/secure-systems-lab/go-securesystemslib/encrypted"

	"github.com/berth-sh/berth/pipelines/attest"
)

func word(s string) attest.Password { return func() ([]byte, error) { return []byte(s), nil } }

// cosignKey is a key as cosign writes it, with the same library.
func cosignKey(t *testing.T, block, password string, strength encrypted.KDFParameterStrength) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(ecdsaKey(t, elliptic.P256()))
	if err != nil {
		t.Fatal(err)
	}
	box, err := encrypted.EncryptWithCustomKDFParameters(der, []byte(password), strength)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: block, Bytes: box})
}

func TestPrivateKeysOfEveryFormSign(t *testing.T) {
	t.Parallel()
	key := ecdsaKey(t, elliptic.P256())
	sec1, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	ec := pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: sec1})
	parameters := pem.EncodeToMemory(&pem.Block{Type: "EC PARAMETERS", Bytes: []byte{6, 8, 42}})
	for name, file := range map[string][]byte{
		"cosign":             cosignKey(t, "ENCRYPTED SIGSTORE PRIVATE KEY", "hunter2", encrypted.Standard),
		"cosign before 2022": cosignKey(t, "ENCRYPTED COSIGN PRIVATE KEY", "hunter2", encrypted.Legacy),
		"PKCS 8":             pkcs8(t, key),
		"SEC 1":              ec,
		"openssl ecparam":    append(parameters, ec...),
		"Ed25519":            ed25519Key(t),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := attest.ParsePrivateKey(file, word("hunter2"))
			if err != nil {
				t.Fatal(err)
			}
			doc := sign(t, somewhere, approval(), s)
			by, err := doc.SignedBy(t.Context(), signer(t).PublicKey(), s.PublicKey())
			if err != nil || by.ID != s.PublicKey().ID {
				t.Errorf("signed by %q, %v; want %q", by.ID, err, s.PublicKey().ID)
			}
		})
	}
}

func TestPairOfBerthIsThatOfCosign(t *testing.T) {
	t.Parallel()
	pair, err := attest.GeneratePair([]byte("hunter2"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(pair.Private), "-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n") {
		t.Errorf("the private key is not in cosign's format:\n%s", pair.Private)
	}
	s, err := attest.ParsePrivateKey(pair.Private, word("hunter2"))
	if err != nil {
		t.Fatal(err)
	}
	public, err := attest.ParsePublicKey(pair.Public)
	if err != nil {
		t.Fatal(err)
	}
	if public.ID != s.PublicKey().ID || !strings.HasPrefix(public.ID, "SHA256:") {
		t.Errorf("the halves have the IDs %q and %q", public.ID, s.PublicKey().ID)
	}
}

func TestWrongPasswordIsToldFromWrongFile(t *testing.T) {
	t.Parallel()
	encryptedKey := cosignKey(t, "ENCRYPTED SIGSTORE PRIVATE KEY", "hunter2", encrypted.Legacy) // the fastest
	if _, err := attest.ParsePrivateKey(encryptedKey, word("hunter3")); !errors.Is(err, attest.ErrPassword) {
		t.Errorf("a wrong password: %v", err)
	}
	if _, err := attest.ParsePrivateKey(encryptedKey, nil); !errors.Is(err, attest.ErrPassword) {
		t.Errorf("no password: %v", err)
	}
	stopped := errors.New("stopped")
	ask := func() ([]byte, error) { return nil, stopped }
	if _, err := attest.ParsePrivateKey(encryptedKey, ask); !errors.Is(err, stopped) {
		t.Errorf("the failure to ask is lost: %v", err)
	}
	if _, err := attest.ParsePrivateKey(ed25519Key(t), ask); err != nil {
		t.Errorf("the password of a plain key was asked for: %v", err)
	}
}

func TestWhatIsNoKeyIsRefused(t *testing.T) {
	t.Parallel()
	weak, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	block := func(name string, body []byte) []byte {
		return pem.EncodeToMemory(&pem.Block{Type: name, Bytes: body})
	}
	public := func(key any) []byte {
		der, err := x509.MarshalPKIXPublicKey(key)
		if err != nil {
			t.Fatal(err)
		}
		return block("PUBLIC KEY", der)
	}
	legacy := &pem.Block{Type: "EC PRIVATE KEY", Headers: map[string]string{"DEK-Info": "AES-256-CBC,00"}, Bytes: []byte{1}}
	for name, file := range map[string][]byte{
		"empty":              nil,
		"text":               []byte("hello"),
		"RSA":                pkcs8(t, weak),
		"P-384":              pkcs8(t, ecdsaKey(t, elliptic.P384())),
		"garbage":            block("PRIVATE KEY", []byte("garbage")),
		"openssl's cipher":   block("ENCRYPTED PRIVATE KEY", []byte("garbage")),
		"openssl's old one":  pem.EncodeToMemory(legacy),
		"two keys":           append(ed25519Key(t), ed25519Key(t)...),
		"a large file":       make([]byte, 1<<20),
		"a public key":       public(weak.Public()),
		"a public P-256 key": public(ecdsaKey(t, elliptic.P256()).Public()),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := attest.ParsePrivateKey(file, word("")); !errors.Is(err, attest.ErrNoKey) {
				t.Errorf("as a private key: %v", err)
			}
			if name == "a public P-256 key" {
				return
			}
			if _, err := attest.ParsePublicKey(file); !errors.Is(err, attest.ErrNoKey) {
				t.Errorf("as a public key: %v", err)
			}
		})
	}
}

func FuzzKeys(f *testing.F) {
	f.Add([]byte("-----BEGIN PUBLIC KEY-----\nMFkw\n-----END PUBLIC KEY-----\n"))
	f.Add([]byte("-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\ne30=\n-----END ENCRYPTED SIGSTORE PRIVATE KEY-----\n"))
	f.Add([]byte("-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if k, err := attest.ParsePublicKey(data); (err == nil) != (k.ID != "") {
			t.Errorf("a key %q with the error %v", k.ID, err)
		}
		s, err := attest.ParsePrivateKey(data, word(""))
		switch {
		case err == nil && s == nil:
			t.Error("neither a key nor an error")
		case err != nil && !errors.Is(err, attest.ErrNoKey) && !errors.Is(err, attest.ErrPassword):
			t.Errorf("an error of no kind: %v", err)
		}
	})
}
