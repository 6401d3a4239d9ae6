package chart

import (
	"context"
	"fmt"
	"io"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"

	"github.com/berth-sh/berth/pipelines/guard"
	"github.com/berth-sh/berth/pipelines/registry"
	"github.com/berth-sh/berth/pipelines/version"
)

// Target is the repository that a chart goes to.
type Target interface {
	guard.Target
	// Push sends a graph by digest, children first, and nothing that is there already.
	Push(ctx context.Context, src content.ReadOnlyStorage, root ocispec.Descriptor,
		o registry.PushOptions) (registry.Uploaded, error)
}

// Pushed is the outcome of a push. Its JSON form is a contract.
type Pushed struct {
	Environment string            `json:"environment"`
	Repository  string            `json:"repository"`
	Version     string            `json:"version"`
	Digest      string            `json:"digest"`
	Tag         guard.Tag         `json:"tag"`
	Uploaded    registry.Uploaded `json:"uploaded"`
}

// Push publishes a chart under the tag of its version, which never moves: the same chart again is unchanged, another
// one is refused before anything is sent. commit is for messages.
func Push(ctx context.Context, g *guard.Guard, repository string, t Target, a Artifact, commit string) (Pushed, error) {
	x := &guard.Candidate{
		Repository: repository, Target: t, Descriptor: a.Descriptor, Manifest: a.Manifest, Commit: commit,
		Version: a.Version, Wanted: []version.Tag{{Name: a.tag(), Class: version.ClassVersion}},
		Fresh: "the chart has changed: give it a version of its own with berth version bump patch",
	}
	seen, err := guard.Look(ctx, t, []string{a.tag()})
	if err != nil {
		return Pushed{}, err
	}
	if err := g.Decide(ctx, []*guard.Candidate{x}, []guard.Seen{seen}); err != nil {
		return Pushed{}, err
	}
	out := Pushed{Repository: repository, Version: a.Version.String(), Digest: x.Digest(), Tag: x.Tags[0]}
	if !x.Changes() {
		return out, nil
	}
	if out.Uploaded, err = t.Push(ctx, a.Content, a.Descriptor, registry.PushOptions{}); err != nil {
		return Pushed{}, err
	}
	return out, g.Set(ctx, []*guard.Candidate{x}, []guard.Seen{seen})
}

// Text writes the outcome for people.
func (p Pushed) Text(w io.Writer) error {
	_, err := fmt.Fprintf(w, "%s:%s %s\n  digest %s\n", p.Repository, p.Tag.Name, p.Tag.Action, p.Digest)
	return err
}
