package audit

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/berth-sh/berth/pipelines/approve"
	"github.com/berth-sh/berth/pipelines/attest"
	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/guard"
	"github.com/berth-sh/berth/pipelines/image"
	"github.com/berth-sh/berth/pipelines/registry"
)

// Source is where an image and its attestations are read: a repository of a registry, or an OCI layout.
type Source interface {
	// Manifest reads a manifest by tag or digest and verifies its digest. Its error wraps registry.ErrNotFound only when
	// there is none.
	Manifest(ctx context.Context, ref string) ([]byte, ocispec.Descriptor, error)
	// Referrers lists the manifests with this subject.
	Referrers(ctx context.Context, subject, artifactType string) ([]ocispec.Descriptor, error)
	// Fetch opens a blob, without verifying it.
	Fetch(ctx context.Context, desc ocispec.Descriptor) (io.ReadCloser, error)
	// Exists tells whether a blob or manifest is there.
	Exists(ctx context.Context, desc ocispec.Descriptor) (bool, error)
}

// Image is the image that is looked at.
type Image struct {
	// Component of berth.yaml; "" for an image of no component.
	Component string
	// Name is the full name of the repository, or of the layout, for messages and to tell its own promotions from others.
	Name string
	// Ref is the tag or digest by which it is found.
	Ref    string
	Source Source
}

// Kind is what happened.
type Kind string

// What happens to an image.
const (
	KindBuilt      Kind = "built"
	KindApproved   Kind = "approved"
	KindRevoked    Kind = "revoked"
	KindPromoted   Kind = "promoted"
	KindRolledBack Kind = "rolled back"
	KindUnreadable Kind = "unreadable"
)

// Signature says by whom a statement is signed, as far as the configuration knows.
type Signature string

// The states of a signature.
const (
	SignatureGood      Signature = "good"
	SignatureNone      Signature = "unsigned"
	SignatureForeign   Signature = "foreign key" // by no key of the configuration, or forged
	SignatureWrongRole Signature = "wrong role"  // the key is not listed for the role
)

// Event is one thing that happened to an image.
type Event struct {
	At   time.Time `json:"at,omitzero"`
	Kind Kind      `json:"kind"`
	// From and To are environments.
	From string `json:"from,omitempty"`
	To   string `json:"to,omitempty"`
	Role string `json:"role,omitempty"`
	// By is who did it: the owner of the key where one is known, else what the statement says.
	By string `json:"by,omitempty"`
	// Signature is "" for what is no statement.
	Signature Signature `json:"signature,omitempty"`
	// SignedBy is the owner of the key; "" for none that is known.
	SignedBy string `json:"signedBy,omitempty"`
	// Expires is the end of an approval.
	Expires   time.Time         `json:"expiresAt,omitzero"`
	Comment   string            `json:"comment,omitempty"`
	Source    string            `json:"source,omitempty"`
	Target    string            `json:"target,omitempty"`
	Version   string            `json:"version,omitempty"`
	Tags      []string          `json:"tags,omitempty"`
	Approvals []attest.Evidence `json:"approvals,omitempty"`
	CI        *attest.Run       `json:"ci,omitempty"`
	// Chart is the one that came along, or that an approval names.
	Chart *attest.Chart `json:"chart,omitempty"`
	// Statement is the digest of the statement, Revokes those of the approvals that it takes back.
	Statement string   `json:"statement,omitempty"`
	Revokes   []string `json:"revokes,omitempty"`
	// Problem says why a statement cannot be read.
	Problem string `json:"problem,omitempty"`
}

// Trail is what happened to one image, the oldest first. Its JSON form is a contract.
type Trail struct {
	Component  string   `json:"component,omitempty"`
	Repository string   `json:"repository"`
	Digest     string   `json:"digest"`
	Version    string   `json:"version,omitempty"`
	Commit     string   `json:"commit,omitempty"`
	Platforms  []string `json:"platforms"`
	// Tags are those of the records, and the one that was asked for, that name the image now.
	Tags   []string `json:"tags"`
	Events []Event  `json:"events"`

	digest   digest.Digest
	manifest []byte
	found    []attest.Attestation
}

// Read tells what happened to an image.
func Read(ctx context.Context, x Image, keys approve.Keyring) (Trail, error) {
	raw, desc, err := x.Source.Manifest(ctx, x.Ref)
	if errors.Is(err, registry.ErrNotFound) {
		return Trail{}, fault.New(fault.Failed, x.subject(), "check the name; berth status shows what is where",
			"there is no such image")
	}
	if err != nil {
		return Trail{}, err
	}
	said := guard.Read(raw)
	t := Trail{
		Component: x.Component, Repository: x.Name, Digest: desc.Digest.String(), Commit: said.Revision,
		Platforms: append([]string{}, image.Index{Manifest: index(raw)}.Platforms()...), Tags: []string{},
		Events: []Event{}, digest: desc.Digest, manifest: raw,
	}
	if said.Version != nil {
		t.Version = said.Version.String()
	}
	if !said.Created.IsZero() {
		t.Events = append(t.Events, Event{
			At: said.Created, Kind: KindBuilt, Version: t.Version, Comment: "commit " + t.Commit,
		})
	}
	if t.found, err = attest.List(ctx, x.Source, desc.Digest); err != nil {
		return Trail{}, err
	}
	for _, a := range t.found {
		t.Events = append(t.Events, event(ctx, a, keys))
	}
	slices.SortStableFunc(t.Events, func(a, b Event) int { return a.At.Compare(b.At) })
	return t, t.findTags(ctx, x)
}

// findTags looks which of the tags that the image is known by name it now.
func (t *Trail) findTags(ctx context.Context, x Image) error {
	var known []string
	if digest.Digest(x.Ref).Validate() != nil {
		known = append(known, x.Ref)
	}
	for _, e := range t.Events {
		if e.Target == x.Name {
			known = append(known, e.Tags...)
		}
	}
	slices.Sort(known)
	for _, tag := range slices.Compact(known) {
		_, desc, err := x.Source.Manifest(ctx, tag)
		if err != nil && !errors.Is(err, registry.ErrNotFound) {
			return err
		}
		if err == nil && desc.Digest == t.digest {
			t.Tags = append(t.Tags, tag)
		}
	}
	return nil
}

// event is what an attestation tells.
func event(ctx context.Context, a attest.Attestation, keys approve.Keyring) Event {
	e := Event{At: a.Made(), Statement: a.ID.String()}
	switch said := a.Predicate.(type) {
	case *attest.Approval:
		e.Kind, e.From, e.To, e.Role, e.By = KindApproved, said.From, said.To, said.Role, said.Approver
		e.Expires, e.Comment, e.Version = said.Expires, said.Comment, said.Version
		if said.Chart != "" {
			e.Chart = &attest.Chart{Digest: said.Chart}
		}
		e.Signature, e.SignedBy = approver(ctx, a, keys, said.Role)
	case *attest.Revocation:
		e.Kind, e.To, e.Role, e.By = KindRevoked, said.To, said.Role, said.Approver
		e.Comment, e.Revokes = said.Comment, said.Revokes
		e.Signature, e.SignedBy = approver(ctx, a, keys, said.Role)
	case *attest.Promotion:
		e.Kind, e.From, e.To, e.By = KindPromoted, said.From, said.To, said.Who
		if said.Rollback {
			e.Kind = KindRolledBack
		}
		e.Source, e.Target, e.Version, e.Tags = said.Source, said.Target, said.Version, said.Tags
		e.Approvals, e.CI, e.Chart = said.Approvals, said.CI, said.Chart
		e.Signature, e.SignedBy = recorder(ctx, a, keys)
	default:
		e.Kind, e.Problem = KindUnreadable, a.Err.Error()
	}
	return e
}

// approver is the signature of an approval or revocation.
func approver(ctx context.Context, a attest.Attestation, keys approve.Keyring, role string) (Signature, string) {
	name, inRole := keys.ApproverOf(ctx, a.Document, role)
	switch {
	case !a.Signed:
		return SignatureNone, ""
	case name == "":
		return SignatureForeign, ""
	case !inRole:
		return SignatureWrongRole, name
	default:
		return SignatureGood, name
	}
}

// recorder is the signature of a record.
func recorder(ctx context.Context, a attest.Attestation, keys approve.Keyring) (Signature, string) {
	name := keys.RecorderOf(ctx, a.Document)
	switch {
	case !a.Signed:
		return SignatureNone, ""
	case name == "":
		return SignatureForeign, ""
	default:
		return SignatureGood, name
	}
}

// subject is host/repository:tag or host/repository@digest.
func (x Image) subject() string {
	if strings.Contains(x.Ref, ":") {
		return x.Name + "@" + x.Ref
	}
	return x.Name + ":" + x.Ref
}

// index reads an image index; the zero value for anything else.
func index(manifest []byte) ocispec.Index {
	var x ocispec.Index
	_ = json.Unmarshal(manifest, &x)
	return x
}
