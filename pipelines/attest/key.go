package attest

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	"github.com/secure-systems-lab/go-securesystemslib/encrypted"
)

// The types of PEM blocks that hold keys. cosign wrote the second one before it became a part of sigstore.
// Source: https://github.com/sigstore/cosign/blob/main/pkg/cosign/keys.go
const (
	pemSigstore  = "ENCRYPTED SIGSTORE PRIVATE KEY"
	pemCosign    = "ENCRYPTED COSIGN PRIVATE KEY"
	pemPKCS8     = "PRIVATE KEY"
	pemEC        = "EC PRIVATE KEY"
	pemEncrypted = "ENCRYPTED PRIVATE KEY"
	pemPublic    = "PUBLIC KEY"
)

// maxKey is the size in bytes beyond which a file is no key.
const maxKey = 64 << 10

var (
	// ErrNoKey is wrapped by the error about a file that holds no key, or one of a kind that is not supported.
	ErrNoKey = errors.New("not a key that can be used here")
	// ErrPassword is wrapped by the error about a key whose password is wrong or missing.
	ErrPassword = errors.New("the key's password is wrong")
	// errUnsigned is the verification of an envelope that none of the keys has signed.
	errUnsigned = errors.New("no signature by this key")
)

// PublicKey verifies signatures. Two keys are the same when their IDs are.
type PublicKey struct {
	// ID is the key's fingerprint as SSH writes it, "SHA256:…". Envelopes name keys by it: tools that verify DSSE, such as
	// those of sigstore, compute the same one, and would pass over a signature that names another.
	ID string

	key crypto.PublicKey
}

// ParsePublicKey reads a public key in PEM: ECDSA on P-256, as `cosign generate-key-pair` makes them, or Ed25519. The
// error wraps [ErrNoKey].
func ParsePublicKey(data []byte) (PublicKey, error) {
	block, err := onlyBlock(data)
	if err != nil {
		return PublicKey{}, err
	}
	if block.Type != pemPublic {
		return PublicKey{}, fmt.Errorf("%w: the PEM block is a %q, not a %q", ErrNoKey, block.Type, pemPublic)
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return PublicKey{}, fmt.Errorf("%w: %w", ErrNoKey, err)
	}
	return newPublicKey(key)
}

func newPublicKey(key crypto.PublicKey) (PublicKey, error) {
	switch k := key.(type) {
	case *ecdsa.PublicKey:
		if k.Curve != elliptic.P256() {
			return PublicKey{}, fmt.Errorf("%w: it is ECDSA on %s; use P-256 or Ed25519", ErrNoKey, k.Curve.Params().Name)
		}
	case ed25519.PublicKey:
	default:
		return PublicKey{}, fmt.Errorf("%w: it is a %T; use ECDSA on P-256 or Ed25519", ErrNoKey, key)
	}
	id, err := dsse.SHA256KeyID(key)
	if err != nil {
		return PublicKey{}, fmt.Errorf("%w: %w", ErrNoKey, err)
	}
	return PublicKey{ID: id, key: key}, nil
}

// Verify checks a signature over data. With KeyID and Public it makes the key a verifier of package dsse.
func (k PublicKey) Verify(_ context.Context, data, sig []byte) error {
	ok := false
	switch key := k.key.(type) {
	case *ecdsa.PublicKey:
		sum := sha256.Sum256(data)
		ok = ecdsa.VerifyASN1(key, sum[:], sig)
	case ed25519.PublicKey:
		ok = ed25519.Verify(key, data, sig)
	}
	if !ok {
		return errUnsigned
	}
	return nil
}

// KeyID is the key's ID.
func (k PublicKey) KeyID() (string, error) { return k.ID, nil }

// Public is the key itself.
func (k PublicKey) Public() crypto.PublicKey { return k.key }

// Signer is a private key. It has no method that prints it.
type Signer struct {
	public PublicKey
	key    crypto.Signer
}

// Password asks for the password of a private key. It is called only for a key that has one.
type Password func() ([]byte, error)

// ParsePrivateKey reads a private key in PEM: encrypted as `cosign generate-key-pair` writes it, or plain PKCS #8 or
// SEC 1. The error wraps [ErrNoKey], or [ErrPassword] when the password does not open the key; it holds nothing of the
// key.
func ParsePrivateKey(data []byte, password Password) (*Signer, error) {
	block, err := onlyBlock(data)
	if err != nil {
		return nil, err
	}
	if block.Headers["DEK-Info"] != "" || block.Type == pemEncrypted {
		return nil, fmt.Errorf("%w: it is encrypted in a way that is not cosign's "+
			"(cosign import-key-pair --key FILE turns it into that)", ErrNoKey)
	}
	var key any
	switch block.Type {
	case pemSigstore, pemCosign:
		return decrypt(block.Bytes, password)
	case pemPKCS8:
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case pemEC:
		key, err = x509.ParseECPrivateKey(block.Bytes)
	default:
		return nil, fmt.Errorf("%w: the PEM block is a %q, not a private key", ErrNoKey, block.Type)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoKey, err)
	}
	return newSigner(key)
}

func decrypt(box []byte, password Password) (*Signer, error) {
	if password == nil {
		return nil, fmt.Errorf("%w: it has one and none was given", ErrPassword)
	}
	secret, err := password()
	if err != nil {
		return nil, err
	}
	der, err := encrypted.Decrypt(box, secret)
	if err != nil {
		// The library has no error of its own for a wrong password. A damaged file looks the same.
		return nil, fmt.Errorf("%w, or its file is damaged", ErrPassword)
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoKey, err)
	}
	return newSigner(key)
}

func newSigner(key any) (*Signer, error) {
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("%w: a %T cannot sign", ErrNoKey, key)
	}
	public, err := newPublicKey(signer.Public())
	if err != nil {
		return nil, err
	}
	return &Signer{public: public, key: signer}, nil
}

// PublicKey is the key that verifies what the signer signs.
func (s *Signer) PublicKey() PublicKey { return s.public }

// Sign gives a signature over data. With KeyID it makes the key a signer of package dsse.
func (s *Signer) Sign(_ context.Context, data []byte) ([]byte, error) {
	if _, ok := s.key.(ed25519.PrivateKey); ok {
		return s.key.Sign(rand.Reader, data, crypto.Hash(0))
	}
	sum := sha256.Sum256(data)
	return s.key.Sign(rand.Reader, sum[:], crypto.SHA256)
}

// KeyID is the ID of the public key.
func (s *Signer) KeyID() (string, error) { return s.public.ID, nil }

// Pair is a new key pair in PEM.
type Pair struct {
	// Private is encrypted with the password, in cosign's format.
	Private []byte
	// Public is for berth.yaml.
	Public []byte
}

// GeneratePair makes an ECDSA key on P-256, as `cosign generate-key-pair` does. An empty password still encrypts the
// key, so that the file has one format.
func GeneratePair(password []byte) (Pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Pair{}, err
	}
	box, err := encrypted.Encrypt(der, password)
	if err != nil {
		return Pair{}, err
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return Pair{}, err
	}
	return Pair{
		Private: pem.EncodeToMemory(&pem.Block{Type: pemSigstore, Bytes: box}),
		Public:  pem.EncodeToMemory(&pem.Block{Type: pemPublic, Bytes: public}),
	}, nil
}

// onlyBlock is the one PEM block of a file. EC PARAMETERS, which openssl writes in front of a key, are passed over.
func onlyBlock(data []byte) (*pem.Block, error) {
	if len(data) > maxKey {
		return nil, fmt.Errorf("%w: the file is larger than %d bytes", ErrNoKey, maxKey)
	}
	block, rest := pem.Decode(data)
	if block != nil && block.Type == "EC PARAMETERS" {
		block, rest = pem.Decode(rest)
	}
	if block == nil {
		return nil, fmt.Errorf("%w: the file is not PEM", ErrNoKey)
	}
	if more, _ := pem.Decode(rest); more != nil {
		return nil, fmt.Errorf("%w: the file holds more than one PEM block", ErrNoKey)
	}
	return block, nil
}
