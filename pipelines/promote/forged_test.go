package promote_test

import (
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/berth-sh/berth/pipelines/attest"
	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/promote"
	"github.com/berth-sh/berth/pipelines/registry"
)

// A record that somebody else left, so that the own one would look superfluous, does not take its place.
func TestAForgedRecordDoesNotReplaceTheSignedOne(t *testing.T) {
	t.Parallel()
	y := newYard(t, options{signed: true})
	k := cargo{version: "1.0.0", day: 1}
	must(t, y.publish(t.Context(), k))
	_, err := y.promote(t.Context(), k, to("staging"))
	must(t, err)
	r := y.repository("prd.example.com/o/alpha")
	raw, desc, err := r.Manifest(t.Context(), y.digest(k, "alpha"))
	must(t, err)
	// As after a run that was interrupted among the tags: one is there, and so is a record of all, by nobody.
	writer, err := y.client("robot").Repository("prd.example.com/o/alpha")
	must(t, err)
	must(t, writer.Tag(t.Context(), raw, desc, "v1.0.0"))
	y.forge(writer, desc, "alpha")
	p := y.promoter(k, "robot", y.signers["ann"])
	w, err := p.Prepare(t.Context(), to("production"))
	must(t, err)
	receipt, err := p.Apply(t.Context(), w)
	must(t, err)
	if receipt.Images[0].Record == "" {
		t.Errorf("alpha has no record of its own: %+v", receipt.Images[0])
	}
}

// Where records are signed, an image that was pushed past them is no version to go back to, whatever an unsigned record
// says.
func TestARollbackWantsASignedRecord(t *testing.T) {
	t.Parallel()
	y := newYard(t, options{signed: true})
	k, next := cargo{version: "1.0.0", day: 1}, cargo{version: "1.1.0", day: 2}
	for _, k := range []cargo{k, next} {
		must(t, y.publish(t.Context(), k))
		_, err := y.promote(t.Context(), k, to("staging"))
		must(t, err)
	}
	production := func(r promote.Request) error {
		p := y.promoter(next, "robot", y.signers["ann"])
		w, err := p.Prepare(t.Context(), r)
		if err == nil {
			_, err = p.Apply(t.Context(), w)
		}
		return err
	}
	must(t, production(to("production")))
	for _, name := range y.config.ComponentNames() {
		writer, err := y.client("robot").Repository("prd.example.com/o/" + name)
		must(t, err)
		raw, desc, err := writer.Manifest(t.Context(), y.digest(k, name))
		must(t, err)
		must(t, writer.Tag(t.Context(), raw, desc, "v1.0.0"))
		y.forge(writer, desc, name)
	}
	failed(t, production(promote.Request{To: "production", Rollback: true, Version: version("1.0.0")}),
		fault.Refused, "no record that a recorder or approver signed says that this image was promoted to production")
	last := cargo{version: "1.2.0", day: 3}
	must(t, y.publish(t.Context(), last))
	_, err := y.promote(t.Context(), last, to("staging"))
	must(t, err)
	next = last
	must(t, production(to("production")))
	must(t, production(promote.Request{To: "production", Rollback: true, Version: version("1.1.0")}))
}

// forge leaves an unsigned record of a promotion that never was.
func (y *yard) forge(writer *registry.Repository, desc ocispec.Descriptor, component string) {
	y.t.Helper()
	statement, err := attest.NewStatement(writer.String(), desc.Digest, &attest.Promotion{
		Project: y.config.Project, Component: component, From: "staging", To: "production", Target: writer.String(),
		Version: "1.0.0", Tags: []string{"v1.0.0", "v1.0", "v1", "latest"}, At: y.clock(),
	})
	must(y.t, err)
	forged, err := attest.Sign(y.t.Context(), statement, nil)
	must(y.t, err)
	_, err = attest.Attach(y.t.Context(), writer, desc, forged)
	must(y.t, err)
}
