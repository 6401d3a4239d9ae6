package promote_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/Masterminds/semver/v3"
	"github.com/opencontainers/go-digest"

	"github.com/berth-sh/berth/pipelines/attest"
	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/promote"
)

func to(environment string) promote.Request { return promote.Request{To: environment} }

// road publishes a commit and promotes it to production.
func (y *yard) road(k cargo) {
	y.t.Helper()
	must(y.t, y.publish(y.t.Context(), k))
	for _, environment := range []string{"staging", "production"} {
		if _, err := y.promote(y.t.Context(), k, to(environment)); err != nil {
			y.t.Fatalf("%s to %s: %v\nnext: %s", k.version, environment, err, fault.NextOf(err))
		}
	}
}

func (y *yard) digest(k cargo, component string) string {
	for _, x := range y.build(k) {
		if x.Component == component {
			return x.Descriptor.Digest.String()
		}
	}
	return ""
}

func TestTheRoadOfARelease(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]options{"referrers API": {}, "fallback tags": {fallback: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			y := newYard(t, o)
			k := cargo{version: "1.0.0", day: 1}
			y.road(k)
			want := map[string]string{}
			for _, component := range []string{"alpha", "bravo"} {
				for _, tag := range []string{"staging-v1.0.0-rc1", "staging-latest", "v1.0.0", "v1.0", "v1", "latest"} {
					want[component+":"+tag] = y.digest(k, component)
				}
			}
			same(t, "production", y.tags("prd.example.com"), want)
			records := y.records("alpha", y.digest(k, "alpha"))
			if len(records) != 2 || records[0].To != "staging" || records[1].To != "production" || records[1].Rollback ||
				strings.Join(records[1].Tags, " ") != "v1.0.0 v1.0 v1 latest" || records[1].Commit != commit(1) ||
				records[1].Who != "robot" {
				t.Errorf("%+v", records)
			}
			// Again: nothing but looks, and the tags are as they were.
			y.reset()
			for _, environment := range []string{"staging", "production"} {
				r, err := y.promote(t.Context(), k, to(environment))
				must(t, err)
				for tag, action := range actions(r) {
					if action != "unchanged" {
						t.Errorf("%s: %s", tag, action)
					}
				}
			}
			if n := y.count("", "/") - y.count("HEAD", "/") - y.count("GET", "/"); n != 0 {
				t.Errorf("%d requests that write: %v", n, y.log)
			}
			// Two components: to staging, 1 look at the source, 1 list and 1 candidate and 2 tags at the target;
			// to production, 1 list and 1 look at the source and 4 tags.
			if n := y.requests.Load(); n != 2*(5+6) {
				t.Errorf("%d requests: %v", n, y.log)
			}
			same(t, "after the second time", y.tags("prd.example.com"), want)
		})
	}
}

func TestReleaseCandidatesAreCountedAtTheTarget(t *testing.T) {
	t.Parallel()
	y := newYard(t, options{})
	for n := 1; n <= 11; n++ {
		k := cargo{version: "1.0.0", day: n}
		must(t, y.publish(t.Context(), k))
		for range 2 { // a digest keeps the number that it has
			_, err := y.promote(t.Context(), k, to("staging"))
			must(t, err)
		}
	}
	tags := y.tags("prd.example.com")
	last := cargo{version: "1.0.0", day: 11}
	if tags["alpha:staging-v1.0.0-rc11"] != y.digest(last, "alpha") || len(tags) != 2*12 {
		t.Errorf("%v", tags)
	}
	// rc11 comes after rc9.
	_, err := y.promote(t.Context(), last, to("production"))
	must(t, err)
	if got := y.tags("prd.example.com")["bravo:v1.0.0"]; got != y.digest(last, "bravo") {
		t.Errorf("v1.0.0 names %s", got)
	}
	// A run that was interrupted after one component is finished under the same number, and one of a part counts on.
	next := cargo{version: "1.0.0", day: 12}
	must(t, y.publish(t.Context(), next))
	_, err = y.promote(t.Context(), next, promote.Request{To: "staging", Components: []string{"bravo"}})
	must(t, err)
	_, err = y.promote(t.Context(), next, to("staging"))
	must(t, err)
	tags = y.tags("prd.example.com")
	for _, component := range []string{"alpha", "bravo"} {
		if tags[component+":staging-v1.0.0-rc12"] != y.digest(next, component) || tags[component+":staging-v1.0.0-rc13"] != "" {
			t.Errorf("%s: %v", component, tags)
		}
	}
}

// A fix of 1.0 after 1.1 moves v1.0, but neither v1 nor latest; a pre-release moves nothing; a late job harms nothing.
func TestFloatingTagsFollowTheirLines(t *testing.T) {
	t.Parallel()
	y := newYard(t, options{})
	first, second := cargo{version: "1.0.0", day: 1}, cargo{version: "1.1.0", day: 2}
	fix, pre := cargo{version: "1.0.1", day: 3}, cargo{version: "2.0.0-rc.1", day: 4}
	for _, k := range []cargo{first, second, fix, pre} {
		y.road(k)
	}
	late, err := y.promote(t.Context(), first, to("production"))
	must(t, err)
	if got := actions(late); got["alpha:v1.0.0"] != "unchanged" || got["alpha:latest"] != "kept" || got["alpha:v1.0"] != "kept" {
		t.Errorf("the late job: %v", got)
	}
	tags := y.tags("prd.example.com")
	for tag, k := range map[string]cargo{
		"v1.0.0": first, "v1.1.0": second, "v1.0.1": fix, "v2.0.0-rc.1": pre,
		"v1.0": fix, "v1.1": second, "v1": second, "latest": second, "staging-latest": pre,
	} {
		if tags["alpha:"+tag] != y.digest(k, "alpha") {
			t.Errorf("%s names %s, want %s", tag, tags["alpha:"+tag], k.version)
		}
	}
	if tags["alpha:v2"] != "" || tags["alpha:v2.0"] != "" {
		t.Error("a pre-release has floating tags")
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	k := cargo{version: "1.0.0", day: 1}
	cases := map[string]struct {
		options options
		built   cargo
		request promote.Request
		before  func(t *testing.T, y *yard)
		want    []string
	}{
		"nothing is published": {
			request: to("staging"),
			want:    []string{"there is no image of commit 420000100000", "dev-4200001", "berth publish --env dev"},
		},
		"nothing is in staging": {
			built: k, request: to("production"),
			want: []string{"there is no image of version 1.0.0 in environment staging", "berth promote --to staging"},
		},
		"another environment than the rule's": {
			built: k, request: promote.Request{To: "production", From: []string{"dev"}},
			want: []string{"images come to production from environment staging, and environment dev is not in it"},
		},
		"a repository of another environment": {
			built: k, request: promote.Request{To: "production", From: []string{"dev.example.com/o/alpha:dev-4200001"}},
			want: []string{"images come to production from environment staging, and dev.example.com/o/alpha is not in it"},
		},
		"a tag of another environment in a shared repository": {
			built: k, request: promote.Request{To: "production", From: []string{"latest"}},
			before: func(t *testing.T, y *yard) { t.Helper(); y.road(k) },
			want:   []string{"images come to production from environment staging, and latest is not in it"},
		},
		"a digest that only another environment has": {
			built: k, request: promote.Request{To: "production"},
			before: func(t *testing.T, y *yard) {
				t.Helper()
				y.road(k)
				r := y.repository("prd.example.com/o/alpha")
				for _, tag := range []string{"staging-v1.0.0-rc1", "staging-latest"} {
					must(t, r.Untag(t.Context(), tag))
				}
			},
			want: []string{"is not in it"},
		},
		"an expiry label": {
			built: cargo{version: "1.0.0", day: 1, expires: "2w"}, request: to("staging"),
			want: []string{"quay.expires-after=2w would make Quay delete it in staging", "build it without the label"},
		},
		"a missing platform": {
			built: cargo{version: "1.0.0", day: 1, only: "amd64"}, request: to("staging"),
			want: []string{"the image lacks linux/arm64"},
		},
		"uncommitted work": {
			built: cargo{version: "1.0.0", day: 1, suffix: "-dirty"}, request: to("staging"),
			want: []string{"the image holds uncommitted work on commit 420000100000"},
		},
		"another version than asked for": {
			built: k, request: promote.Request{To: "staging", From: []string{"dev-latest"}, Version: version("1.2.0")},
			want: []string{"the image is of version 1.0.0, not 1.2.0"},
		},
		"an account that may not write": {
			options: options{writers: "staging-automation"}, built: k, request: to("staging"),
			want: []string{"robot is not among the accounts", "staging-automation"},
		},
		"approvals that are missing": {
			options: options{approvals: true}, built: k, request: to("staging"),
			want: []string{"the approval is missing of: release-manager", "berth approve --to staging --role release-manager --key KEY   # Ann"},
		},
		"a released version of another image": {
			built: cargo{version: "1.0.0", day: 2}, request: to("production"),
			before: func(t *testing.T, y *yard) {
				t.Helper()
				y.road(k)
				_, err := y.promote(t.Context(), cargo{version: "1.0.0", day: 2}, to("staging"))
				must(t, err)
			},
			want: []string{"prd.example.com/o/alpha:v1.0.0", "of commit " + commit(1), "of commit " + commit(2), "berth version bump patch"},
		},
		"a record without a signature": {
			options: options{signed: true}, built: k, request: to("production"),
			before: func(t *testing.T, y *yard) {
				t.Helper()
				_, err := y.promote(t.Context(), k, to("staging"))
				must(t, err)
			},
			want: []string{"wants the records of promotions to be signed", "--key KEY"},
		},
		"a rollback to what somebody pushed past the approvals": {
			options: options{approvals: true}, built: k,
			request: promote.Request{To: "production", Rollback: true, Version: version("1.0.0")},
			before: func(t *testing.T, y *yard) {
				t.Helper()
				must(t, y.approve(t.Context(), "ann", "release-manager", "staging", "dev-4200001"))
				_, err := y.promote(t.Context(), k, to("staging"))
				must(t, err)
				for _, name := range y.config.ComponentNames() {
					r, err := y.client("robot").Repository("prd.example.com/o/" + name)
					must(t, err)
					raw, desc, err := r.Manifest(t.Context(), "staging-v1.0.0-rc1")
					must(t, err)
					must(t, r.Tag(t.Context(), raw, desc, "v1.0.0"))
				}
			},
			want: []string{"no record says that this image was promoted to production", "berth audit prd.example.com/o/alpha:v1.0.0"},
		},
		"a rollback to what was never released": {
			built: k, request: promote.Request{To: "production", Rollback: true, Version: version("0.9.0")},
			before: func(t *testing.T, y *yard) { t.Helper(); y.road(k) },
			want:   []string{"there is no image of version 0.9.0", "berth status"},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			y := newYard(t, c.options)
			if c.built.version != "" {
				must(t, y.publish(t.Context(), c.built))
			}
			if c.before != nil {
				c.before(t, y)
			}
			if name == "a digest that only another environment has" {
				c.request.From = []string{"prd.example.com/o/alpha@" + y.digest(k, "alpha")}
			}
			want := y.tags("prd.example.com")
			y.reset()
			checkout := k
			if c.built.version != "" {
				checkout = c.built
			}
			_, err := y.promote(t.Context(), checkout, c.request)
			failed(t, err, fault.Refused, c.want...)
			if n := y.count("PUT", "") + y.count("POST", "") + y.count("DELETE", ""); n != 0 {
				t.Errorf("%d requests that write: %v", n, y.log)
			}
			same(t, "after the refusal", y.tags("prd.example.com"), want)
		})
	}
}

func TestUsage(t *testing.T) {
	t.Parallel()
	y := newYard(t, options{})
	for name, c := range map[string]struct {
		request promote.Request
		want    string
	}{
		"unknown environment":        {to("moon"), `there is no environment "moon"`},
		"an environment without one": {to("dev"), "environment dev takes no promotions"},
		"an unknown component":       {promote.Request{To: "staging", Components: []string{"zulu"}}, `there is no component "zulu"`},
		"a rollback to nowhere":      {promote.Request{To: "production", Rollback: true}, "a rollback needs the version"},
		"a rollback to something else": {promote.Request{
			To: "production", Rollback: true, Version: version("1.0.0"), From: []string{"latest"},
		}, "a rollback goes to the image that the version's own tag names"},
		"a component for a repository": {
			promote.Request{To: "staging", From: []string{"alpha:dev-4200001"}}, "it names a component, not a repository",
		},
		"no tag":   {promote.Request{To: "staging", From: []string{"dev.example.com/o/alpha"}}, "it names no tag and no digest"},
		"two tags": {promote.Request{To: "staging", From: []string{"a", "b"}}, "there is another tag already"},
	} {
		_, err := y.promote(t.Context(), cargo{version: "1.0.0", day: 1}, c.request)
		if fault.CodeOf(err) != fault.Usage || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: code %d, %v", name, fault.CodeOf(err), err)
		}
	}
	if y.requests.Load() != 0 {
		t.Errorf("requests: %v", y.log)
	}
}

// Every role must have approved, and the approvals travel along and stand in the record.
func TestApprovalsOpenTheRoad(t *testing.T) {
	t.Parallel()
	y := newYard(t, options{approvals: true})
	k := cargo{version: "1.0.0", day: 1}
	must(t, y.publish(t.Context(), k))
	must(t, y.approve(t.Context(), "ann", "release-manager", "staging", "dev-4200001"))
	_, err := y.promote(t.Context(), k, to("staging"))
	must(t, err)
	must(t, y.approve(t.Context(), "ann", "release-manager", "production", "staging-v1.0.0-rc1"))
	_, err = y.promote(t.Context(), k, to("production"))
	failed(t, err, fault.Refused, "the approval is missing of: qa", "--role qa")
	if strings.Contains(err.Error(), "release-manager") {
		t.Errorf("names a role that has approved: %v", err)
	}
	must(t, y.approve(t.Context(), "bob", "qa", "production", "staging-v1.0.0-rc1"))
	r, err := y.promote(t.Context(), k, to("production"))
	must(t, err)
	if got := r.Images[0].Approvals; len(got) != 2 || got[0].By != "Ann" || got[1].By != "Bob" {
		t.Errorf("%+v", got)
	}
	records := y.records("alpha", y.digest(k, "alpha"))
	if len(records) != 2 || len(records[1].Approvals) != 2 || records[1].Approvals[1].Role != "qa" {
		t.Errorf("%+v", records)
	}
	approvals, err := attest.List(t.Context(), y.repository("prd.example.com/o/alpha"),
		digest.Digest(y.digest(k, "alpha")), attest.ApprovalType)
	if err != nil || len(approvals) != 3 {
		t.Errorf("%d approvals at the target, want those for staging and for production: %v", len(approvals), err)
	}
}

func TestRollback(t *testing.T) {
	t.Parallel()
	y := newYard(t, options{})
	first, second := cargo{version: "1.0.0", day: 1}, cargo{version: "1.1.0", day: 2}
	y.road(first)
	y.road(second)
	back := promote.Request{To: "production", Rollback: true, Version: version("1.0.0")}
	r, err := y.promote(t.Context(), second, back)
	must(t, err)
	want := map[string]string{"alpha:v1.0": "unchanged", "alpha:v1": "moved", "alpha:latest": "moved"}
	for tag, action := range want {
		if got := actions(r)[tag]; got != action {
			t.Errorf("%s was %s, want %s", tag, got, action)
		}
	}
	tags := y.tags("prd.example.com")
	for tag, k := range map[string]cargo{
		"latest": first, "v1": first, "v1.0": first, "v1.1": second, "v1.0.0": first, "v1.1.0": second, "staging-latest": second,
	} {
		if tags["bravo:"+tag] != y.digest(k, "bravo") {
			t.Errorf("%s names %s, want %s", tag, tags["bravo:"+tag], k.version)
		}
	}
	records := y.records("alpha", y.digest(first, "alpha"))
	last := records[len(records)-1]
	if !last.Rollback || last.MovedFrom["latest"] != y.digest(second, "alpha") || last.To != "production" {
		t.Errorf("%+v", last)
	}
	// The late job of 1.1.0 does not undo it; neither does a second rollback do anything.
	late, err := y.promote(t.Context(), second, to("production"))
	must(t, err)
	if got := actions(late); got["alpha:latest"] != "kept" || got["alpha:v1"] != "kept" || got["alpha:v1.1.0"] != "unchanged" {
		t.Errorf("the late job: %v", got)
	}
	y.reset()
	_, err = y.promote(t.Context(), second, back)
	must(t, err)
	if n := y.count("PUT", "") + y.count("POST", ""); n != 0 {
		t.Errorf("the second rollback wrote: %v", y.log)
	}
	// Forward again: by a newer version, or by a rollback to the one that was left.
	_, err = y.promote(t.Context(), second, promote.Request{To: "production", Rollback: true, Version: version("1.1.0")})
	must(t, err)
	if got := y.tags("prd.example.com")["alpha:latest"]; got != y.digest(second, "alpha") {
		t.Errorf("latest names %s", got)
	}
	must(t, err)
	third := cargo{version: "1.1.1", day: 3}
	_, err = y.promote(t.Context(), second, back)
	must(t, err)
	y.road(third)
	if got := y.tags("prd.example.com")["alpha:latest"]; got != y.digest(third, "alpha") {
		t.Errorf("latest names %s after a new version", got)
	}
}

// Of two promotions of one version at once, one wins and the other is told; no release is mixed.
func TestTwoPromotionsAtOnce(t *testing.T) {
	t.Parallel()
	for round := range 20 {
		y := newYard(t, options{})
		one, two := cargo{version: "1.0.0", day: 1}, cargo{version: "1.0.0", day: 2}
		for _, k := range []cargo{one, two} {
			must(t, y.publish(t.Context(), k))
			_, err := y.promote(t.Context(), k, to("staging"))
			must(t, err)
		}
		type outcome struct{ err error }
		results := make(chan outcome, 2)
		for _, tag := range []string{"staging-v1.0.0-rc1", "staging-v1.0.0-rc2"} {
			go func() {
				_, err := y.promote(t.Context(), two, promote.Request{To: "production", From: []string{tag}})
				results <- outcome{err}
			}()
		}
		first, second := <-results, <-results
		won := 0
		for _, r := range []outcome{first, second} {
			if r.err == nil {
				won++
				continue
			}
			if fault.CodeOf(r.err) != fault.Refused {
				t.Errorf("round %d: code %d: %v", round, fault.CodeOf(r.err), r.err)
			}
		}
		tags := y.tags("prd.example.com")
		if won != 1 || (tags["alpha:v1.0.0"] == y.digest(one, "alpha")) != (tags["bravo:v1.0.0"] == y.digest(one, "bravo")) {
			t.Errorf("round %d: %d won: %v\n%v\n%v", round, won, tags, first.err, second.err)
		}
	}
}

// All components or none: while one cannot be copied, no tag of any is touched; the next run sends only what is missing.
func TestAllOrNone(t *testing.T) {
	t.Parallel()
	y := newYard(t, options{})
	k := cargo{version: "1.0.0", day: 1}
	must(t, y.publish(t.Context(), k))
	broken := errors.New("the line is dead")
	y.hook(func(r *http.Request) error {
		if r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "bravo/manifests/"+y.digest(k, "bravo")) {
			return broken
		}
		return nil
	})
	if _, err := y.promote(t.Context(), k, to("staging")); !errors.Is(err, broken) {
		t.Fatalf("%v", err)
	}
	same(t, "after the failure", y.tags("prd.example.com"), map[string]string{})
	y.hook(nil)
	y.reset()
	_, err := y.promote(t.Context(), k, to("staging"))
	must(t, err)
	// Of the image whose index alone was missing, the configurations are read, and no layer.
	if n := y.count("GET", "dev.example.com/v2/o/bravo/blobs"); n != 2 {
		t.Errorf("%d blobs of bravo were read again: %v", n, y.log)
	}
	if len(y.tags("prd.example.com")) != 4 {
		t.Errorf("%v", y.tags("prd.example.com"))
	}
}

// A saved plan is carried out exactly, or not at all.
func TestASavedPlan(t *testing.T) {
	t.Parallel()
	y := newYard(t, options{})
	k := cargo{version: "1.0.0", day: 1}
	must(t, y.publish(t.Context(), k))
	p := y.promoter(k, "robot", nil)
	w, err := p.Prepare(t.Context(), promote.Request{To: "staging", From: []string{"dev-latest"}})
	must(t, err)
	saved := w.Plan
	must(t, y.publish(t.Context(), cargo{version: "1.0.0", day: 2}))
	p = y.promoter(k, "robot", nil)
	w, err = p.Prepare(t.Context(), promote.Request{To: "staging", From: []string{"dev-latest"}})
	must(t, err)
	failed(t, w.Same(saved, "--plan plan.json"), fault.Refused, "the image of alpha was "+y.digest(k, "alpha"))
}

// An image can be named by tag or digest, and records are signed when a key is given.
func TestNamedSourcesAndSignedRecords(t *testing.T) {
	t.Parallel()
	y := newYard(t, options{signed: true})
	old, k := cargo{version: "1.0.0", day: 1}, cargo{version: "1.1.0", day: 2}
	must(t, y.publish(t.Context(), old))
	must(t, y.publish(t.Context(), k))
	// The tag of an older commit than the one that is checked out; its version is its own.
	r, err := y.promote(t.Context(), k, promote.Request{To: "staging", From: []string{"dev-4200001"}})
	must(t, err)
	if got := actions(r)["alpha:staging-v1.0.0-rc1"]; got != "created" {
		t.Errorf("%v", actions(r))
	}
	// One image by its digest leaves the other component alone.
	r, err = y.promote(t.Context(), old, promote.Request{
		To: "staging", From: []string{"dev.example.com/o/bravo@" + y.digest(k, "bravo")},
	})
	must(t, err)
	if len(r.Images) != 1 || actions(r)["bravo:staging-v1.1.0-rc1"] != "created" {
		t.Errorf("%v", actions(r))
	}
	p := y.promoter(old, "robot", y.signers["ann"])
	w, err := p.Prepare(t.Context(), to("production"))
	must(t, err)
	receipt, err := p.Apply(t.Context(), w)
	must(t, err)
	listed, err := attest.List(t.Context(), y.repository("prd.example.com/o/alpha"),
		digest.Digest(y.digest(old, "alpha")), attest.PromotionType)
	must(t, err)
	last := listed[len(listed)-1]
	if _, err := last.SignedBy(t.Context(), y.signers["ann"].PublicKey()); err != nil || last.Manifest.Digest.String() != receipt.Images[0].Record {
		t.Errorf("the record %s of %+v: %v", last.Manifest.Digest, receipt.Images[0], err)
	}
}

// A late job of an image that was there before does not undo a rollback either, once a fix has taken the tags from where
// the rollback left them, nor when the rollback went past it.
func TestALateJobAfterARollbackAndAFix(t *testing.T) {
	t.Parallel()
	y := newYard(t, options{})
	first, bad, fix := cargo{version: "1.0.0", day: 1}, cargo{version: "1.1.0", day: 2}, cargo{version: "1.0.1", day: 3}
	y.road(first)
	y.road(bad)
	back := promote.Request{To: "production", Rollback: true, Version: version("1.0.0")}
	_, err := y.promote(t.Context(), bad, back)
	must(t, err)
	y.road(fix)
	late, err := y.promote(t.Context(), bad, to("production"))
	must(t, err)
	if got := actions(late); got["alpha:latest"] != "kept" || got["alpha:v1"] != "kept" {
		t.Errorf("the late job of the bad version: %v", got)
	}
	_, err = y.promote(t.Context(), bad, promote.Request{To: "production", Rollback: true, Version: version("1.1.0")})
	must(t, err)
	_, err = y.promote(t.Context(), bad, back)
	must(t, err)
	late, err = y.promote(t.Context(), fix, to("production"))
	must(t, err)
	if got := actions(late); got["alpha:latest"] != "kept" || got["alpha:v1"] != "kept" || got["alpha:v1.0"] != "kept" {
		t.Errorf("the late job of the fix, which the rollback went past: %v", got)
	}
	next := cargo{version: "1.1.1", day: 4}
	y.road(next)
	if got := y.tags("prd.example.com")["alpha:latest"]; got != y.digest(next, "alpha") {
		t.Errorf("a new version does not move latest: %s", got)
	}
}

// Without a run of its own, a version is found by its git tag's commit.
func TestAVersionIsFoundByItsGitTag(t *testing.T) {
	t.Parallel()
	y := newYard(t, options{})
	old, k := cargo{version: "1.0.0", day: 1}, cargo{version: "1.1.0", day: 2}
	must(t, y.publish(t.Context(), old))
	must(t, y.publish(t.Context(), k))
	p := y.promoter(k, "robot", nil)
	p.Checkout.Released = func(_ context.Context, v *semver.Version) (string, error) {
		return map[string]string{"1.0.0": commit(1)}[v.String()], nil
	}
	w, err := p.Prepare(t.Context(), promote.Request{To: "staging", Version: version("1.0.0")})
	must(t, err)
	if got := w.Plan.Images[0]; got.Digest != y.digest(old, "alpha") || got.SourceTag != "dev-4200001" {
		t.Errorf("%+v", got)
	}
	_, err = p.Prepare(t.Context(), promote.Request{To: "staging", Version: version("9.9.9")})
	failed(t, err, fault.Refused, "no git tag says which one is version 9.9.9", "v9.9.9")
}
