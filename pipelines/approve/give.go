package approve

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/berth-sh/berth/pipelines/attest"
	"github.com/berth-sh/berth/pipelines/fault"
)

// DefaultLife is how long an approval holds that names no end.
const DefaultLife = 30 * 24 * time.Hour

// Image is the image that is approved, in the repository that it would be promoted from.
type Image struct {
	Component  string
	Repository string // full name, host/path
	Descriptor ocispec.Descriptor
	// Also are other repositories that have the image, such as that of the environment that it is approved for.
	Also []attest.Repository
	// Version and Commit are what the image says of itself; "" when it says nothing.
	Version, Commit string
}

// Approval says who approves, as what, and for how long.
type Approval struct {
	Signer *attest.Signer
	// Role may be "" when the key has one of the roles that the environment wants, and no other of them.
	Role string
	// Life is how long it holds; 0 is [DefaultLife].
	Life    time.Duration
	Comment string
}

// Action is what happened.
type Action string

// The outcomes.
const (
	ActionApproved  Action = "approved"
	ActionUnchanged Action = "unchanged"
	ActionRevoked   Action = "revoked"
)

// Given is the outcome for one image. Its JSON form is a contract.
type Given struct {
	Component  string    `json:"component"`
	Repository string    `json:"repository"`
	Digest     string    `json:"digest"`
	Version    string    `json:"version,omitempty"`
	Commit     string    `json:"commit,omitempty"`
	Action     Action    `json:"action"`
	Role       string    `json:"role"`
	By         string    `json:"by"`
	Expires    time.Time `json:"expiresAt,omitzero"`
	// Statement is the digest of the approval, or of the revocation.
	Statement string `json:"statement"`
	// Missing are the roles that the image still lacks.
	Missing []string `json:"missing"`
}

// Speaker says for whom and in which role a key speaks. A key that is not listed, or not for the role, is refused.
func (r Rules) Speaker(key attest.PublicKey, role string) (name, asRole string, err error) {
	name, roles := r.Keys.RolesOf(key)
	if name == "" {
		return "", "", fault.New(fault.Refused, "key "+key.ID,
			"add its public half to approvers in berth.yaml, with a name and a role", "it is the key of no approver")
	}
	wanted := slices.DeleteFunc(slices.Clone(roles), func(x string) bool { return !slices.Contains(r.Roles, x) })
	switch {
	case role == "" && len(wanted) == 1:
		return name, wanted[0], nil
	case role == "" && len(wanted) == 0:
		return "", "", fault.New(fault.Refused, "key of "+name, "environment "+r.To+" wants: "+strings.Join(r.Roles, ", "),
			"its roles (%s) are not among those", strings.Join(roles, ", "))
	case role == "":
		return "", "", fault.New(fault.Usage, "key of "+name, "name one: --role "+strings.Join(wanted, "|"),
			"it has several of the roles that environment %s wants", r.To)
	case !slices.Contains(r.Roles, role):
		return "", "", fault.New(fault.Usage, "--role "+role,
			"environment "+r.To+" wants: "+cmp.Or(strings.Join(r.Roles, ", "), "no approval"),
			"environment %s does not ask for it", r.To)
	case !slices.Contains(roles, role):
		return "", "", fault.New(fault.Refused, "key of "+name, "its roles are: "+strings.Join(roles, ", "),
			"it is not listed for the role %s", role)
	}
	return name, role, nil
}

// Give approves an image in the repository that it would be promoted from, and where else it is. An approval of the
// same person in the same role that lasts about as long is left as it is.
func (r Rules) Give(
	ctx context.Context, repository attest.Repository, x Image, a Approval, now time.Time,
) (Given, error) {
	r.Component = x.Component
	name, role, err := r.Speaker(a.Signer.PublicKey(), a.Role)
	if err != nil {
		return Given{}, err
	}
	now = now.UTC()
	said := &attest.Approval{
		Project: r.Project, Component: x.Component, From: r.From, To: r.To, Role: role, Approver: name,
		Version: x.Version, Commit: x.Commit, At: now, Expires: now.Add(cmp.Or(a.Life, DefaultLife)), Comment: a.Comment,
		Chart: r.Chart,
	}
	out := x.given(ActionApproved, role, name)
	var lacking []attest.Repository
	for _, repository := range append([]attest.Repository{repository}, x.Also...) {
		v, err := Check(ctx, r, repository, x.Descriptor.Digest, nil, now)
		if err != nil {
			return Given{}, err
		}
		// An hour either way is the same end to a person, and lets a command that is run again send nothing.
		i := slices.IndexFunc(v.Approvals, func(e Entry) bool {
			return e.good() && e.Role == role && e.By == name && e.Expires.Add(time.Hour).After(said.Expires)
		})
		if i < 0 {
			lacking = append(lacking, repository)
			continue
		}
		out.Expires, out.Statement, out.Missing = v.Approvals[i].Expires, v.Approvals[i].Statement, v.missing()
	}
	if len(lacking) == 0 {
		out.Action = ActionUnchanged
		return out, nil
	}
	out.Expires = said.Expires
	if out.Statement, err = r.attach(ctx, lacking, x, said, a.Signer); err != nil {
		return Given{}, err
	}
	after, err := Check(ctx, r, repository, x.Descriptor.Digest, nil, now)
	out.Missing = after.missing()
	return out, err
}

// Revoke takes back the approvals of an image for the environment in a role, in the repository that it would be
// promoted from and where else it is. There must be one, unless it was taken back before.
func (r Rules) Revoke(
	ctx context.Context, repository attest.Repository, x Image, a Approval, now time.Time,
) (Given, error) {
	r.Component = x.Component
	name, role, err := r.Speaker(a.Signer.PublicKey(), a.Role)
	if err != nil {
		return Given{}, err
	}
	out := x.given(ActionRevoked, role, name)
	said := &attest.Revocation{
		Project: r.Project, Component: x.Component, To: r.To, Role: role, Approver: name,
		Revokes: []string{}, At: now.UTC(), Comment: a.Comment,
	}
	revoked := false
	var holding []attest.Repository
	for _, repository := range append([]attest.Repository{repository}, x.Also...) {
		v, err := Check(ctx, r, repository, x.Descriptor.Digest, nil, now)
		if err != nil {
			return Given{}, err
		}
		known := len(holding)
		for _, e := range v.Approvals {
			revoked = revoked || e.Role == role && e.Status == StatusRevoked
			if e.Role != role || !e.good() {
				continue
			}
			if !slices.Contains(said.Revokes, e.Statement) {
				said.Revokes = append(said.Revokes, e.Statement)
			}
			if len(holding) == known {
				holding = append(holding, repository)
			}
		}
		out.Missing = v.missing()
	}
	switch {
	case len(said.Revokes) > 0:
	case revoked:
		out.Action = ActionUnchanged
		return out, nil
	default:
		return Given{}, fault.New(fault.Failed, x.Repository+"@"+x.Descriptor.Digest.String(),
			"look at what there is: berth approvals list --to "+r.To,
			"nobody has approved it for %s as %s, so that there is nothing to take back", r.To, role)
	}
	if out.Statement, err = r.attach(ctx, holding, x, said, a.Signer); err != nil {
		return Given{}, err
	}
	after, err := Check(ctx, r, holding[0], x.Descriptor.Digest, nil, now)
	out.Missing = after.missing()
	return out, err
}

// attach signs a statement about the image, puts it into the repositories, and returns its digest.
func (r Rules) attach(
	ctx context.Context, repositories []attest.Repository, x Image, said attest.Predicate, signer *attest.Signer,
) (string, error) {
	statement, err := attest.NewStatement(x.Repository, x.Descriptor.Digest, said)
	if err != nil {
		return "", err
	}
	doc, err := attest.Sign(ctx, statement, signer)
	if err != nil {
		return "", fmt.Errorf("%s: %w", x.Component, err)
	}
	for _, repository := range repositories {
		if _, err := attest.Attach(ctx, repository, x.Descriptor, doc); err != nil {
			return "", err
		}
	}
	return doc.ID.String(), nil
}

func (x Image) given(action Action, role, by string) Given {
	return Given{
		Component: x.Component, Repository: x.Repository, Digest: x.Descriptor.Digest.String(),
		Version: x.Version, Commit: x.Commit, Action: action, Role: role, By: by, Missing: []string{},
	}
}

// good tells whether the approval is one, needed or not.
func (e Entry) good() bool {
	return e.Status == StatusHeld || e.Status == StatusSpare || e.Status == StatusSamePerson
}

// missing are the roles without the rest.
func (v Verdict) missing() []string {
	out := []string{}
	for _, m := range v.Missing {
		out = append(out, m.Role)
	}
	return out
}
