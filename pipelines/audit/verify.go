package audit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
	"oras.land/oras-go/v2/content"

	"github.com/berth-sh/berth/pipelines/approve"
	"github.com/berth-sh/berth/pipelines/attest"
	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/image"
	"github.com/berth-sh/berth/pipelines/registry"
	"github.com/berth-sh/berth/pipelines/report"
)

// Wanted is what an image must show.
type Wanted struct {
	// Environment that the image should be in; "" checks its content alone.
	Environment string
	// Platforms that it must have.
	Platforms []string
	// Rules are those of promotions to the environment; nil for one that is published to.
	Rules *approve.Rules
	// Signed wants the record of the promotion to be signed by a recorder.
	Signed bool
	// Repository is the full name under which the environment has the image; "" does not look at that, as for a layout.
	Repository string
	// Tagged tells that the image was found by a tag of the environment, which a record must have given to it: a tag that
	// was put elsewhere by hand is another image's.
	Tagged bool
	// Contents reads every blob and compares its digest, rather than asking whether it is there.
	Contents bool
}

// Check is one thing that was looked at.
type Check struct {
	Name string `json:"name"`
	// Holds tells whether it is as it must be.
	Holds  bool   `json:"holds"`
	Detail string `json:"detail"`
}

// Verification is the outcome. Its JSON form is a contract.
type Verification struct {
	Repository  string  `json:"repository"`
	Ref         string  `json:"ref"`
	Digest      string  `json:"digest"`
	Component   string  `json:"component,omitempty"`
	Version     string  `json:"version,omitempty"`
	Commit      string  `json:"commit,omitempty"`
	Environment string  `json:"environment,omitempty"`
	Holds       bool    `json:"holds"`
	Checks      []Check `json:"checks"`
}

// Verify checks an image. What does not hold is in the result, and makes [Verification.Err] a refusal; an error is a
// source that could not be read.
func Verify(ctx context.Context, x Image, keys approve.Keyring, w Wanted) (Verification, error) {
	trail, err := Read(ctx, x, keys)
	if err != nil {
		return Verification{}, err
	}
	v := Verification{
		Repository: x.Name, Ref: x.Ref, Digest: trail.Digest, Component: x.Component, Version: trail.Version,
		Commit: trail.Commit, Environment: w.Environment, Holds: true,
	}
	v.add("digest", true, trail.Digest)
	if err := v.content(ctx, x, trail, w); err != nil {
		return v, err
	}
	v.platforms(trail, w)
	for _, a := range trail.found {
		if a.Err != nil {
			v.add("attestation", false, fmt.Sprintf("%s: %s", a.Manifest.Digest, a.Err))
		}
	}
	if w.Rules != nil {
		v.promotion(ctx, trail, w)
		v.tag(ctx, trail, w)
	}
	return v, nil
}

func (v *Verification) add(name string, holds bool, detail string) {
	v.Checks = append(v.Checks, Check{Name: name, Holds: holds, Detail: detail})
	v.Holds = v.Holds && holds
}

// content looks whether everything below the index is there, and in a layout whether it is whole.
func (v *Verification) content(ctx context.Context, x Image, t Trail, w Wanted) error {
	manifests, blobs, broken, err := walk(ctx, x.Source, t.manifest)
	if err != nil {
		return err
	}
	bad := make([]string, len(blobs))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(concurrent)
	for i, desc := range blobs {
		g.Go(func() (err error) {
			bad[i], err = look(gctx, x.Source, desc, w.Contents)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	broken = append(broken, slices.DeleteFunc(bad, func(s string) bool { return s == "" })...)
	if len(broken) > 0 {
		v.add("content", false, strings.Join(broken, "; "))
		return nil
	}
	how := "are there"
	if w.Contents {
		how = "are whole"
	}
	v.add("content", true, fmt.Sprintf("%s and %s %s",
		report.Plural(manifests, "manifest"), report.Plural(len(blobs), "blob"), how))
	return nil
}

// concurrent is the number of blobs that are looked at at once.
const concurrent = 8

// walk reads the manifests below an index, and lists the blobs of all. broken are those that are not there.
func walk(ctx context.Context, src Source, root []byte) (manifests int, blobs []ocispec.Descriptor, broken []string,
	err error,
) {
	next := [][]byte{root}
	for manifests = 0; len(next) > 0; manifests++ {
		raw := next[0]
		next = next[1:]
		var m struct {
			Manifests []ocispec.Descriptor `json:"manifests"`
			Config    *ocispec.Descriptor  `json:"config"`
			Layers    []ocispec.Descriptor `json:"layers"`
		}
		if err := decode(raw, &m); err != nil {
			broken = append(broken, err.Error())
			continue
		}
		if m.Config != nil {
			blobs = append(blobs, append([]ocispec.Descriptor{*m.Config}, m.Layers...)...)
		}
		for _, child := range m.Manifests {
			body, _, err := src.Manifest(ctx, child.Digest.String())
			switch {
			case errors.Is(err, registry.ErrNotFound):
				broken = append(broken, fmt.Sprintf("manifest %s is missing", child.Digest))
			case errors.Is(err, content.ErrMismatchedDigest):
				broken = append(broken, fmt.Sprintf("manifest %s is damaged", child.Digest))
			case err != nil:
				return manifests, nil, nil, err
			case manifests+len(next) >= maxManifests:
				return manifests, nil, nil, fmt.Errorf("the image has more than %d manifests", maxManifests)
			default:
				next = append(next, body)
			}
		}
	}
	return manifests, once(blobs), broken, nil
}

// maxManifests bounds an image, so that nobody can keep a verification busy for ever.
const maxManifests = 1000

// once drops blobs that several manifests share.
func once(blobs []ocispec.Descriptor) []ocispec.Descriptor {
	seen := map[string]bool{}
	return slices.DeleteFunc(blobs, func(d ocispec.Descriptor) bool {
		twice := seen[d.Digest.String()]
		seen[d.Digest.String()] = true
		return twice
	})
}

// look says what is wrong with a blob, "" for nothing.
func look(ctx context.Context, src Source, desc ocispec.Descriptor, read bool) (string, error) {
	there, err := src.Exists(ctx, desc)
	switch {
	case err != nil:
		return "", err
	case !there:
		return fmt.Sprintf("blob %s is missing", desc.Digest), nil
	case !read:
		return "", nil
	}
	r, err := src.Fetch(ctx, desc)
	if errors.Is(err, content.ErrMismatchedDigest) {
		return fmt.Sprintf("blob %s is damaged", desc.Digest), nil
	}
	if err != nil {
		return "", err
	}
	defer r.Close()
	checked := content.NewVerifyReader(r, desc)
	if _, err = io.Copy(io.Discard, checked); err == nil {
		err = checked.Verify()
	}
	if err != nil && ctx.Err() == nil {
		return fmt.Sprintf("blob %s is damaged", desc.Digest), nil
	}
	return "", err
}

func (v *Verification) platforms(t Trail, w Wanted) {
	if len(w.Platforms) == 0 {
		v.add("platforms", true, strings.Join(t.Platforms, ", "))
		return
	}
	var missing []string
	for _, want := range w.Platforms {
		p, err := image.ParsePlatform(want)
		if err != nil || !slices.Contains(t.Platforms, image.PlatformString(p)) {
			missing = append(missing, want)
		}
	}
	if len(missing) > 0 {
		v.add("platforms", false, "it lacks "+strings.Join(missing, ", "))
		return
	}
	v.add("platforms", true, strings.Join(t.Platforms, ", "))
}

// promotion checks that the image came to the environment as its rules want: there is a record, signed where that is
// wanted, and the approvals held when it was made.
func (v *Verification) promotion(ctx context.Context, t Trail, w Wanted) {
	record, said := t.record(ctx, w)
	if record == nil {
		v.add("record", false, "there is no record of a promotion from "+w.Rules.From+" to "+w.Environment)
	} else {
		detail := fmt.Sprintf("promoted from %s on %s, ", said.From, when(said.At))
		switch {
		case record.Signature == SignatureGood:
			v.add("record", true, detail+"signed by "+record.SignedBy)
		case w.Signed:
			v.add("record", false, detail+string(record.Signature)+"; the environment wants it signed")
		default:
			v.add("record", true, detail+string(record.Signature))
		}
	}
	v.approvals(ctx, t, w, record, said)
}

// tag checks that a record gave the image the tag by which it was found.
func (v *Verification) tag(ctx context.Context, t Trail, w Wanted) {
	if !w.Tagged {
		return
	}
	for _, a := range t.found {
		said, ok := a.Predicate.(*attest.Promotion)
		if !ok || !w.covers(said) || !slices.Contains(said.Tags, v.Ref) {
			continue
		}
		if !w.Signed || event(ctx, a, w.Rules.Keys).Signature == SignatureGood {
			v.add("tag", true, v.Ref+" came to it by a record")
			return
		}
	}
	v.add("tag", false, "no record says that "+v.Ref+" came to this image")
}

// covers tells whether a record is about the component's way to the environment.
func (w Wanted) covers(said *attest.Promotion) bool {
	return said.To == w.Environment && said.Project == w.Rules.Project &&
		(w.Rules.Component == "" || said.Component == w.Rules.Component) &&
		(w.Repository == "" || said.Target == w.Repository)
}

// record is the oldest record of the promotion to the environment, one with a good signature before any other.
func (t Trail) record(ctx context.Context, w Wanted) (*Event, *attest.Promotion) {
	var found *Event
	var promotion *attest.Promotion
	for _, a := range t.found {
		said, ok := a.Predicate.(*attest.Promotion)
		if !ok || said.Rollback || said.From != w.Rules.From || !w.covers(said) {
			continue
		}
		e := event(ctx, a, w.Rules.Keys)
		if found == nil || found.Signature != SignatureGood && e.Signature == SignatureGood {
			found, promotion = &e, said
		}
	}
	return found, promotion
}

// approvals checks each role. An approval that has ended since the promotion was good; one that was taken back since is
// not.
func (v *Verification) approvals(
	ctx context.Context, t Trail, w Wanted, record *Event, said *attest.Promotion,
) {
	if len(w.Rules.Roles) == 0 {
		return
	}
	var ci []attest.Evidence
	at := time.Time{}
	if said != nil {
		at = said.At
		for _, e := range said.Approvals {
			if e.CI != nil && slices.Contains(w.Rules.CI, e.Role) {
				ci = append(ci, e)
			}
		}
	}
	rules := *w.Rules
	if said != nil && said.Chart != nil {
		rules.Chart = said.Chart.Digest
	}
	verdict := rules.Decide(ctx, t.found, ci, at)
	for _, e := range verdict.Held() {
		detail := fmt.Sprintf("%s by %s", e.Role, e.By)
		if e.CI != nil && record.Signature != SignatureGood {
			detail += ", by an unsigned record"
		}
		v.add("approval", true, detail)
	}
	for _, m := range verdict.Missing {
		v.add("approval", false, m.Role+": "+whyMissing(verdict, m.Role))
	}
}

// whyMissing says what there is instead of the approval of a role.
func whyMissing(v approve.Verdict, role string) string {
	var why []string
	for _, e := range v.Approvals {
		if e.Role == role && e.Status != approve.StatusHeld && e.Status != approve.StatusOther {
			why = append(why, fmt.Sprintf("that of %s does not count: %s", e.By, e.Reason))
		}
	}
	if len(why) == 0 {
		return "nobody has approved"
	}
	return strings.Join(why, "; ")
}

// Err is the refusal of an image that does not hold, nil for one that does.
func (v Verification) Err() error {
	if v.Holds {
		return nil
	}
	var broken []string
	for _, c := range v.Checks {
		if !c.Holds {
			broken = append(broken, c.Name+": "+c.Detail)
		}
	}
	return fault.New(fault.Refused, Image{Name: v.Repository, Ref: v.Ref}.subject(),
		"see what happened to it (berth audit), and do not run it until that is explained",
		"it does not hold: %s", strings.Join(broken, "; "))
}
