package pipelines

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/berth-sh/berth/pipelines/config"
	"github.com/berth-sh/berth/pipelines/facts"
	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/image"
	"github.com/berth-sh/berth/pipelines/plan"
	"github.com/berth-sh/berth/pipelines/publish"
	"github.com/berth-sh/berth/pipelines/registry"
	"github.com/berth-sh/berth/pipelines/report"
	"github.com/berth-sh/berth/pipelines/sandbox"
)

// Outcome is how an environment took the rehearsal.
type Outcome string

const (
	// OutcomePublished environments took all images, and a second publish sent nothing.
	OutcomePublished Outcome = "published"
	// OutcomePromoted environments took all images from the environment that their rule names, and a second promotion
	// changed nothing.
	OutcomePromoted Outcome = "promoted"
	// OutcomeRefused environments do not accept this git ref, as they should say.
	OutcomeRefused Outcome = "refused"
	// OutcomeSkipped environments could not be rehearsed, for example because a variable is not set.
	OutcomeSkipped Outcome = "skipped"
)

// Rehearsal is the outcome of publishing to every environment, in registries embedded in the process.
type Rehearsal struct {
	Commit       string      `json:"commit"`
	Version      string      `json:"version"`
	Environments []Rehearsed `json:"environments"`
}

// Rehearsed is one environment of a rehearsal.
type Rehearsed struct {
	Environment string   `json:"environment"`
	Registry    string   `json:"registry"`
	Outcome     Outcome  `json:"outcome"`
	Reason      string   `json:"reason"`
	Images      int      `json:"images"`
	Tags        []string `json:"tags"`
}

// Text writes the rehearsal for people.
func (r Rehearsal) Text(w io.Writer) error {
	_, err := fmt.Fprintf(w, "rehearsal of %s, commit %s\n\n", r.Version, facts.Short(r.Commit))
	if err != nil {
		return err
	}
	t := &report.Table{Head: []string{"ENVIRONMENT", "REGISTRY", "OUTCOME", "TAGS", "REASON"}}
	for _, e := range r.Environments {
		t.Add(e.Environment, e.Registry, string(e.Outcome), strings.Join(e.Tags, " "), e.Reason)
	}
	return t.Text(w)
}

// Rehearse builds the images once and publishes them to every environment that accepts the git ref, twice, into
// embedded registries that begin empty. It fails when a publish fails or the second one sends anything.
func (p *Pipeline) Rehearse(ctx context.Context, r BuildRequest) (Rehearsal, error) {
	s, err := p.read(ctx)
	if err != nil {
		return Rehearsal{}, err
	}
	images, release, err := p.Build(ctx, r)
	if err != nil {
		return Rehearsal{}, err
	}
	defer release()
	out := Rehearsal{Commit: s.facts.Commit, Version: s.base.String(), Environments: []Rehearsed{}}
	for _, name := range p.Config.EnvironmentNames() {
		one, err := p.rehearse(ctx, plan.Request{Environment: name, Components: r.Components, Platforms: r.Platforms}, images)
		if err != nil {
			return out, fmt.Errorf("rehearsal of environment %s: %w", name, err)
		}
		out.Environments = append(out.Environments, one)
	}
	return out, nil
}

func (p *Pipeline) rehearse(ctx context.Context, r plan.Request, images []image.Index) (out Rehearsed, err error) {
	out = Rehearsed{
		Environment: r.Environment, Registry: p.Config.Environments[r.Environment].Registry, Tags: []string{},
	}
	// Images come to an environment with promotions from the first one on its road.
	road := p.roadTo(r.Environment)
	r.Environment = road[0]
	pl, err := p.Plan(ctx, r)
	if err != nil {
		out.Outcome, out.Reason = OutcomeSkipped, err.Error()
		return out, nil
	}
	if err := pl.Err(); err != nil {
		out.Outcome, out.Reason = OutcomeRefused, strings.ReplaceAll(err.Error(), "\n", "; ")
		return out, nil
	}
	if len(road) > 1 && pl.Dirty {
		out.Outcome, out.Reason = OutcomeSkipped, "uncommitted work is not promoted"
		return out, nil
	}
	dir, release, err := scratch("berth-rehearsal-")
	if err != nil {
		return out, err
	}
	defer release()
	box, err := p.Sandbox(filepath.Join(dir, "sandbox"))
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, box.Close()) }()
	client := p.rehearsalClient(box, road[0])
	missing := p.missingRepositories(pl, SandboxRepositories(box))
	if err := p.publishTwice(ctx, p.publisher(client, missing), missing, pl, images); err != nil {
		return out, err
	}
	out.Outcome, out.Images = OutcomePublished, len(pl.Images)
	out.Reason = "all images and tags; the second publish sent nothing"
	for _, tag := range pl.Images[0].Tags {
		out.Tags = append(out.Tags, tag.Name)
	}
	for _, to := range road[1:] {
		if err := p.promoteTwice(ctx, box, to, r.Components, &out); err != nil {
			return out, err
		}
	}
	return out, nil
}

// rehearsalClient reaches a sandbox as whoever may write to the environment for real: the account is not rehearsed.
func (p *Pipeline) rehearsalClient(box *sandbox.Sandbox, environment string) *registry.Client {
	account := registry.Credential{Username: sandbox.Username, Password: sandbox.Password, Source: "rehearsal"}
	if writers := p.Config.WritersOf(environment); len(writers) > 0 {
		account.Username = writers[0]
	}
	return registry.NewClient(registry.Options{
		Transport:   box.Transport(),
		Credentials: registry.NewCredentials(registry.Explicit{"": account}),
		Kind:        p.kindOf,
		UserAgent:   p.options.Registry.UserAgent,
	})
}

func (p *Pipeline) publishTwice(
	ctx context.Context, publisher *publish.Publisher, missing *missing, pl plan.Plan, images []image.Index,
) error {
	if err := missing.look(ctx); err != nil {
		return err
	}
	for range 2 {
		seen, err := publisher.Observe(ctx, pl)
		if err != nil {
			return err
		}
		receipt, err := publisher.Apply(ctx, pl, seen, images)
		if err != nil {
			return err
		}
		again := seen[pl.Images[0].Repository][pl.Images[0].Tags[0].Name] != ""
		if sent := receipt.Uploaded(); again && (sent.Blobs > 0 || sent.Manifests > 0) {
			return fault.New(fault.Failed, "environment "+pl.Environment, "",
				"the second publish sent %d blobs and %d manifests again", sent.Blobs, sent.Manifests)
		}
	}
	return nil
}

// SandboxAccount is an account of the embedded registries, which take any name.
func SandboxAccount(name string) registry.Source {
	return registry.Explicit{"": {Username: name, Password: sandbox.Password, Source: "sandbox"}}
}

// Sandbox opens embedded registries for this project, with their state in dir: each host has the kind that the
// configuration gives it, and refuses to move the tags that the environments on it promise never to move.
func (p *Pipeline) Sandbox(dir string) (*sandbox.Sandbox, error) {
	immutable := map[string][]string{}
	for _, name := range p.Config.EnvironmentNames() {
		e := p.Config.Environments[name]
		host := p.Config.Registries[e.Registry].Host()
		immutable[host] = append(immutable[host], e.Immutable...)
	}
	return sandbox.New(sandbox.Options{Dir: dir, Immutable: immutable, Kinds: p.kindOf, MustCreate: p.creates})
}

// kindOf is the kind that the configuration gives a host, else the one that its name tells.
func (p *Pipeline) kindOf(host string) registry.Kind { return kindIn(p.Config, host) }

func kindIn(c *config.Config, host string) registry.Kind {
	for _, r := range c.Registries {
		if r.Host() == host && r.Kind != "" {
			return r.RegistryKind()
		}
	}
	return registry.KindOf(host)
}
