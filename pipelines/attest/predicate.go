package attest

import (
	"fmt"
	"time"
)

// The types of predicates, and of the artifacts that carry them.
const (
	ApprovalType   = "https://berth.sh/approval/v1"
	RevocationType = "https://berth.sh/revocation/v1"
	PromotionType  = "https://berth.sh/promotion/v1"

	approvalArtifact   = "application/vnd.berth.approval.v1+json"
	revocationArtifact = "application/vnd.berth.revocation.v1+json"
	promotionArtifact  = "application/vnd.berth.promotion.v1+json"
)

// Predicate is what a statement says: [Approval], [Revocation] or [Promotion], by pointer.
type Predicate interface {
	// Type is the URI of the predicate's type.
	Type() string
	// artifactType is the type of the manifest that carries it.
	artifactType() string
	// made is when it was said.
	made() time.Time
}

// predicateOf reads the predicate of a statement.
func predicateOf(s Statement) (Predicate, error) {
	var p Predicate
	switch s.PredicateType {
	case ApprovalType:
		p = &Approval{}
	case RevocationType:
		p = &Revocation{}
	case PromotionType:
		p = &Promotion{}
	default:
		return nil, fmt.Errorf("predicate type %q is not known", s.PredicateType)
	}
	if err := s.Decode(p); err != nil {
		return nil, err
	}
	return p, nil
}

// artifactTypeOf is the artifact type of a predicate type, "" for one that is not ours.
func artifactTypeOf(predicateType string) string {
	for _, p := range []Predicate{&Approval{}, &Revocation{}, &Promotion{}} {
		if p.Type() == predicateType {
			return p.artifactType()
		}
	}
	return ""
}

// Approval lets one image come to one environment, as far as one role is asked.
type Approval struct {
	// Project and Component are those of berth.yaml.
	Project   string `json:"project"`
	Component string `json:"component"`
	// From is the environment that the image comes from, To the one that it may come to.
	From string `json:"from"`
	To   string `json:"to"`
	// Role is the one in which the approver speaks. Who that is, the key tells; the name is for people.
	Role     string `json:"role"`
	Approver string `json:"approver"`
	// Version and Commit are what the image said of itself when it was approved.
	Version string `json:"version,omitempty"`
	Commit  string `json:"commit,omitempty"`
	// Chart is the digest of the chart that comes along with the image; "" where none does.
	Chart string `json:"chart,omitempty"`
	// At is when it was given, Expires when it ends, both in UTC.
	At      time.Time `json:"approvedAt"`
	Expires time.Time `json:"expiresAt"`
	Comment string    `json:"comment,omitempty"`
}

// Type implements Predicate.
func (*Approval) Type() string         { return ApprovalType }
func (*Approval) artifactType() string { return approvalArtifact }
func (a *Approval) made() time.Time    { return a.At }

// Revocation takes approvals back.
type Revocation struct {
	Project   string `json:"project"`
	Component string `json:"component"`
	// To is the environment of the approvals.
	To string `json:"to"`
	// Role is that of the approvals, and Approver the person who takes them back.
	Role     string `json:"role"`
	Approver string `json:"approver"`
	// Revokes lists the approvals by the digests of their statements. An approval that is given later is not meant.
	Revokes []string `json:"revokes"`
	// At is when, in UTC.
	At      time.Time `json:"revokedAt"`
	Comment string    `json:"comment,omitempty"`
}

// Type implements Predicate.
func (*Revocation) Type() string         { return RevocationType }
func (*Revocation) artifactType() string { return revocationArtifact }
func (r *Revocation) made() time.Time    { return r.At }

// Promotion records that an image came to an environment, or that its floating tags went back.
type Promotion struct {
	Project   string `json:"project"`
	Component string `json:"component"`
	// Who is the account at the target registry; "" when anonymous.
	Who string `json:"who,omitempty"`
	// From and To are environments. A rollback names the same one twice.
	From string `json:"from"`
	To   string `json:"to"`
	// Source and Target are full repositories, host/name.
	Source string `json:"source"`
	Target string `json:"target"`
	// Version and Commit are what the image says of itself.
	Version string `json:"version,omitempty"`
	Commit  string `json:"commit,omitempty"`
	// Tags are those that name the image since, in the target repository.
	Tags []string `json:"tags"`
	// Approvals are those that the promotion rests on.
	Approvals []Evidence `json:"approvals"`
	// CI is the run that did it; nil outside of one.
	CI *Run `json:"ci,omitempty"`
	// Rollback tells that tags were moved back.
	Rollback bool `json:"rollback,omitempty"`
	// MovedFrom are the digests that the tags named before a rollback: tag → digest. Until there is another version, these
	// images are not promoted by themselves again.
	MovedFrom map[string]string `json:"movedFrom,omitempty"`
	// Chart is the one that came along with the image; nil for none. In the record of a chart it is the chart itself, and
	// Component is its repository below the registry's prefix.
	Chart *Chart `json:"chart,omitempty"`
	// At is when, in UTC.
	At time.Time `json:"promotedAt"`
}

// Chart is a Helm chart in a registry.
type Chart struct {
	// Repository is the full one, host/name, in the environment that the images came to.
	Repository string `json:"repository,omitempty"`
	Version    string `json:"version,omitempty"`
	Digest     string `json:"digest"`
}

// Type implements Predicate.
func (*Promotion) Type() string         { return PromotionType }
func (*Promotion) artifactType() string { return promotionArtifact }
func (p *Promotion) made() time.Time    { return p.At }

// Evidence is one approval that a promotion rests on.
type Evidence struct {
	Role string `json:"role"`
	// By is the person, or the CI whose protected environment stands for the role.
	By string `json:"by"`
	// Statement is the digest of the approval's statement; "" for a CI's.
	Statement string `json:"statement,omitempty"`
	// CI is the run whose protected environment stands for the role; nil for a signed approval.
	CI *Run `json:"ci,omitempty"`
}

// Run is a run of a CI, as its variables tell it.
type Run struct {
	// System is the CI, for example "GitHub Actions".
	System string `json:"system"`
	// Actor is who started it, where the CI tells.
	Actor string `json:"actor,omitempty"`
	// URL is the run's page.
	URL string `json:"url,omitempty"`
}
