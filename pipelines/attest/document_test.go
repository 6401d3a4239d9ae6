package attest_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/secure-systems-lab/go-securesystemslib/dsse"

	"github.com/berth-sh/berth/pipelines/attest"
)

// The statement is a contract with other tools: these very bytes are signed.
func TestStatementIsInTotoVersion1(t *testing.T) {
	t.Parallel()
	got := string(sign(t, somewhere, approval(), nil).Bytes())
	want := `{"_type":"https://in-toto.io/Statement/v1",` +
		`"subject":[{"name":"quay.io/kubernaut/gateway","digest":{"sha256":"` + somewhere.Encoded() + `"}}],` +
		`"predicateType":"https://berth.sh/approval/v1",` +
		`"predicate":{"project":"kubernaut","component":"gateway","from":"staging","to":"production","role":"qa",` +
		`"approver":"grace","version":"1.2.3","commit":"0123456789abcdef0123456789abcdef01234567",` +
		`"approvedAt":"2026-11-21T12:00:00Z","expiresAt":"2026-12-21T12:00:00Z","comment":"soak test <72 h> & no alert"}}`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("statement (-want +got):\n%s", diff)
	}
}

func TestDocumentIsReadBack(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]*attest.Signer{"signed": signer(t), "bare": nil} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			made := sign(t, somewhere, approval(), s)
			read, err := attest.ParseDocument(made.MediaType(), made.Bytes())
			if err != nil {
				t.Fatal(err)
			}
			if read.ID != made.ID || read.Signed != (s != nil) || !read.Statement.About(somewhere) {
				t.Errorf("read back %+v, made %+v", read, made)
			}
			var said attest.Approval
			if err := read.Statement.Decode(&said); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(*approval(), said); diff != "" {
				t.Errorf("predicate (-want +got):\n%s", diff)
			}
			var other attest.Promotion
			if err := read.Statement.Decode(&other); err == nil {
				t.Error("an approval was read as a promotion")
			}
		})
	}
}

// envelope takes a signed document apart, changes it, and puts it together again.
func envelope(t *testing.T, d attest.Document, change func(map[string]any)) []byte {
	t.Helper()
	var e map[string]any
	if err := json.Unmarshal(d.Bytes(), &e); err != nil {
		t.Fatal(err)
	}
	change(e)
	out, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func signatures(e map[string]any) []any { return e["signatures"].([]any) }

func TestChangedEnvelopeIsNotSigned(t *testing.T) {
	t.Parallel()
	s, other := signer(t), signer(t)
	signed := sign(t, somewhere, approval(), s)
	for name, change := range map[string]func(map[string]any){
		"payload": func(e map[string]any) {
			payload, err := base64.StdEncoding.DecodeString(e["payload"].(string))
			if err != nil {
				t.Fatal(err)
			}
			e["payload"] = base64.StdEncoding.EncodeToString(bytes.Replace(payload, []byte("qa"), []byte("rm"), 1))
		},
		"signature of another statement": func(e map[string]any) {
			p := approval()
			p.To = "staging"
			var from map[string]any
			if err := json.Unmarshal(sign(t, somewhere, p, s).Bytes(), &from); err != nil {
				t.Fatal(err)
			}
			e["signatures"] = from["signatures"]
		},
		"signature of another key under this one's name": func(e map[string]any) {
			var from map[string]any
			if err := json.Unmarshal(sign(t, somewhere, approval(), other).Bytes(), &from); err != nil {
				t.Fatal(err)
			}
			signatures(from)[0].(map[string]any)["keyid"] = s.PublicKey().ID
			e["signatures"] = from["signatures"]
		},
		"no signature": func(e map[string]any) { e["signatures"] = []any{} },
		"null":         func(e map[string]any) { e["signatures"] = nil },
		"no base64":    func(e map[string]any) { signatures(e)[0].(map[string]any)["sig"] = "!" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, err := attest.ParseDocument(attest.EnvelopeMediaType, envelope(t, signed, change))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := d.SignedBy(t.Context(), s.PublicKey()); !errors.Is(err, attest.ErrNotSigned) {
				t.Errorf("error %v, want ErrNotSigned", err)
			}
		})
	}
	if _, err := signed.SignedBy(t.Context(), other.PublicKey()); !errors.Is(err, attest.ErrNotSigned) {
		t.Errorf("another key: %v", err)
	}
	if _, err := signed.SignedBy(t.Context()); !errors.Is(err, attest.ErrNotSigned) {
		t.Errorf("no key: %v", err)
	}
}

// A verifier that knows keys by their fingerprints, as sigstore's does, finds the one that signed.
func TestOtherVerifiersAcceptTheSignature(t *testing.T) {
	t.Parallel()
	s := signer(t)
	var e dsse.Envelope
	if err := json.Unmarshal(sign(t, somewhere, approval(), s).Bytes(), &e); err != nil {
		t.Fatal(err)
	}
	verifier, err := dsse.NewEnvelopeVerifier(nameless{s.PublicKey()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := verifier.Verify(t.Context(), &e); err != nil {
		t.Error(err)
	}
}

// nameless is a verifier that leaves the name of its key to the library.
type nameless struct{ attest.PublicKey }

func (nameless) KeyID() (string, error) { return "", nil }

// A key without a hint is tried, as cosign writes none.
func TestEnvelopeNeedsNoKeyID(t *testing.T) {
	t.Parallel()
	s := signer(t)
	bytes := envelope(t, sign(t, somewhere, approval(), s), func(e map[string]any) {
		delete(signatures(e)[0].(map[string]any), "keyid")
	})
	d, err := attest.ParseDocument(attest.EnvelopeMediaType, bytes)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.SignedBy(t.Context(), s.PublicKey()); err != nil {
		t.Error(err)
	}
}

func TestWhatIsNoDocumentIsRefused(t *testing.T) {
	t.Parallel()
	signed := sign(t, somewhere, approval(), signer(t))
	bare := string(sign(t, somewhere, approval(), nil).Bytes())
	for name, x := range map[string]struct{ mediaType, data string }{
		"another type":      {"application/json", bare},
		"no JSON":           {attest.StatementMediaType, "{"},
		"another statement": {attest.StatementMediaType, strings.Replace(bare, "Statement/v1", "Statement/v0.1", 1)},
		"no predicate type": {attest.StatementMediaType, strings.Replace(bare, attest.ApprovalType, "", 1)},
		"no envelope":       {attest.EnvelopeMediaType, "[]"},
		"another payload": {attest.EnvelopeMediaType, string(envelope(t, signed, func(e map[string]any) {
			e["payloadType"] = "text/plain"
		}))},
		"payload not base64": {attest.EnvelopeMediaType, string(envelope(t, signed, func(e map[string]any) {
			e["payload"] = "!"
		}))},
		"large": {attest.StatementMediaType, strings.Repeat(" ", 2<<20) + bare},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := attest.ParseDocument(x.mediaType, []byte(x.data)); err == nil {
				t.Error("it was read")
			}
		})
	}
}

func FuzzDocument(f *testing.F) {
	f.Add(attest.StatementMediaType, []byte(`{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{}}],`+
		`"predicateType":"https://berth.sh/approval/v1","predicate":{}}`))
	f.Add(attest.EnvelopeMediaType, []byte(`{"payloadType":"application/vnd.in-toto+json","payload":"e30=",`+
		`"signatures":[{"sig":"AAAA"}]}`))
	key := signer(f).PublicKey()
	f.Fuzz(func(t *testing.T, mediaType string, data []byte) {
		d, err := attest.ParseDocument(mediaType, data)
		if err != nil {
			return
		}
		if _, err := d.SignedBy(t.Context(), key); err == nil {
			t.Error("a key that has signed nothing has signed this")
		}
		_ = d.KeyHint()
		_ = d.Statement.About(somewhere)
		var p attest.Promotion
		_ = d.Statement.Decode(&p)
	})
}
