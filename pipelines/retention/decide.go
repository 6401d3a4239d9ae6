package retention

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Repository is what a registry holds, as far as it tells.
type Repository struct {
	// Name with its host, for example quay.io/acme/web.
	Name string
	Tags []Tag
	// Manifests by digest.
	Manifests map[string]Manifest
	// Complete is true when Manifests holds every manifest of the repository, the untagged ones included.
	Complete bool
	// Gone are images that the repository does not hold any more, although something is attached to them.
	Gone map[string]bool
	// TagsOnly is true when the registry deletes tags, and by itself what no tag needs any more.
	TagsOnly bool
	// Opaque is true when something was found that could not be understood, and so may need anything.
	Opaque bool
}

// Tag is a name for a manifest.
type Tag struct {
	Name   string
	Digest string
	// Pushed is when the tag was put; zero where the registry does not tell.
	Pushed time.Time
	// Expires is when the registry deletes the tag by itself; zero when it does not.
	Expires time.Time
}

// Manifest is an image, an index, or something that is attached to one.
type Manifest struct {
	Digest string
	// Pushed is when the registry got it; zero where it does not tell.
	Pushed time.Time
	// Created is what the image says of itself: its "created" annotation, or that of its configuration.
	Created time.Time
	// Children are the manifests of an index.
	Children []string
	// Subject is what it is attached to.
	Subject string
	// Expiry is the label quay.expires-after of the image, "" when it has none.
	Expiry string
	// Read is false when the registry listed the manifest, but its content was not looked at.
	Read bool
}

// Action is what happens to a tag.
type Action string

// The actions.
const (
	Keep   Action = "keep"
	Expire Action = "expire"
)

// Verdict is the decision about one tag.
type Verdict struct {
	Tag    string `json:"tag"`
	Digest string `json:"digest"`
	Action Action `json:"action"`
	// Rule of the environment that matches the tag, "" when none does.
	Rule   string `json:"rule,omitempty"`
	Reason string `json:"reason"`
	// Days since the tag was pushed, or since its image was created; -1 when neither is known.
	Days int `json:"days"`
	// AgeFrom says what the age is counted from: "pushed" or "created".
	AgeFrom string `json:"ageFrom,omitempty"`
	// Warning is what a person should know although nothing is deleted for it.
	Warning string `json:"warning,omitempty"`
}

// Deletion is one step of carrying out a plan.
type Deletion struct {
	Digest string `json:"digest"`
	// Tags that expire.
	Tags []string `json:"tags"`
	// Manifest is true when the manifest goes as well: nothing that stays needs it. Else only the tags go.
	Manifest bool `json:"manifest"`
}

// Plan is what retention does to one repository.
type Plan struct {
	Repository string     `json:"repository"`
	Tags       []Verdict  `json:"tags"`
	Delete     []Deletion `json:"delete"`
}

// attached matches the tags by which images have something attached where there is no referrers API: the fallback tag
// of the distribution specification, and cosign's.
var attached = regexp.MustCompile(`^sha256-([0-9a-f]{64})(?:\.(?:sig|att|sbom))?$`)

// subjectOf is the digest that an attached tag belongs to.
func subjectOf(tag string) (string, bool) {
	m := attached.FindStringSubmatch(tag)
	if m == nil {
		return "", false
	}
	return "sha256:" + m[1], true
}

// Decide judges every tag of a repository. It is pure.
func Decide(r Repository, p Policy, used InUse, now time.Time) Plan {
	d := decision{Repository: r, policy: p, used: used, now: now, graph: graphOf(r)}
	d.judge()
	d.needed = d.graph.closure(d.keptDigests())
	d.judgeAttached()
	out := Plan{Repository: r.Name, Tags: d.verdicts, Delete: d.deletions()}
	slices.SortFunc(out.Tags, func(a, b Verdict) int { return cmp.Compare(a.Tag, b.Tag) })
	return out
}

type decision struct {
	Repository
	policy   Policy
	used     InUse
	now      time.Time
	graph    graph
	verdicts []Verdict // in the order of Tags
	needed   map[string]bool
}

// judge gives every tag that is not attached to an image its own verdict.
func (d *decision) judge() {
	running := d.graph.containing(d.used.Digests)
	for _, t := range d.Tags {
		v := Verdict{Tag: t.Name, Digest: t.Digest, Action: Keep, Days: -1}
		rule, ruled := d.policy.rule(t.Name)
		if ruled {
			v.Rule = rule.String()
		}
		since, from := d.age(t)
		if from != "" {
			v.AgeFrom, v.Days = from, max(0, int(d.now.Sub(since)/day))
		}
		protected := d.policy.protects(t.Name)
		switch _, isAttached := subjectOf(t.Name); {
		case isAttached:
			v.Reason = "it belongs to an image" // judged later
		case protected != "":
			v.Reason = protected
		case running[t.Digest], d.used.names(d.Name, t.Name):
			v.Reason = "it is in use"
		case !ruled:
			v.Reason = "no rule matches"
		case rule.Forever():
			v.Reason = "kept for ever"
		case from == "":
			v.Reason = "its age is not known"
		case d.now.Sub(since) < rule.Keep:
			v.Reason = fmt.Sprintf("%d days left", int((rule.Keep-d.now.Sub(since)+day-1)/day))
		default:
			v.Action, v.Reason = Expire, fmt.Sprintf("%s %d days ago", from, v.Days)
		}
		if v.Action == Keep {
			v.Warning = d.trap(t, rule, protected != "" || ruled && rule.Forever())
		}
		d.verdicts = append(d.verdicts, v)
	}
}

// age is the time that a tag's age counts from, and what that time is: "" when it is not known.
func (d *decision) age(t Tag) (time.Time, string) {
	m := d.Manifests[t.Digest]
	switch {
	case !t.Pushed.IsZero():
		return t.Pushed, "pushed"
	case !m.Pushed.IsZero():
		return m.Pushed, "pushed"
	case !m.Created.IsZero():
		return m.Created, "created"
	default:
		return time.Time{}, ""
	}
}

// trap warns of a tag that the registry deletes by itself earlier than the rules do.
func (d *decision) trap(t Tag, rule Rule, forever bool) string {
	expiry := d.Manifests[t.Digest].Expiry
	switch {
	case expiry != "" && forever:
		return "its label quay.expires-after=" + expiry + " makes Quay delete it; build it without the label"
	case t.Expires.IsZero():
		return ""
	case forever:
		return "the registry deletes it on " + t.Expires.UTC().Format(time.DateOnly) +
			", by a label quay.expires-after or an expiration that was set"
	case rule.Keep > 0 && !t.Pushed.IsZero() && t.Expires.Before(t.Pushed.Add(rule.Keep)):
		return "the registry deletes it on " + t.Expires.UTC().Format(time.DateOnly) + ", before the rule would"
	default:
		return ""
	}
}

// keptDigests are the digests of kept tags, and those in use.
func (d *decision) keptDigests() []string {
	var kept []string
	for _, v := range d.verdicts {
		if _, isAttached := subjectOf(v.Tag); v.Action == Keep && !isAttached {
			kept = append(kept, v.Digest)
		}
	}
	for digest := range d.used.Digests {
		kept = append(kept, digest)
	}
	// What is untagged may be in use by its digest, unless it came with something that expires.
	return append(kept, d.loose()...)
}

// loose are the untagged manifests that belong to nothing tagged: nobody knows what they are for.
func (d *decision) loose() []string {
	var roots []string
	for _, t := range d.Tags {
		roots = append(roots, t.Digest)
	}
	known := d.graph.closure(roots)
	var out []string
	for digest := range d.Manifests {
		if !known[digest] {
			out = append(out, digest)
		}
	}
	return out
}

// judgeAttached lets what is attached to an image go with it.
func (d *decision) judgeAttached() {
	gone := d.goneSubjects()
	for i, v := range d.verdicts {
		subject, ok := subjectOf(v.Tag)
		switch {
		case !ok:
		case d.Gone[subject]:
			d.verdicts[i].Action, d.verdicts[i].Reason = Expire, "the image that it belongs to is gone: "+short(subject)
		case gone[subject]:
			d.verdicts[i].Action, d.verdicts[i].Reason = Expire, "the image that it belongs to expires: "+short(subject)
		default:
			d.verdicts[i].Reason = "it belongs to " + short(subject)
		}
	}
	// What a kept attachment holds stays as well.
	for _, v := range d.verdicts {
		if v.Action == Keep {
			for digest := range d.graph.closure([]string{v.Digest}) {
				d.needed[digest] = true
			}
		}
	}
}

// goneSubjects are the manifests that are deleted, as far as the tags of images decide that. An attached tag that has a
// manifest's digest keeps nothing alive by itself.
func (d *decision) goneSubjects() map[string]bool {
	gone := maps.Clone(d.Gone)
	if gone == nil {
		gone = map[string]bool{}
	}
	for _, v := range d.verdicts {
		if v.Action == Expire && !d.needed[v.Digest] {
			gone[v.Digest] = true
			if d.Complete {
				for digest := range d.graph.closure([]string{v.Digest}) {
					gone[digest] = gone[digest] || !d.needed[digest]
				}
			}
		}
	}
	return gone
}

// deletions are ordered: an image before what belongs to it, an index before its children, so that a run that breaks
// off leaves nothing that names what is not there.
func (d *decision) deletions() []Deletion {
	byDigest := map[string]*Deletion{}
	var order []*Deletion
	add := func(digest string) *Deletion {
		if byDigest[digest] == nil {
			byDigest[digest] = &Deletion{Digest: digest, Tags: []string{}}
			order = append(order, byDigest[digest])
		}
		return byDigest[digest]
	}
	kept := map[string]bool{}
	for _, v := range d.verdicts {
		if v.Action == Keep {
			kept[v.Digest] = true
		}
	}
	sorted := slices.Clone(d.verdicts)
	slices.SortFunc(sorted, func(a, b Verdict) int {
		_, aAttached := subjectOf(a.Tag)
		_, bAttached := subjectOf(b.Tag)
		return cmp.Or(boolCompare(aAttached, bAttached), cmp.Compare(a.Tag, b.Tag))
	})
	for _, v := range sorted {
		if v.Action == Expire {
			x := add(v.Digest)
			x.Tags = append(x.Tags, v.Tag)
			x.Manifest = !kept[v.Digest] && !d.needed[v.Digest] && !d.Opaque && !d.TagsOnly
		}
	}
	if d.Complete {
		for _, x := range slices.Clone(order) {
			for _, digest := range d.descendants(x) {
				if !kept[digest] && !d.needed[digest] && byDigest[digest] == nil {
					add(digest).Manifest = true
				}
			}
		}
	}
	out := make([]Deletion, 0, len(order))
	for _, x := range order {
		out = append(out, *x)
	}
	return out
}

// descendants lists what goes with a manifest that is deleted.
func (d *decision) descendants(x *Deletion) []string {
	if !x.Manifest {
		return nil
	}
	var out []string
	for digest := range d.graph.closure([]string{x.Digest}) {
		if _, listed := d.Manifests[digest]; listed && digest != x.Digest {
			out = append(out, digest)
		}
	}
	slices.Sort(out)
	return out
}

func boolCompare(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	default:
		return 1
	}
}

// short cuts a digest for people.
func short(digest string) string {
	const shown = len("sha256:") + 12
	return strings.TrimSpace(digest[:min(shown, len(digest))])
}
