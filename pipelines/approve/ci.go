package approve

import (
	"slices"
	"strings"

	"github.com/berth-sh/berth/pipelines/attest"
	"github.com/berth-sh/berth/pipelines/fault"
)

// FromCI are the approvals of the run of a CI for the roles: only for those that the environment lets a CI give, and
// only in a CI.
func (r Rules) FromCI(run *attest.Run, roles []string) ([]attest.Evidence, error) {
	var out []attest.Evidence
	for _, role := range roles {
		switch {
		case !slices.Contains(r.CI, role):
			next := "let a person approve: berth approve --to " + r.To + " --role " + role + " --key KEY"
			if slices.Contains(r.Roles, role) {
				next += "\nor, if the CI protects this job, write promote: {ci: [" + role + "]} in environment " + r.To
			} else {
				next = "environment " + r.To + " wants: " + strings.Join(r.Roles, ", ")
			}
			return nil, fault.New(fault.Refused, "--ci-approval "+role, next,
				"environment %s does not take the role %s from a CI", r.To, role)
		case run == nil:
			return nil, fault.New(fault.Refused, "--ci-approval "+role,
				"run it in the CI's protected job, or let a person approve", "this is no run of a CI that berth knows")
		}
		by := run.System
		if run.Actor != "" {
			by += " (" + run.Actor + ")"
		}
		if !slices.ContainsFunc(out, func(e attest.Evidence) bool { return e.Role == role }) {
			out = append(out, attest.Evidence{Role: role, By: by, CI: run})
		}
	}
	return out, nil
}
