package pipelines

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/berth-sh/berth/pipelines/dockerfile"
	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/registry"
)

// What is to be done about the digest of a base.
const (
	// BaseCurrent: the tag still has this digest.
	BaseCurrent = "current"
	// BaseUpdate: the tag has another digest now.
	BaseUpdate = "update"
	// BasePin: there is no digest yet.
	BasePin = "pin"
	// BaseSkip: no digest can be proposed; Reason says why.
	BaseSkip = "skip"
)

// Rebase is what is proposed for one place that names a base image.
type Rebase struct {
	Component string `json:"component"`
	File      string `json:"file"`
	Line      int    `json:"line"`
	Image     string `json:"image"`
	Action    string `json:"action"`
	// From is the digest now, To the one that the registry has; empty for none.
	From   string `json:"from"`
	To     string `json:"to"`
	Reason string `json:"reason"`
	// Written is true when the file was changed.
	Written bool `json:"written"`
}

// rebaseRequests bounds the questions to registries at a time.
const rebaseRequests = 8

// Rebases asks the registries which digests the tags of base images have now. Without pin, images that no digest pins
// are left alone. With write, the digests are written into the Dockerfiles and berth.yaml; every other byte stays.
// Nothing is written when a registry does not answer.
func (p *Pipeline) Rebases(ctx context.Context, components []string, pin, write bool) ([]Rebase, error) {
	bases, err := p.Bases(components)
	if err != nil {
		return nil, err
	}
	out := make([]Rebase, len(bases))
	for i, b := range bases {
		out[i] = Rebase{Component: b.Component, File: b.File, Line: b.Line, Image: b.Image, From: b.Digest}
		switch {
		case b.Digest != "" && b.Tag == "":
			out[i].Action, out[i].Reason = BaseSkip, "no tag beside the digest says which image is newer"
		case b.Digest == "" && !pin:
			out[i].Action, out[i].Reason = BaseSkip, "no digest; --pin adds one"
		}
	}
	if err := p.presentDigests(ctx, bases, out); err != nil {
		return nil, err
	}
	files, err := p.rebased(bases, out)
	if err != nil || !write {
		return out, err
	}
	for file, content := range files {
		// In place, so that mode, owner and links stay.
		if err := os.WriteFile(file, content, 0o644); err != nil {
			return out, fault.New(fault.Failed, p.shown(file), "make it writable and run the same command again", "%w", err)
		}
	}
	for i, r := range out {
		out[i].Written = r.Action == BaseUpdate || r.Action == BasePin
	}
	return out, nil
}

// presentDigests asks once for each tag.
func (p *Pipeline) presentDigests(ctx context.Context, bases []dockerfile.Base, out []Rebase) error {
	places := map[string][]int{}
	for i, b := range bases {
		if out[i].Action != BaseSkip {
			key := b.Repository + ":" + tagOf(b)
			places[key] = append(places[key], i)
		}
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(rebaseRequests)
	for _, same := range places {
		g.Go(func() error {
			b := bases[same[0]]
			r, err := p.client.Repository(b.Repository)
			if err != nil {
				return err
			}
			desc, err := r.Resolve(gctx, tagOf(b))
			if errors.Is(err, registry.ErrNotFound) {
				return fault.New(fault.Failed, fmt.Sprintf("%s:%d", b.File, b.Line),
					"correct the reference, or log in: some registries hide what an account may not read", "%w", err)
			}
			if err != nil {
				return fmt.Errorf("base image in %s:%d: %w", b.File, b.Line, err)
			}
			for _, i := range same {
				out[i].To = desc.Digest.String()
				switch out[i].From {
				case "":
					out[i].Action = BasePin
				case out[i].To:
					out[i].Action = BaseCurrent
				default:
					out[i].Action = BaseUpdate
				}
			}
			return nil
		})
	}
	return g.Wait()
}

func tagOf(b dockerfile.Base) string { return cmp.Or(b.Tag, "latest") }

// rebased are the files with the new digests, by their path. A place that cannot be written becomes one that is
// skipped.
func (p *Pipeline) rebased(bases []dockerfile.Base, out []Rebase) (map[string][]byte, error) {
	edits := map[string][]dockerfile.Edit{}
	for i, b := range bases {
		if out[i].Action != BaseUpdate && out[i].Action != BasePin {
			continue
		}
		file, found, err := p.editsFor(b, out[i].To)
		if errors.Is(err, dockerfile.ErrNotLiteral) {
			out[i].Action, out[i].Reason = BaseSkip, dockerfile.ErrNotLiteral.Error()+": write the digest by hand"
			continue
		}
		if err != nil {
			return nil, err
		}
		edits[file] = append(edits[file], found...)
	}
	files := map[string][]byte{}
	for file, es := range edits {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, fault.New(fault.Usage, p.shown(file), "", "cannot read it: %w", err)
		}
		if files[file], err = dockerfile.Apply(p.shown(file), content, es); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// editsFor finds where the digest of a base is written: in its Dockerfile, or in berth.yaml, as base or as one of args.
func (p *Pipeline) editsFor(b dockerfile.Base, digest string) (file string, edits []dockerfile.Edit, err error) {
	line := b.Line
	if p.Config.Components[b.Component].Dockerfile != nil {
		d, file, in, err := p.readDockerfile(b.Component)
		if err != nil {
			return "", nil, err
		}
		edits, err := d.Pin(b, in, tagOf(b), digest)
		if err == nil || b.Digest == "" {
			return file, edits, err
		}
		for name, value := range p.Config.Components[b.Component].Dockerfile.Args {
			if strings.Contains(value, b.Digest) {
				line, _ = p.Config.Position("components", b.Component, "dockerfile", "args", name)
			}
		}
	}
	content, err := os.ReadFile(p.configFile)
	if err != nil {
		return "", nil, fault.New(fault.Usage, p.shown(p.configFile), "", "cannot read it: %w", err)
	}
	edits, err = dockerfile.PinYAML(content, line, b.Digest, digest)
	return p.configFile, edits, err
}
