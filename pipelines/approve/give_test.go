package approve_test

import (
	"bytes"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/berth-sh/berth/pipelines/approve"
	"github.com/berth-sh/berth/pipelines/attest"
	"github.com/berth-sh/berth/pipelines/config"
	"github.com/berth-sh/berth/pipelines/fault"
)

func TestApprovalIsGivenAndTakenBack(t *testing.T) {
	t.Parallel()
	k := keys{}
	r := rules(t, k)
	repository, x := open(t)
	check := func() approve.Verdict {
		t.Helper()
		v, err := approve.Check(t.Context(), r, repository, x.Descriptor.Digest, nil, now())
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	step := func(revoke bool, by, role string, at time.Time) approve.Given {
		t.Helper()
		do := r.Give
		if revoke {
			do = r.Revoke
		}
		got, err := do(t.Context(), repository, x, approve.Approval{Signer: k.of(t, by), Role: role}, at)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	first := step(false, "ada", "", now())
	if first.Action != approve.ActionApproved || first.Role != "release-manager" || first.By != "ada" ||
		!slices.Equal(first.Missing, []string{"qa"}) || !first.Expires.Equal(now().AddDate(0, 0, 30)) {
		t.Errorf("first %+v", first)
	}
	if again := step(false, "ada", "", now().Add(time.Minute)); again.Action != approve.ActionUnchanged ||
		again.Statement != first.Statement {
		t.Errorf("again %+v", again)
	}
	if later := step(false, "ada", "", now().AddDate(0, 0, 7)); later.Action != approve.ActionApproved {
		t.Errorf("a week later: %+v", later)
	}
	if both := step(false, "grace", "qa", now()); len(both.Missing) > 0 {
		t.Errorf("both %+v", both)
	}
	if v := check(); len(v.Missing) > 0 || len(v.Held()) != 2 {
		t.Errorf("%+v", v)
	}
	// Anybody with the role may take it back, once.
	if back := step(true, "alan's other", "qa", now()); back.Action != approve.ActionRevoked ||
		!slices.Equal(back.Missing, []string{"qa"}) {
		t.Errorf("back %+v", back)
	}
	if back := step(true, "grace", "qa", now()); back.Action != approve.ActionUnchanged {
		t.Errorf("back again %+v", back)
	}
	if v := check(); !slices.Equal(missing(v), []string{"qa"}) {
		t.Errorf("%+v", v)
	}
	step(false, "grace", "qa", now().Add(time.Nanosecond))
	if v := check(); len(v.Missing) > 0 {
		t.Errorf("approved after all: %+v", v)
	}
}

// An image that is at the target already has its approvals there as well, and they are taken back in both places.
func TestApprovalReachesTheTarget(t *testing.T) {
	t.Parallel()
	k := keys{}
	r := rules(t, k)
	source, x := open(t)
	target, _ := open(t)
	promoted := x
	promoted.Also = []attest.Repository{target}
	a := approve.Approval{Signer: k.of(t, "grace")}
	if _, err := r.Give(t.Context(), source, x, a, now()); err != nil {
		t.Fatal(err)
	}
	got, err := r.Give(t.Context(), source, promoted, a, now())
	if err != nil || got.Action != approve.ActionApproved {
		t.Fatalf("%+v, %v", got, err)
	}
	if again, err := r.Give(t.Context(), source, promoted, a, now()); err != nil || again.Action != approve.ActionUnchanged {
		t.Errorf("again %+v, %v", again, err)
	}
	check := func(want int) {
		t.Helper()
		for _, repository := range []attest.Reader{source, target} {
			v, err := approve.Check(t.Context(), r, repository, x.Descriptor.Digest, nil, now())
			if err != nil || len(v.Held()) != want {
				t.Errorf("%+v, %v; want %d held", v, err, want)
			}
		}
	}
	check(1)
	if _, err := r.Revoke(t.Context(), source, promoted, a, now()); err != nil {
		t.Fatal(err)
	}
	check(0)
}

// A revocation means the statement, not the manifest that carries it: the same approval in another envelope is worth no
// more.
func TestRevokedApprovalIsNotAttachedAgain(t *testing.T) {
	t.Parallel()
	k := keys{}
	r := rules(t, k)
	repository, x := open(t)
	a := approve.Approval{Signer: k.of(t, "grace")}
	if _, err := r.Give(t.Context(), repository, x, a, now()); err != nil {
		t.Fatal(err)
	}
	found, err := attest.List(t.Context(), repository, x.Descriptor.Digest)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Revoke(t.Context(), repository, x, a, now()); err != nil {
		t.Fatal(err)
	}
	other := bytes.Replace(found[0].Bytes(), []byte(`"signatures":[`), []byte(`"signatures":[{"sig":"AAAA"},`), 1)
	doc, err := attest.ParseDocument(attest.EnvelopeMediaType, other)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := attest.Attach(t.Context(), repository, x.Descriptor, doc); err != nil {
		t.Fatal(err)
	}
	v, err := approve.Check(t.Context(), r, repository, x.Descriptor.Digest, nil, now())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]approve.Status{approve.StatusRevoked, approve.StatusRevoked}, statuses(v)); diff != "" {
		t.Errorf("statuses (-want +got):\n%s", diff)
	}
}

// The image next to it in the repository gets nothing from an approval.
func TestApprovalIsForOneImage(t *testing.T) {
	t.Parallel()
	k := keys{}
	r := rules(t, k)
	repository, x := open(t)
	other := image(t, repository, "another")
	if _, err := r.Give(t.Context(), repository, x, approve.Approval{Signer: k.of(t, "grace")}, now()); err != nil {
		t.Fatal(err)
	}
	// Not even when its very envelope is attached there.
	found, err := attest.List(t.Context(), repository, x.Descriptor.Digest)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := attest.Attach(t.Context(), repository, other.Descriptor, found[0].Document); err != nil {
		t.Fatal(err)
	}
	v, err := approve.Check(t.Context(), r, repository, other.Descriptor.Digest, nil, now())
	if err != nil {
		t.Fatal(err)
	}
	if len(v.Held()) > 0 || len(v.Approvals) != 1 || v.Approvals[0].Status != approve.StatusOther {
		t.Errorf("%+v", v)
	}
}

func TestKeysThatMayNotSpeakAreRefused(t *testing.T) {
	t.Parallel()
	k := keys{}
	r := rules(t, k)
	repository, x := open(t)
	for name, c := range map[string]struct {
		key, role, next string
		code            fault.Code
	}{
		"a stranger":          {"mallory", "qa", "add its public half to approvers", fault.Refused},
		"not their role":      {"ada", "qa", "its roles are: release-manager", fault.Refused},
		"a role of no use":    {"ada", "security", "production wants: release-manager, qa", fault.Usage},
		"nothing to do there": {"linus", "", "production wants: release-manager, qa", fault.Refused},
	} {
		t.Run(name, func(t *testing.T) {
			r := r
			r.Keys.Approvers = append(slices.Clone(r.Keys.Approvers),
				approve.Approver{Name: "linus", Role: "kernel", Key: k.of(t, "linus").PublicKey()})
			_, err := r.Give(t.Context(), repository, x, approve.Approval{Signer: k.of(t, c.key), Role: c.role}, now())
			if fault.CodeOf(err) != c.code || !strings.Contains(fault.NextOf(err), c.next) {
				t.Errorf("%d: %v\nnext: %s", fault.CodeOf(err), err, fault.NextOf(err))
			}
		})
	}
	if _, err := r.Revoke(t.Context(), repository, x, approve.Approval{Signer: k.of(t, "grace")}, now()); err == nil {
		t.Error("an approval that nobody gave was taken back")
	}
}

func TestKeysAreReadAsTheConfigurationNamesThem(t *testing.T) {
	t.Parallel()
	ada, grace := publicPEM(t, privateKey(t)), publicPEM(t, privateKey(t))
	private := []byte("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
	files := map[string][]byte{"ada.pub": ada, "grace.pub": grace, "secret.key": private}
	read := func(name string) ([]byte, error) {
		if data, ok := files[name]; ok {
			return data, nil
		}
		return nil, fs.ErrNotExist
	}
	parse := func(approvers string) (*config.Config, error) {
		return config.Parse("berth.yaml", []byte(`apiVersion: berth/v1
project: shop
components: {web: {go: {dir: web}}}
registries: {r: {prefix: ghcr.io/acme}}
environments: {dev: {registry: r, tags: [{branch: "**", set: ["{sha}"]}]}}
`+approvers+"\n"), func(string) (string, bool) { return "", false })
	}
	c, err := parse("approvers:\n  - {name: ada, role: rm, key: ada.pub}\n  - {name: ada, role: qa, key: ada.pub}\n" +
		"recorders: [{name: ci, key: grace.pub}]")
	if err != nil {
		t.Fatal(err)
	}
	ring, err := approve.LoadKeys(c, read)
	if err != nil || len(ring.Approvers) != 2 || len(ring.Recorders) != 3 {
		t.Errorf("%+v, %v", ring, err)
	}
	for name, x := range map[string]struct{ yaml, at, next string }{
		"no file": {"approvers: [{name: ada, role: rm, key: gone.pub}]", "berth.yaml:6:", "berth key generate"},
		"a private key": {
			"approvers: [{name: ada, role: rm, key: secret.key}]", "berth.yaml:6:", "take it out of the repository",
		},
		"one key, two people": {
			"approvers:\n  - {name: ada, role: rm, key: ada.pub}\n  - {name: grace, role: qa, key: ada.pub}",
			"berth.yaml:8:", "a key of their own",
		},
	} {
		c, err := parse(x.yaml)
		if err != nil {
			t.Fatal(err)
		}
		_, err = approve.LoadKeys(c, read)
		if f, ok := errors.AsType[*fault.Error](err); !ok || f.Code != fault.Usage ||
			!strings.HasPrefix(f.Subject, x.at) || !strings.Contains(f.Next, x.next) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// What the file itself can tell.
	for yaml, want := range map[string]string{
		"approvers: [{name: ada, role: rm, key: ../ada.pub}]": "is no file of the project",
		"approvers: [{name: '', role: rm, key: ada.pub}]":     "has no name",
		"recorders: [{name: ci, key: ''}]":                    "is no file of the project",
	} {
		if _, err := parse(yaml); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", yaml, err)
		}
	}
}
