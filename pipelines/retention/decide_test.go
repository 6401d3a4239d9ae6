package retention

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// ago is a tag of a digest of its own, pushed some days ago.
func ago(name string, days float64) Tag {
	return Tag{Name: name, Digest: "sha256:" + name, Pushed: now().Add(-time.Duration(days * float64(day)))}
}

func TestVerdicts(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		environment string
		tag         Tag
		action      Action
		reason      string
	}{
		{"dev", ago("dev-abc1234", 29.9), Keep, "1 days left"},
		{"dev", ago("dev-abc1234", 30), Expire, "pushed 30 days ago"},
		{"dev", ago("feature-auth", 31), Expire, "pushed 31 days ago"},
		{"dev", ago("test-x", 13), Keep, "1 days left"},
		{"dev", ago("test-x", 14), Expire, "pushed 14 days ago"},
		{"dev", ago("dev-latest", 900), Keep, `it is a floating tag: "dev-latest" of environment dev`},
		{"dev", ago("latest", 900), Keep, "latest is a floating tag"},
		{"dev", ago("v1.0.0", 900), Keep, "it is a release"},
		{"dev", Tag{Name: "dev-old", Digest: "sha256:x"}, Keep, "its age is not known"},
		{"staging", ago("staging-v1.0.0-rc1", 89), Keep, "1 days left"},
		{"staging", ago("staging-v1.0.0-rc1", 91), Expire, "pushed 91 days ago"},
		{"staging", ago("staging-latest", 900), Keep, `it is a floating tag: "staging-latest" of environment staging`},
		// Production shares the repositories of staging.
		{"staging", ago("v1.0.0", 900), Keep, `"v*.*.*" is immutable in environment production`},
		{"staging", ago("v1.0", 900), Keep, `it is a floating tag: "v{major}.{minor}" of environment production`},
		{"staging", ago("v1", 900), Keep, `it is a floating tag: "v{major}" of environment production`},
		{"staging", ago("somebodys", 900), Keep, "no rule matches"},
		{"production", ago("anything", 900), Keep, "no rule matches"},
	} {
		p := Decide(Repository{Tags: []Tag{tt.tag}}, PolicyOf(kubernaut(t), tt.environment), InUse{}, now())
		v := verdictOf(t, p, tt.tag.Name)
		if v.Action != tt.action || v.Reason != tt.reason || (len(p.Delete) == 1) != (tt.action == Expire) {
			t.Errorf("%s %s: %+v %+v", tt.environment, tt.tag.Name, v, p.Delete)
		}
	}
}

// The tags of branch builds look like pre-releases; the template that gave them tells them apart.
func TestPreReleasesAndBranchBuilds(t *testing.T) {
	t.Parallel()
	p := PolicyOf(parse(t, `apiVersion: berth/v1
project: p
components: {web: {go: {}}}
registries: {r: {prefix: ghcr.io/acme}}
tags: [{tag: "v*", set: ["v{version}"]}, {branch: main, set: ["nightly-{date}"]}, {branch: "**", set: ["v{version}-dev.{sha}", "{env}", "{branch}"]}]
environments: {dev: {registry: r, retention: [{match: "*", keep: 1d}]}}
`), "dev")
	for tag, protected := range map[string]bool{
		"v1.0.0-rc.1": true, "1.0.0": true, "v1.0.0-dev.abc1234": false, "v1.0.0-dev.abc1234-dirty": false,
		"nightly-20261121": false, "dev": true, "feature": false,
	} {
		// {branch} may give anything, and so tells nothing.
		if got := p.protects(tag) != ""; got != protected {
			t.Errorf("%s: protected %v (%s)", tag, got, p.protects(tag))
		}
	}
}

// graphs builds a repository of an index with two platforms, an attachment by the referrers API, and one by its tag.
func graphs(complete bool, tags ...Tag) Repository {
	hex := func(c string) string { return "sha256:" + strings.Repeat(c, 64) }
	m := func(d string, children ...string) Manifest {
		return Manifest{Digest: d, Children: children, Read: true}
	}
	r := Repository{Name: "quay.io/acme/web", Complete: complete, Tags: tags, Manifests: map[string]Manifest{
		hex("a"): m(hex("a"), hex("1"), hex("2")), hex("b"): m(hex("b"), hex("2"), hex("3")),
		hex("1"): m(hex("1")), hex("2"): m(hex("2")), hex("3"): m(hex("3")),
		hex("c"): {Digest: hex("c"), Subject: hex("a"), Read: true},
	}}
	for i := range r.Tags {
		if r.Tags[i].Digest == "d" { // the fallback index is there when something is attached by a tag
			r.Manifests[hex("d")] = m(hex("d"), hex("c"))
		}
		if len(r.Tags[i].Digest) == 1 {
			r.Tags[i].Digest = hex(r.Tags[i].Digest)
		}
	}
	return r
}

func old(name, digest string) Tag {
	return Tag{Name: name, Digest: digest, Pushed: now().Add(-900 * day)}
}

// deleted lists what goes: "tag" for a tag alone, "a(tag tag)" for a manifest with its tags.
func deleted(p Plan) []string {
	var out []string
	for _, d := range p.Delete {
		text := fmt.Sprint(d.Tags)
		if d.Manifest {
			text = d.Digest[7:8] + text
		}
		out = append(out, text)
	}
	slices.Sort(out)
	return out
}

func TestNothingNeededGoes(t *testing.T) {
	t.Parallel()
	fallback := "sha256-" + strings.Repeat("a", 64)
	for name, tt := range map[string]struct {
		complete bool
		tags     []Tag
		used     []string
		want     []string
	}{
		"an index alone": {tags: []Tag{old("dev-1", "a")}, want: []string{"a[dev-1]"}},
		"with its children and attachment, where all is known": {
			complete: true, tags: []Tag{old("dev-1", "a"), old("dev-latest", "b")}, want: []string{"1[]", "a[dev-1]", "c[]"},
		},
		"not a child that another index needs": {
			complete: true, tags: []Tag{old("dev-1", "b"), old("dev-latest", "a")}, want: []string{"3[]", "b[dev-1]"},
		},
		"a tag of a digest that another tag keeps":    {tags: []Tag{old("dev-1", "a"), old("dev-latest", "a")}, want: []string{"[dev-1]"}},
		"two tags of one digest":                      {tags: []Tag{old("dev-1", "a"), old("dev-2", "a")}, want: []string{"a[dev-1 dev-2]"}},
		"a tag of a child":                            {tags: []Tag{old("dev-amd64", "1"), old("dev-latest", "a")}, want: []string{"[dev-amd64]"}},
		"a tag of an attachment":                      {tags: []Tag{old("dev-sbom", "c"), old("dev-latest", "a")}, want: []string{"[dev-sbom]"}},
		"in use by its digest":                        {tags: []Tag{old("dev-1", "a")}, used: []string{"a"}},
		"in use by one platform":                      {tags: []Tag{old("dev-1", "a"), old("dev-2", "b")}, used: []string{"1"}, want: []string{"b[dev-2]"}},
		"in use by a platform that two indexes share": {tags: []Tag{old("dev-1", "a"), old("dev-2", "b")}, used: []string{"2"}},
		"a fallback tag goes with its image":          {tags: []Tag{old("dev-1", "a"), old(fallback, "d")}, want: []string{"a[dev-1]", "d[" + fallback + "]"}},
		"a fallback tag stays with its image":         {tags: []Tag{old("dev-latest", "a"), old(fallback, "d")}},
		"a signature goes with its image": {
			tags: []Tag{old("dev-1", "a"), old(fallback+".sig", "d")}, want: []string{"a[dev-1]", "d[" + fallback + ".sig]"},
		},
		"what belongs to an unknown image": {tags: []Tag{old("sha256-"+strings.Repeat("9", 64), "d")}},
		"what nothing tagged needs": {
			// An untagged index may be used by its digest; what it needs stays with it.
			complete: true, tags: []Tag{old("dev-1", "a")}, want: []string{"1[]", "a[dev-1]", "c[]"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			used := InUse{Digests: map[string]bool{}}
			for _, d := range tt.used {
				used.Digests["sha256:"+strings.Repeat(d, 64)] = true
			}
			p := Decide(graphs(tt.complete, tt.tags...), PolicyOf(kubernaut(t), "dev"), used, now())
			if diff := cmp.Diff(tt.want, deleted(p)); diff != "" {
				t.Errorf("(-want +got)\n%s\n%+v", diff, p.Tags)
			}
		})
	}
}

// Quay deletes what carries the label quay.expires-after, whatever berth's rules say: the plan warns.
func TestTrapsOfQuay(t *testing.T) {
	t.Parallel()
	soon := now().Add(day)
	for name, tt := range map[string]struct {
		tag     Tag
		expiry  string
		warning string
	}{
		"label on a release":    {ago("v1.0.0", 1), "4w", "its label quay.expires-after=4w makes Quay delete it"},
		"expiration of latest":  {Tag{Name: "dev-latest", Expires: soon}, "", "the registry deletes it on 2026-11-22, by a label"},
		"earlier than the rule": {Tag{Name: "dev-1", Pushed: now(), Expires: soon}, "", "before the rule would"},
		"as the rule":           {Tag{Name: "dev-1", Pushed: now(), Expires: now().Add(30 * day)}, "", ""},
		"label on a dev build":  {ago("dev-1", 1), "4w", ""},
		"nothing to warn of":    {ago("v1.0.0", 1), "", ""},
	} {
		r := Repository{Tags: []Tag{tt.tag}, Manifests: map[string]Manifest{tt.tag.Digest: {Expiry: tt.expiry}}}
		v := verdictOf(t, Decide(r, PolicyOf(kubernaut(t), "dev"), InUse{}, now()), tt.tag.Name)
		if !strings.Contains(v.Warning, tt.warning) || tt.warning == "" && v.Warning != "" || v.Action != Keep {
			t.Errorf("%s: %+v", name, v)
		}
	}
}
