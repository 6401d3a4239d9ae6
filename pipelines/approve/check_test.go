package approve_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/berth-sh/berth/pipelines/approve"
	"github.com/berth-sh/berth/pipelines/attest"
	"github.com/berth-sh/berth/pipelines/fault"
)

// statuses are what the approvals are worth, in the order of the attestations.
func statuses(v approve.Verdict) []approve.Status {
	var out []approve.Status
	for _, e := range v.Approvals {
		out = append(out, e.Status)
	}
	return out
}

func missing(v approve.Verdict) []string {
	var out []string
	for _, m := range v.Missing {
		out = append(out, m.Role)
	}
	return out
}

func TestEachRoleIsHeldByAnotherPerson(t *testing.T) {
	t.Parallel()
	k := keys{}
	r := rules(t, k)
	type by struct{ key, role string }
	const held, spare, same, wrong = approve.StatusHeld, approve.StatusSpare, approve.StatusSamePerson,
		approve.StatusWrongRole
	for name, c := range map[string]struct {
		given   []by
		want    []approve.Status
		missing []string
	}{
		"nobody":     {nil, nil, []string{"release-manager", "qa"}},
		"one of two": {[]by{{"ada", "release-manager"}}, []approve.Status{held}, []string{"qa"}},
		"both":       {[]by{{"ada", "release-manager"}, {"grace", "qa"}}, []approve.Status{held, held}, nil},
		"one person, two keys": {
			[]by{{"alan", "release-manager"}, {"alan's other", "qa"}}, []approve.Status{held, same}, []string{"qa"},
		},
		"the same person in the role that is needed": {
			[]by{{"alan", "release-manager"}, {"alan's other", "qa"}, {"ada", "release-manager"}},
			[]approve.Status{same, held, held},
			nil,
		},
		"two in one role":   {[]by{{"alan's other", "qa"}, {"grace", "qa"}}, []approve.Status{held, spare}, []string{"release-manager"}},
		"not one's role":    {[]by{{"ada", "qa"}, {"grace", "release-manager"}}, []approve.Status{wrong, wrong}, []string{"release-manager", "qa"}},
		"the other key":     {[]by{{"alan", "qa"}}, []approve.Status{wrong}, []string{"release-manager", "qa"}},
		"a stranger":        {[]by{{"mallory", "qa"}}, []approve.Status{approve.StatusForeignKey}, []string{"release-manager", "qa"}},
		"given twice":       {[]by{{"grace", "qa"}, {"grace", "qa"}}, []approve.Status{held, spare}, []string{"release-manager"}},
		"a role unasked of": {[]by{{"grace", "security"}}, []approve.Status{wrong}, []string{"release-manager", "qa"}},
	} {
		t.Run(name, func(t *testing.T) {
			var found []attest.Attestation
			for _, x := range c.given {
				found = append(found, signed(t, k.of(t, x.key), says(x.role)))
			}
			v := r.Decide(t.Context(), found, nil, now())
			if diff := cmp.Diff(c.want, statuses(v)); diff != "" {
				t.Errorf("statuses (-want +got):\n%s%+v", diff, v.Approvals)
			}
			if diff := cmp.Diff(c.missing, missing(v)); diff != "" {
				t.Errorf("missing (-want +got):\n%s", diff)
			}
			if (v.Err("gateway", ours, "production") == nil) != (len(c.missing) == 0) {
				t.Errorf("error %v", v.Err("gateway", ours, "production"))
			}
		})
	}
}

// Somebody who took the first seat moves to the one that nobody else can have.
func TestPeopleMoveToTheRoleThatNeedsThem(t *testing.T) {
	t.Parallel()
	k := keys{}
	r := rules(t, k)
	r.Roles = []string{"qa", "release-manager"}
	v := r.Decide(t.Context(), []attest.Attestation{
		signed(t, k.of(t, "alan"), says("release-manager")),
		signed(t, k.of(t, "alan's other"), says("qa")),
		signed(t, k.of(t, "grace"), says("qa")),
	}, nil, now())
	want := []approve.Status{approve.StatusHeld, approve.StatusSamePerson, approve.StatusHeld}
	if diff := cmp.Diff(want, statuses(v)); diff != "" || len(v.Missing) > 0 {
		t.Errorf("statuses (-want +got):\n%s%+v", diff, v.Missing)
	}
}

func TestARoleThatIsAskedForTwiceNeedsTwoPeople(t *testing.T) {
	t.Parallel()
	k := keys{}
	r := rules(t, k)
	r.Roles = []string{"qa", "qa"}
	grace, again := signed(t, k.of(t, "grace"), says("qa")), says("qa")
	again.Comment = "again"
	v := r.Decide(t.Context(), []attest.Attestation{grace, signed(t, k.of(t, "grace"), again)}, nil, now())
	if !slices.Equal(missing(v), []string{"qa"}) || v.Approvals[1].Status != approve.StatusSamePerson {
		t.Errorf("%+v", v)
	}
	v = r.Decide(t.Context(), []attest.Attestation{grace, signed(t, k.of(t, "alan's other"), says("qa"))}, nil, now())
	if len(v.Missing) > 0 {
		t.Errorf("two people: %+v", v)
	}
}

// Replayed: an approval that is good for something else. Forged: one that its key has not signed.
func TestReplayedAndForgedApprovalsAreRejected(t *testing.T) {
	t.Parallel()
	k := keys{}
	r := rules(t, k)
	r.Component = "gateway"
	with := func(change func(*attest.Approval)) attest.Attestation {
		p := says("qa")
		change(p)
		return signed(t, k.of(t, "grace"), p)
	}
	good := with(func(*attest.Approval) {})
	forged := signed(t, k.of(t, "mallory"), says("qa"))
	unsigned := signed(t, nil, says("qa"))
	otherImage := good
	otherImage.Predicate, otherImage.Err = nil, attest.ErrOtherImage
	for name, c := range map[string]struct {
		a      attest.Attestation
		want   approve.Status
		reason string
	}{
		"good":              {good, approve.StatusHeld, ""},
		"other digest":      {otherImage, approve.StatusOther, "another image"},
		"other target":      {with(func(p *attest.Approval) { p.To = "staging" }), approve.StatusOther, "for staging, not for production"},
		"other source":      {with(func(p *attest.Approval) { p.From = "dev" }), approve.StatusOther, "from dev, not from staging"},
		"other component":   {with(func(p *attest.Approval) { p.Component = "datastorage" }), approve.StatusOther, "the component datastorage"},
		"other project":     {with(func(p *attest.Approval) { p.Project = "x" }), approve.StatusOther, "the project x"},
		"other role":        {with(func(p *attest.Approval) { p.Role = "release-manager" }), approve.StatusWrongRole, "the key of grace is not listed for the role release-manager"},
		"expired":           {with(func(p *attest.Approval) { p.Expires = now() }), approve.StatusExpired, "2026-11-21"},
		"without an end":    {with(func(p *attest.Approval) { p.Expires = time.Time{} }), approve.StatusExpired, ""},
		"forged":            {forged, approve.StatusForeignKey, "no key of berth.yaml"},
		"without signature": {unsigned, approve.StatusUnsigned, "no signature"},
	} {
		t.Run(name, func(t *testing.T) {
			v := r.Decide(t.Context(), []attest.Attestation{c.a}, nil, now())
			if got := v.Approvals[0]; got.Status != c.want || !strings.Contains(got.Reason, c.reason) {
				t.Errorf("%s: %s; want %s: %s", got.Status, got.Reason, c.want, c.reason)
			}
			if slices.Contains(missing(v), "qa") != (c.want != approve.StatusHeld) {
				t.Errorf("missing %v", missing(v))
			}
		})
	}
}

func TestRevocationCountsFromThoseWhoMayGiveIt(t *testing.T) {
	t.Parallel()
	k := keys{}
	r := rules(t, k)
	given := signed(t, k.of(t, "grace"), says("qa"))
	revokes := func(by string, statements ...string) attest.Attestation {
		var s *attest.Signer
		if by != "" {
			s = k.of(t, by)
		}
		return signed(t, s, &attest.Revocation{To: "production", Role: "qa", Revokes: statements, At: now()})
	}
	for name, c := range map[string]struct {
		a       attest.Attestation
		revoked bool
	}{
		"the approver":           {revokes("grace", given.ID.String()), true},
		"the same role":          {revokes("alan's other", given.ID.String()), true},
		"another role":           {revokes("ada", given.ID.String()), false},
		"the other role's key":   {revokes("alan", given.ID.String()), false},
		"a stranger":             {revokes("mallory", given.ID.String()), false},
		"nobody":                 {revokes("", given.ID.String()), false},
		"another approval":       {revokes("grace", theirs.String()), false},
		"for another target":     {signed(t, k.of(t, "grace"), &attest.Revocation{To: "staging", Revokes: []string{given.ID.String()}}), false},
		"an approval of nothing": {revokes("grace"), false},
	} {
		t.Run(name, func(t *testing.T) {
			for _, found := range [][]attest.Attestation{{given, c.a}, {c.a, given}} {
				v := r.Decide(t.Context(), found, nil, now())
				if len(v.Approvals) != 1 || (v.Approvals[0].Status == approve.StatusRevoked) != c.revoked {
					t.Errorf("%+v", v.Approvals)
				}
			}
		})
	}
	// What is approved again afterwards is another statement.
	again := says("qa")
	again.At = again.At.Add(time.Second)
	v := r.Decide(t.Context(), []attest.Attestation{
		given, revokes("grace", given.ID.String()), signed(t, k.of(t, "grace"), again),
	}, nil, now())
	if v.Approvals[1].Status != approve.StatusHeld {
		t.Errorf("approved again: %+v", v.Approvals)
	}
}

func TestApprovalsOfACICountWhereTheEnvironmentAllowsIt(t *testing.T) {
	t.Parallel()
	k := keys{}
	r := rules(t, k)
	run := &attest.Run{System: "GitHub Actions", Actor: "octocat", URL: "https://github.com/acme/shop/actions/runs/1"}
	if _, err := r.FromCI(run, []string{"release-manager"}); fault.CodeOf(err) != fault.Refused {
		t.Errorf("not allowed: %v", err)
	}
	r.CI = []string{"release-manager"}
	if _, err := r.FromCI(nil, []string{"release-manager"}); fault.CodeOf(err) != fault.Refused {
		t.Errorf("no CI: %v", err)
	}
	if _, err := r.FromCI(run, []string{"release-manager", "qa"}); fault.CodeOf(err) != fault.Refused {
		t.Errorf("another role: %v", err)
	}
	ci, err := r.FromCI(run, []string{"release-manager", "release-manager"})
	if err != nil {
		t.Fatal(err)
	}
	v := r.Decide(t.Context(), []attest.Attestation{signed(t, k.of(t, "grace"), says("qa"))}, ci, now())
	want := []attest.Evidence{
		{Role: "qa", By: "grace", Statement: v.Approvals[0].Statement},
		{Role: "release-manager", By: "GitHub Actions (octocat)", CI: run},
	}
	if diff := cmp.Diff(want, v.Evidence()); diff != "" || len(v.Missing) > 0 {
		t.Errorf("evidence (-want +got):\n%s%+v", diff, v.Missing)
	}
}

func TestRefusalNamesTheCommandsThatApprove(t *testing.T) {
	t.Parallel()
	k := keys{}
	r := rules(t, k)
	r.Roles, r.CI = append(r.Roles, "security"), []string{"release-manager"}
	v := r.Decide(t.Context(), []attest.Attestation{signed(t, k.of(t, "mallory"), says("qa"))}, nil, now())
	err := v.Err("gateway 1.2.3", ours, "production")
	if fault.CodeOf(err) != fault.Refused {
		t.Errorf("code %d", fault.CodeOf(err))
	}
	if got, want := err.Error(), "gateway 1.2.3 to production: the approvals are missing of: release-manager, qa, security; "+
		"that of whoever as qa does not count (it is signed by no key of berth.yaml, or was changed)"; got != want {
		t.Errorf("error\n%s\nwant\n%s", got, want)
	}
	want := "berth approve --to production --role release-manager --digest " + ours.String() + " --key KEY   # ada or alan\n" +
		"  or in a protected job of the CI: berth promote --ci-approval release-manager\n" +
		"berth approve --to production --role qa --digest " + ours.String() + " --key KEY   # alan or grace\n" +
		"add somebody with the role security to approvers in berth.yaml; nobody has it"
	if diff := cmp.Diff(want, fault.NextOf(err)); diff != "" {
		t.Errorf("next (-want +got):\n%s", diff)
	}
}
