package pipelines

import (
	"context"
	"os"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"
	"github.com/opencontainers/go-digest"

	"github.com/berth-sh/berth/pipelines/audit"
	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/promote"
	"github.com/berth-sh/berth/pipelines/status"
)

// LookRequest says which images are looked at: those of the references, or without any those of an environment.
type LookRequest struct {
	// Refs are REPOSITORY:TAG, REPOSITORY@DIGEST, COMPONENT:TAG with an environment, or oci:FOLDER of a layout with an
	// optional :NAME.
	Refs        []string
	Environment string
	Components  []string
	// Version of the images of an environment; nil is the one that is there now.
	Version *semver.Version
}

// Audit tells what happened to images.
func (p *Pipeline) Audit(ctx context.Context, r LookRequest) (audit.Trails, error) {
	keys, err := p.keyring()
	if err != nil {
		return audit.Trails{}, err
	}
	images, err := p.look(ctx, r)
	if err != nil {
		return audit.Trails{}, err
	}
	var out audit.Trails
	for _, x := range images {
		trail, err := audit.Read(ctx, x.Image, keys)
		if err != nil {
			return audit.Trails{}, err
		}
		p.options.Progress.Emit("read", x.Name, x.Ref)
		out.Images = append(out.Images, trail)
	}
	return out, nil
}

// Verify checks images. save is a folder that takes the images that hold as an OCI layout, with all that is attached to
// them; "" saves none.
func (p *Pipeline) Verify(ctx context.Context, r LookRequest, save string) (audit.Verifications, error) {
	keys, err := p.keyring()
	if err != nil {
		return audit.Verifications{}, err
	}
	images, err := p.look(ctx, r)
	if err != nil {
		return audit.Verifications{}, err
	}
	var out audit.Verifications
	for _, x := range images {
		if x.Component == "" && !x.layout {
			return out, fault.New(fault.Usage, x.Name, "name an image of a component; berth audit reads any other",
				"no component of berth.yaml has this repository, and so nothing tells what the image must show")
		}
		wanted, err := p.wanted(x)
		if err != nil {
			return out, err
		}
		v, err := audit.Verify(ctx, x.Image, keys, wanted)
		if err != nil {
			return out, err
		}
		p.options.Progress.Emit("verify", x.Name, x.Ref)
		out.Images = append(out.Images, v)
		if save == "" || !v.Holds {
			continue
		}
		name := x.Component
		if name == "" {
			name = x.Ref
		}
		if err := audit.Save(ctx, x.Image, digest.Digest(v.Digest), abs(p.options.Dir, save), name); err != nil {
			return out, err
		}
	}
	return out, nil
}

// looked is an image with the environment that it should be in, "" for none.
type looked struct {
	audit.Image
	environment string
	layout      bool
}

// wanted is what an image must show.
func (p *Pipeline) wanted(x looked) (audit.Wanted, error) {
	w := audit.Wanted{Environment: x.environment, Contents: x.layout}
	if x.Component != "" {
		w.Platforms = p.Config.PlatformsOf(x.Component)
	}
	e, ok := p.Config.Environments[x.environment]
	if !ok || e.Promote == nil {
		return w, nil
	}
	rules, err := p.rules(x.environment)
	if err != nil {
		return w, err
	}
	rules.Component = x.Component
	w.Rules, w.Signed = &rules, e.Promote.Signed
	if !x.layout {
		w.Repository = x.Name
		w.Tagged = !strings.Contains(x.Ref, ":") && promote.InEnvironment(p.Config, x.environment, x.Ref)
	}
	return w, nil
}

func (p *Pipeline) look(ctx context.Context, r LookRequest) ([]looked, error) {
	if _, ok := p.Config.Environments[r.Environment]; r.Environment != "" && !ok {
		return nil, fault.New(fault.Usage, "--env "+r.Environment,
			"known environments: "+strings.Join(p.Config.EnvironmentNames(), ", "), "there is no environment %q", r.Environment)
	}
	if len(r.Refs) == 0 {
		return p.lookEnvironment(ctx, r)
	}
	var out []looked
	for _, ref := range r.Refs {
		one := p.lookRef
		if strings.HasPrefix(ref, layoutPrefix) {
			one = p.lookLayout
		}
		found, err := one(ctx, ref, r)
		if err != nil {
			return nil, err
		}
		out = append(out, found...)
	}
	return out, nil
}

// lookEnvironment finds the components of an environment: those of a version, or what is there now.
func (p *Pipeline) lookEnvironment(ctx context.Context, r LookRequest) ([]looked, error) {
	if r.Version != nil {
		return p.lookVersion(ctx, r)
	}
	board, err := p.Status(ctx, status.Request{Environments: []string{r.Environment}, Components: r.Components})
	if err != nil {
		return nil, err
	}
	var out []looked
	var absent []string
	for _, row := range board.Components {
		cell := row.Images[0]
		if !cell.There() {
			absent = append(absent, row.Component)
			continue
		}
		repository, err := p.client.Repository(cell.Repository)
		if err != nil {
			return nil, err
		}
		out = append(out, looked{environment: r.Environment, Image: audit.Image{
			Component: row.Component, Name: cell.Repository, Ref: cell.Tag, Source: repository,
		}})
	}
	if len(out) == 0 {
		return nil, fault.New(fault.Failed, "environment "+r.Environment, "see what is where: berth status",
			"there is no image in it")
	}
	if len(absent) > 0 {
		p.warn("environment " + r.Environment + " has no image of " + strings.Join(absent, ", "))
	}
	return out, nil
}

// lookVersion finds a version in an environment, where a rollback would look for it.
func (p *Pipeline) lookVersion(ctx context.Context, r LookRequest) ([]looked, error) {
	if p.Config.Environments[r.Environment].Promote == nil {
		return nil, fault.New(fault.Usage, "--version "+r.Version.String(), "name the image: COMPONENT:TAG",
			"images of environment %s are not found by their version", r.Environment)
	}
	_, sources, err := p.sources(ctx, promote.Request{
		To: r.Environment, Components: r.Components, Version: r.Version, Rollback: true,
	}, "")
	if err != nil {
		return nil, err
	}
	var out []looked
	for _, s := range sources {
		out = append(out, looked{environment: r.Environment, Image: audit.Image{
			Component: s.Component, Name: s.Repository.String(), Ref: s.Tag, Source: s.Repository,
		}})
	}
	return out, nil
}

// lookRef finds an image in a registry.
func (p *Pipeline) lookRef(_ context.Context, text string, r LookRequest) ([]looked, error) {
	name, ref, err := splitRef(text)
	if err != nil {
		return nil, err
	}
	x := looked{environment: r.Environment}
	if _, isComponent := p.Config.Components[name]; isComponent {
		if r.Environment == "" {
			return nil, fault.New(fault.Usage, text, "name the environment with --env, or write the whole repository",
				"component %s has a repository in each environment", name)
		}
		e := p.Config.Environments[r.Environment]
		if err := p.Config.RequireSet("registries", e.Registry); err != nil {
			return nil, err
		}
		name = p.Config.FullRepositoryOf(r.Environment, name)
	}
	repository, err := p.client.Repository(name)
	if err != nil {
		return nil, err
	}
	x.Image = audit.Image{Name: name, Ref: ref, Source: repository}
	err = p.place(&x, text)
	return []looked{x}, err
}

// splitRef takes a reference apart.
func splitRef(text string) (name, ref string, err error) {
	if name, ref, ok := strings.Cut(text, "@"); ok {
		if err := digest.Digest(ref).Validate(); err != nil {
			return "", "", fault.New(fault.Usage, text, "write REPOSITORY@sha256:…", "%w", err)
		}
		if at := strings.LastIndex(name, ":"); at > strings.LastIndex(name, "/") {
			name = name[:at] // the digest says more than the tag before it
		}
		return name, ref, nil
	}
	at := strings.LastIndex(text, ":")
	if at <= strings.LastIndex(text, "/") || at == len(text)-1 {
		return "", "", fault.New(fault.Usage, text, "write REPOSITORY:TAG or REPOSITORY@DIGEST",
			"it names no tag and no digest")
	}
	return text[:at], text[at+1:], nil
}

// place finds the component of an image, and the environment when it is not named: the only one whose repository and
// tags fit.
func (p *Pipeline) place(x *looked, text string) error {
	var fit []string
	for _, environment := range p.Config.EnvironmentNames() {
		for _, component := range p.Config.ComponentNames() {
			if p.Config.FullRepositoryOf(environment, component) == x.Name {
				x.Component = component
				fit = append(fit, environment)
			}
		}
	}
	switch {
	case x.environment != "" && !slices.Contains(fit, x.environment):
		return fault.New(fault.Usage, text, "leave out --env, or name an image of that environment",
			"environment %s has no such repository", x.environment)
	case x.environment != "" || len(fit) == 0:
		return nil
	}
	if !strings.Contains(x.Ref, ":") {
		byTag := slices.DeleteFunc(slices.Clone(fit), func(e string) bool {
			return !promote.InEnvironment(p.Config, e, x.Ref)
		})
		if len(byTag) > 0 {
			fit = byTag
		}
	}
	if len(fit) > 1 {
		return fault.New(fault.Usage, text, "name one: --env "+strings.Join(fit, "|"),
			"it may be meant in several environments")
	}
	x.environment = fit[0]
	return nil
}

// layoutPrefix marks a reference to an OCI layout.
const layoutPrefix = "oci:"

// lookLayout finds the images of an OCI layout.
func (p *Pipeline) lookLayout(ctx context.Context, text string, r LookRequest) ([]looked, error) {
	dir, only := abs(p.options.Dir, strings.TrimPrefix(text, layoutPrefix)), ""
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		if at := strings.LastIndex(dir, ":"); at > strings.LastIndex(dir, string(os.PathSeparator)) {
			dir, only = dir[:at], dir[at+1:]
		}
	}
	layout, err := audit.OpenLayout(ctx, dir)
	if err != nil {
		return nil, err
	}
	names, err := layout.Images(ctx)
	if err != nil {
		return nil, err
	}
	if only != "" {
		if !slices.Contains(names, only) {
			return nil, fault.New(fault.Usage, text, "it holds: "+strings.Join(names, ", "), "there is no image %s", only)
		}
		names = []string{only}
	}
	if r.Environment == "" && p.promotes() {
		return nil, fault.New(fault.Usage, text, "name it: --env "+strings.Join(p.Config.EnvironmentNames(), "|"),
			"a layout does not tell which environment its images should be in")
	}
	var out []looked
	for _, name := range names {
		x := looked{
			Image:       audit.Image{Name: layoutPrefix + dir, Ref: name, Source: layout},
			environment: r.Environment, layout: true,
		}
		if x.Component, err = p.componentOf(name, r.Components); err != nil {
			return nil, err
		}
		out = append(out, x)
	}
	return out, nil
}

// promotes tells whether any environment takes promotions.
func (p *Pipeline) promotes() bool {
	return slices.ContainsFunc(p.Config.EnvironmentNames(), func(name string) bool {
		return p.Config.Environments[name].Promote != nil
	})
}

// componentOf is the component of an image in a layout: the one of its name, or the one that was named.
func (p *Pipeline) componentOf(name string, asked []string) (string, error) {
	for _, component := range append(slices.Clone(asked), name) {
		if _, ok := p.Config.Components[component]; ok {
			return component, nil
		}
	}
	if len(asked) > 0 {
		return "", fault.New(fault.Usage, "--component "+asked[0],
			"known components: "+strings.Join(p.Config.ComponentNames(), ", "), "there is no component %q", asked[0])
	}
	return "", nil
}
