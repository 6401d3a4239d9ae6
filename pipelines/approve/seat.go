package approve

import (
	"cmp"
	"fmt"
	"slices"
)

// seat gives each required role to another person, as many as can be. To go through the roles one by one would not do:
// somebody with two roles may be needed in the one that nobody else has.
func (r Rules) seat(v *Verdict) {
	good := r.candidates(v)
	taken := make([]int, len(r.Roles)) // the approval in each seat, -1 for none
	for i := range taken {
		taken[i] = -1
	}
	for seat := range r.Roles {
		r.fill(v, good, taken, seat, map[string]bool{})
	}
	for _, i := range good {
		if e := &v.Approvals[i]; !slices.Contains(taken, i) {
			e.Status, e.Reason = r.unseated(v, taken, *e)
		}
	}
	for seat, role := range r.Roles {
		if taken[seat] < 0 {
			v.Missing = append(v.Missing, Missing{
				Role: role, People: append([]string{}, r.Keys.People(role)...), CI: slices.Contains(r.CI, role),
			})
		}
	}
}

// unseated says why a good approval has no seat.
func (r Rules) unseated(v *Verdict, taken []int, e Entry) (Status, string) {
	empty := false // is there a seat that it could have had?
	for seat, i := range taken {
		empty = empty || i < 0 && r.Roles[seat] == e.Role
	}
	for seat, i := range taken {
		if i >= 0 && v.Approvals[i].person() == e.person() && (empty || r.Roles[seat] != e.Role) {
			return StatusSamePerson, fmt.Sprintf("%s counts as %s already", e.By, r.Roles[seat])
		}
	}
	if !slices.Contains(r.Roles, e.Role) {
		return StatusSpare, fmt.Sprintf("%s does not ask for %s", r.To, e.Role)
	}
	return StatusSpare, "it is not needed beside the others"
}

// candidates are the good approvals: of several by one person in one role, the one that lasts longest comes first.
func (r Rules) candidates(v *Verdict) []int {
	var good []int
	for i, e := range v.Approvals {
		if e.Status == StatusHeld {
			good = append(good, i)
		}
	}
	slices.SortStableFunc(good, func(a, b int) int {
		return cmp.Or(
			cmp.Compare(v.Approvals[a].person(), v.Approvals[b].person()),
			v.Approvals[b].Expires.Compare(v.Approvals[a].Expires),
		)
	})
	return good
}

// fill finds a person for a seat, moving others to free one (Kuhn's algorithm for bipartite matching). tried are the
// people who were asked.
func (r Rules) fill(v *Verdict, good, taken []int, seat int, tried map[string]bool) bool {
	for _, i := range good {
		e := v.Approvals[i]
		if e.Role != r.Roles[seat] || tried[e.person()] {
			continue
		}
		tried[e.person()] = true
		held := slices.IndexFunc(taken, func(j int) bool { return j >= 0 && v.Approvals[j].person() == e.person() })
		if held >= 0 && !r.fill(v, good, taken, held, tried) {
			continue
		}
		taken[seat] = i
		return true
	}
	return false
}

// person is who an approval counts for. The environment of a CI stands for people that berth does not know; each role
// counts by itself.
func (e Entry) person() string {
	if e.CI != nil {
		return "ci\x00" + e.Role
	}
	return "person\x00" + e.By
}
