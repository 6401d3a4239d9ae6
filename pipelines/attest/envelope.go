package attest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/opencontainers/go-digest"
	"github.com/secure-systems-lab/go-securesystemslib/dsse"
)

// ErrNotSigned is the verification of a statement that none of the keys has signed.
var ErrNotSigned = errors.New("no signature by a trusted key")

// Document is a statement in the form in which it is attached: signed in an envelope, or bare.
type Document struct {
	// Statement is what it says.
	Statement Statement
	// ID is the digest of the statement's bytes. Signing it again, or attaching it elsewhere, does not change it.
	ID digest.Digest
	// Signed tells that there is an envelope with a signature, by whomever.
	Signed bool

	envelope *dsse.Envelope // nil for a bare statement
	bytes    []byte
}

// MediaType is that of the document's bytes.
func (d Document) MediaType() string {
	if d.envelope == nil {
		return StatementMediaType
	}
	return EnvelopeMediaType
}

// Bytes are what is attached.
func (d Document) Bytes() []byte { return d.bytes }

// Sign puts a statement into an envelope. A nil signer gives the bare statement.
func Sign(ctx context.Context, s Statement, signer *Signer) (Document, error) {
	payload, err := compact(s)
	if err != nil {
		return Document{}, err
	}
	d := Document{Statement: s, ID: digest.FromBytes(payload), bytes: payload}
	if signer == nil {
		return d, nil
	}
	maker, err := dsse.NewEnvelopeSigner(signer)
	if err != nil {
		return Document{}, err
	}
	if d.envelope, err = maker.SignPayload(ctx, StatementMediaType, payload); err != nil {
		return Document{}, fmt.Errorf("sign: %w", err)
	}
	d.Signed = true
	d.bytes, err = compact(d.envelope)
	return d, err
}

// ParseDocument reads what was attached. It verifies no signature.
func ParseDocument(mediaType string, data []byte) (Document, error) {
	if len(data) > maxDocument {
		return Document{}, fmt.Errorf("the document is larger than %d bytes", maxDocument)
	}
	d := Document{bytes: data}
	payload := data
	switch mediaType {
	case StatementMediaType:
	case EnvelopeMediaType:
		d.envelope = &dsse.Envelope{}
		if err := json.Unmarshal(data, d.envelope); err != nil {
			return Document{}, fmt.Errorf("envelope: %w", err)
		}
		if d.envelope.PayloadType != StatementMediaType {
			return Document{}, fmt.Errorf("the envelope holds a %q, not a %q", d.envelope.PayloadType, StatementMediaType)
		}
		var err error
		if payload, err = d.envelope.DecodeB64Payload(); err != nil {
			return Document{}, fmt.Errorf("envelope: %w", err)
		}
		d.Signed = len(d.envelope.Signatures) > 0
	default:
		return Document{}, fmt.Errorf("the document is a %q", mediaType)
	}
	d.ID = digest.FromBytes(payload)
	var err error
	d.Statement, err = parseStatement(payload)
	return d, err
}

// SignedBy returns the first of the keys by which the statement is signed. Its error wraps [ErrNotSigned].
func (d Document) SignedBy(ctx context.Context, keys ...PublicKey) (PublicKey, error) {
	if !d.Signed {
		return PublicKey{}, fmt.Errorf("%w: it has no signature", ErrNotSigned)
	}
	for _, key := range keys {
		// One verifier for each key: which of them signed is the question, not how many.
		verifier, err := dsse.NewEnvelopeVerifier(key)
		if err != nil {
			return PublicKey{}, err
		}
		if _, err := verifier.Verify(ctx, d.envelope); err == nil {
			return key, nil
		}
	}
	return PublicKey{}, ErrNotSigned
}

// KeyHint is the key that the envelope names, which nothing proves; "" when it names none.
func (d Document) KeyHint() string {
	if !d.Signed {
		return ""
	}
	return d.envelope.Signatures[0].KeyID
}
