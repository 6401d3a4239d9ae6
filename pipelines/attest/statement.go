package attest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/opencontainers/go-digest"
)

// The media types of what is attached.
const (
	// StatementMediaType is the payload type of an envelope, and the media type of a statement without a signature.
	StatementMediaType = "application/vnd.in-toto+json"
	// EnvelopeMediaType is that of a signed statement.
	EnvelopeMediaType = "application/vnd.dsse.envelope.v1+json"

	statementType = "https://in-toto.io/Statement/v1"
)

// maxDocument is the size in bytes of the largest statement or envelope that is read.
const maxDocument = 1 << 20

// Statement says something about an image, named by the digest of its index.
type Statement struct {
	Type          string          `json:"_type"`
	Subject       []Subject       `json:"subject"`
	PredicateType string          `json:"predicateType"`
	Predicate     json.RawMessage `json:"predicate"`
}

// Subject is the image. Its name is for people; the digest decides.
type Subject struct {
	Name   string            `json:"name,omitempty"`
	Digest map[string]string `json:"digest"`
}

// NewStatement says predicate about the image name@d.
func NewStatement(name string, d digest.Digest, predicate Predicate) (Statement, error) {
	if err := d.Validate(); err != nil {
		return Statement{}, fmt.Errorf("statement about %q: %w", d, err)
	}
	said, err := compact(predicate)
	if err != nil {
		return Statement{}, err
	}
	return Statement{
		Type:          statementType,
		Subject:       []Subject{{Name: name, Digest: map[string]string{d.Algorithm().String(): d.Encoded()}}},
		PredicateType: predicate.Type(),
		Predicate:     said,
	}, nil
}

// About tells whether the image is what the statement is about: it has one subject, with this digest.
func (s Statement) About(d digest.Digest) bool {
	return len(s.Subject) == 1 && d != "" && s.Subject[0].Digest[d.Algorithm().String()] == d.Encoded()
}

// Decode reads the predicate into the type that [Statement.PredicateType] names. Fields that it does not know are
// passed over: what would restrict a statement gets a new predicate type.
// Source: https://github.com/in-toto/attestation/blob/main/spec/v1/README.md#parsing-rules
func (s Statement) Decode(into Predicate) error {
	if s.PredicateType != into.Type() {
		return fmt.Errorf("the statement is a %q, not a %q", s.PredicateType, into.Type())
	}
	if err := json.Unmarshal(s.Predicate, into); err != nil {
		return fmt.Errorf("predicate: %w", err)
	}
	return nil
}

// parseStatement reads a payload.
func parseStatement(payload []byte) (Statement, error) {
	var s Statement
	if err := json.Unmarshal(payload, &s); err != nil {
		return s, fmt.Errorf("statement: %w", err)
	}
	switch {
	case s.Type != statementType:
		return s, fmt.Errorf("it is a %q, not a %q", s.Type, statementType)
	case s.PredicateType == "":
		return s, errors.New("the statement has no predicate type")
	}
	return s, nil
}

// compact is the JSON of a value without the escapes for HTML, on one line and without a newline.
func compact(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return []byte(strings.TrimSuffix(b.String(), "\n")), nil
}
