package approve

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/berth-sh/berth/pipelines/attest"
	"github.com/berth-sh/berth/pipelines/fault"
)

// Status is what an approval is worth.
type Status string

// What an approval is worth. Only those that are held count.
const (
	StatusHeld       Status = "held"
	StatusSpare      Status = "spare"       // good, but its role is held by another one
	StatusSamePerson Status = "same person" // good, but its person holds another role
	StatusExpired    Status = "expired"
	StatusRevoked    Status = "revoked"
	StatusForeignKey Status = "foreign key" // the signature is by no key of the configuration, or forged
	StatusWrongRole  Status = "wrong role"  // the key is not listed for the role
	StatusUnsigned   Status = "unsigned"
	StatusOther      Status = "other" // for another environment, source or project
	// StatusOtherChart approvals are for the image with another chart, or without one.
	StatusOtherChart Status = "other chart"
	StatusDamaged    Status = "damaged"
)

// Entry is one approval and what it is worth.
type Entry struct {
	Status Status `json:"status"`
	// Reason explains a status that is not held.
	Reason string `json:"reason,omitempty"`
	Role   string `json:"role"`
	// By is the person to whom the key belongs; where no key is known, who the statement says it is.
	By string `json:"by"`
	// To is the environment that it lets the image come to.
	To      string    `json:"to"`
	Version string    `json:"version,omitempty"`
	At      time.Time `json:"approvedAt,omitzero"`
	Expires time.Time `json:"expiresAt,omitzero"`
	Comment string    `json:"comment,omitempty"`
	// Statement is the digest of the signed statement; "" for the approval of a CI.
	Statement string `json:"statement,omitempty"`
	// CI is the run whose protected environment approved; nil for a signed approval.
	CI *attest.Run `json:"ci,omitempty"`
}

// Verdict is what the approvals of one image are worth for one environment.
type Verdict struct {
	// Approvals are all that were found, in the order of their making. Those that are held are as many as there are
	// required roles, less the missing ones.
	Approvals []Entry `json:"approvals"`
	// Missing are the required roles that nobody holds, in the order of the configuration.
	Missing []Missing `json:"missing"`
}

// Missing is a role that has not approved.
type Missing struct {
	Role string `json:"role"`
	// People are those who could.
	People []string `json:"people"`
	// CI tells that a CI may give it.
	CI bool `json:"ci"`
}

// Held are the approvals that count.
func (v Verdict) Held() []Entry {
	return slices.DeleteFunc(slices.Clone(v.Approvals), func(e Entry) bool { return e.Status != StatusHeld })
}

// Evidence is what a record of the promotion says of the approvals that it rests on.
func (v Verdict) Evidence() []attest.Evidence {
	out := []attest.Evidence{}
	for _, e := range v.Held() {
		out = append(out, attest.Evidence{Role: e.Role, By: e.By, Statement: e.Statement, CI: e.CI})
	}
	return out
}

// Err is the refusal of a promotion whose approvals are missing, with the commands that would approve; nil when none
// is. subject names the image, for example gateway 1.2.3.
func (v Verdict) Err(subject string, image digest.Digest, to string) error {
	if len(v.Missing) == 0 {
		return nil
	}
	var roles, next []string
	for _, m := range v.Missing {
		roles = append(roles, m.Role)
		next = append(next, m.next(image, to))
	}
	reason := "the approval is missing of: "
	if len(roles) > 1 {
		reason = "the approvals are missing of: "
	}
	reason += strings.Join(roles, ", ")
	for _, e := range v.Approvals {
		if e.Status != StatusHeld && e.Status != StatusSpare && e.Status != StatusOther {
			reason += fmt.Sprintf("; that of %s as %s does not count (%s)", orSomebody(e.By), e.Role, e.why())
		}
	}
	return fault.New(fault.Refused, subject+" to "+to, strings.Join(next, "\n"), "%s", reason)
}

func (e Entry) why() string {
	if e.Reason != "" {
		return e.Reason
	}
	return string(e.Status)
}

func (m Missing) next(image digest.Digest, to string) string {
	return m.Next(fmt.Sprintf("berth approve --to %s --role %s --digest %s --key KEY", to, m.Role, image))
}

// Next says how the role can approve, by the command that a person of it would run.
func (m Missing) Next(command string) string {
	switch {
	case len(m.People) > 0:
		command += "   # " + strings.Join(m.People, " or ")
	case !m.CI:
		return fmt.Sprintf("add somebody with the role %s to approvers in berth.yaml; nobody has it", m.Role)
	}
	if m.CI {
		command += "\n  or in a protected job of the CI: berth promote --ci-approval " + m.Role
	}
	return command
}

func orSomebody(name string) string {
	if name == "" {
		return "somebody"
	}
	return name
}
