package approve

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/berth-sh/berth/pipelines/attest"
	"github.com/berth-sh/berth/pipelines/config"
	"github.com/berth-sh/berth/pipelines/fault"
)

// Rules say which approvals an environment wants.
type Rules struct {
	Project string
	// Component is the one whose image is asked about; "" takes the approvals of any.
	Component string
	// From and To are the environments of the promotion.
	From, To string
	// Chart is the digest of the chart that comes along, which approvals must name; "" takes those for any chart and none.
	Chart string
	// Roles must each be held by another person. The same role twice needs two people.
	Roles []string
	// CI are the roles that a CI may give.
	CI []string
	// Keys are whose signatures count.
	Keys Keyring
}

// RulesFor are those of the configuration for promotions to an environment.
func RulesFor(c *config.Config, keys Keyring, to string) (Rules, error) {
	e, ok := c.Environments[to]
	switch {
	case !ok:
		return Rules{}, fault.New(fault.Usage, "--to "+to,
			"known environments: "+strings.Join(c.EnvironmentNames(), ", "), "there is no environment %q", to)
	case e.Promote == nil:
		return Rules{}, fault.New(fault.Usage, "--to "+to, "add promote: {from: …} to it in berth.yaml, or publish to it",
			"no image is promoted to environment %s", to)
	}
	return Rules{
		Project: c.Project, From: e.Promote.From, To: to, Roles: e.Promote.Approvals, CI: e.Promote.CI, Keys: keys,
	}, nil
}

// Check reads the approvals of an image in the repository that it would be promoted from, and decides. ci are approvals
// that the CI of this run gives, made by [Rules.FromCI].
func Check(
	ctx context.Context, r Rules, repository attest.Reader, image digest.Digest, ci []attest.Evidence, now time.Time,
) (Verdict, error) {
	if len(r.Roles) == 0 {
		return Verdict{Approvals: []Entry{}, Missing: []Missing{}}, nil // nothing to ask a registry for
	}
	found, err := attest.List(ctx, repository, image, attest.ApprovalType, attest.RevocationType)
	if err != nil {
		return Verdict{}, err
	}
	return r.Decide(ctx, found, ci, now), nil
}

// Decide says what the attestations of one image are worth. It asks no registry.
func (r Rules) Decide(
	ctx context.Context, found []attest.Attestation, ci []attest.Evidence, now time.Time,
) Verdict {
	v := Verdict{Approvals: []Entry{}, Missing: []Missing{}}
	for _, a := range found {
		_, approval := a.Predicate.(*attest.Approval)
		if approval || a.Predicate == nil && !a.OfType(attest.RevocationType) && !a.OfType(attest.PromotionType) {
			v.Approvals = append(v.Approvals, r.judge(ctx, a, now))
		}
	}
	r.revoke(ctx, &v, found)
	for _, e := range ci {
		v.Approvals = append(v.Approvals, Entry{Status: StatusHeld, Role: e.Role, By: e.By, To: r.To, CI: e.CI})
	}
	r.seat(&v)
	return v
}

// judge looks at one approval by itself.
func (r Rules) judge(ctx context.Context, a attest.Attestation, now time.Time) Entry {
	said, ok := a.Predicate.(*attest.Approval)
	if !ok {
		status := StatusDamaged
		if errors.Is(a.Err, attest.ErrOtherImage) {
			status = StatusOther
		}
		return Entry{Status: status, Reason: a.Err.Error(), Statement: string(a.ID)}
	}
	e := Entry{
		Status: StatusHeld, Role: said.Role, By: said.Approver, To: said.To, Version: said.Version,
		At: said.At, Expires: said.Expires, Comment: said.Comment, Statement: string(a.ID),
	}
	reject := func(s Status, format string, args ...any) Entry {
		e.Status, e.Reason = s, fmt.Sprintf(format, args...)
		return e
	}
	// Who signed comes first: nothing that a stranger wrote is worth another word.
	if !a.Signed {
		return reject(StatusUnsigned, "it has no signature")
	}
	name, inRole := r.Keys.ApproverOf(ctx, a.Document, said.Role)
	if name == "" {
		return reject(StatusForeignKey, "it is signed by no key of berth.yaml, or was changed")
	}
	e.By = name
	switch {
	case !inRole:
		return reject(StatusWrongRole, "the key of %s is not listed for the role %s", name, said.Role)
	case said.Project != r.Project:
		return reject(StatusOther, "it is for the project %s", said.Project)
	case r.Component != "" && said.Component != r.Component:
		return reject(StatusOther, "it is for the component %s", said.Component)
	case said.To != r.To:
		return reject(StatusOther, "it is for %s, not for %s", said.To, r.To)
	case said.From != r.From:
		return reject(StatusOther, "it is for images from %s, not from %s", said.From, r.From)
	case r.Chart != "" && said.Chart != r.Chart:
		return reject(StatusOtherChart, "it does not name the chart %s", r.Chart)
	case !now.Before(said.Expires):
		return reject(StatusExpired, "it ended on %s", said.Expires.UTC().Format(time.DateOnly))
	}
	return e
}

// revoke applies the revocations. One counts when it is signed by the person who approved, by whichever key, or by
// somebody with the role of the approval.
func (r Rules) revoke(ctx context.Context, v *Verdict, found []attest.Attestation) {
	for _, a := range found {
		said, ok := a.Predicate.(*attest.Revocation)
		if !ok {
			continue
		}
		for i := range v.Approvals {
			e := &v.Approvals[i]
			if e.Status != StatusHeld || e.To != said.To || !slices.Contains(said.Revokes, e.Statement) {
				continue
			}
			entitled := r.Keys.keys(func(x Approver) bool { return x.Name == e.By || x.Role == e.Role })
			if key, err := a.SignedBy(ctx, entitled...); err == nil {
				e.Status = StatusRevoked
				e.Reason = fmt.Sprintf("%s took it back on %s", r.Keys.owner(key), said.At.UTC().Format(time.DateOnly))
			}
		}
	}
}
