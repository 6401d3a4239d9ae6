package audit_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/berth-sh/berth/pipelines/attest"
	"github.com/berth-sh/berth/pipelines/audit"
	"github.com/berth-sh/berth/pipelines/fault"
)

func (w *world) trail(t *testing.T) audit.Trail {
	t.Helper()
	trail, err := audit.Read(t.Context(), w.image, w.ring)
	if err != nil {
		t.Fatal(err)
	}
	return trail
}

func TestTrailTellsTheRoadAndItsSignatures(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	given := w.says(t, "ada", approval("release-manager", "ada"))
	w.says(t, "mallory", approval("qa", "grace"))
	wrong := approval("qa", "ada")
	wrong.At = now().Add(-time.Hour)
	w.says(t, "ada", wrong)
	record := promotion()
	record.CI = &attest.Run{System: "GitHub Actions", Actor: "octocat", URL: "https://github.com/acme/shop/actions/runs/1"}
	w.says(t, "ci", record)
	back := promotion()
	back.Rollback, back.At, back.From = true, now().Add(time.Hour), "production"
	w.says(t, "", back)
	w.says(t, "ada", &attest.Revocation{
		To: "production", Role: "release-manager", Approver: "ada", Revokes: []string{given.ID.String()},
		At: now().Add(2 * time.Hour), Comment: "a leak",
	})

	trail := w.trail(t)
	type seen struct {
		kind      audit.Kind
		signature audit.Signature
		by        string
	}
	var got []seen
	for _, e := range trail.Events {
		got = append(got, seen{e.Kind, e.Signature, e.SignedBy})
	}
	want := []seen{
		{audit.KindBuilt, "", ""},
		{audit.KindApproved, audit.SignatureGood, "ada"},
		{audit.KindApproved, audit.SignatureForeign, ""},
		{audit.KindApproved, audit.SignatureWrongRole, "ada"},
		{audit.KindPromoted, audit.SignatureGood, "ci"},
		{audit.KindRolledBack, audit.SignatureNone, ""},
		{audit.KindRevoked, audit.SignatureGood, "ada"},
	}
	// The first two approvals are of one moment, and in the order of their random signatures.
	if got[1].signature != audit.SignatureGood {
		got[1], got[2] = got[2], got[1]
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(seen{})); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"v1.2.3"}, trail.Tags); diff != "" {
		t.Errorf("tags: latest names nothing (-want +got):\n%s", diff)
	}
	var text bytes.Buffer
	if err := trail.Text(&text); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"gateway 1.2.3\nquay.io/kubernaut/gateway@" + w.root.Digest.String() + "\ncommit 0123456789ab, platforms linux/amd64 " +
			"linux/arm64, tags v1.2.3\n\nWHEN ",
		"2026-11-18 12:00:00Z  built ",
		"2026-11-21 12:00:00Z  promoted     staging → production  ci in GitHub Actions   good         tags v1.2.3 latest; " +
			"release-manager by ada; qa by grace; https://github.com/acme/shop/actions/runs/1\n",
		"2026-11-21 13:00:00Z  rolled back  production            kubernaut+release      unsigned ",
		"2026-11-21 14:00:00Z  revoked      production            ada (release-manager)  good         " +
			"takes back 1 approval; a leak\n",
	} {
		if !strings.Contains(text.String(), line) {
			t.Errorf("the text lacks %q:\n%s", line, text.String())
		}
	}
}

func TestMermaidShowsTheRoad(t *testing.T) {
	t.Parallel()
	w := released(t, "ci")
	evil := promotion()
	evil.From, evil.To, evil.At = "production", `x"] --> evil`, now().Add(time.Hour)
	evil.Approvals = nil
	w.says(t, "", evil)
	var got bytes.Buffer
	if err := audit.Mermaid(&got, []audit.Trail{w.trail(t)}); err != nil {
		t.Fatal(err)
	}
	want := `flowchart LR
  subgraph i0["gateway 1.2.3<br/>` + w.root.Digest.String()[:19] + `"]
    i0b(["commit 0123456789ab"])
    i0e0["staging"]
    i0e1["production"]
    i0e2["x#quot;] --#gt; evil"]
    i0b --> i0e0
    i0e0 -->|"2026-11-21<br/>signed by ci<br/>release-manager: ada<br/>qa: grace<br/>v1.2.3 latest"| i0e1
    i0e1 -->|"2026-11-21<br/>unsigned<br/>v1.2.3 latest"| i0e2
  end
`
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Errorf("chart (-want +got):\n%s", diff)
	}
}

func TestTrailOfWhatIsNotThere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.image.Ref = "v9"
	_, err := audit.Read(t.Context(), w.image, w.ring)
	if fault.CodeOf(err) != fault.Failed || !strings.Contains(err.Error(), name+":v9: there is no such image") {
		t.Errorf("error %v", err)
	}
}

// Somebody attached a statement about another image here: it is told, and counts for nothing.
func TestTrailShowsWhatCannotBeRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	statement, err := attest.NewStatement(name, "sha256:"+"0000000000000000000000000000000000000000000000000000000000000000",
		approval("qa", "grace"))
	if err != nil {
		t.Fatal(err)
	}
	doc, err := attest.Sign(t.Context(), statement, w.keys["grace"])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := attest.Attach(t.Context(), w.repository, w.root, doc); err != nil {
		t.Fatal(err)
	}
	events := w.trail(t).Events
	if e := events[0]; e.Kind != audit.KindUnreadable || e.Problem != "it is about another image" {
		t.Errorf("events %+v", events)
	}
}
