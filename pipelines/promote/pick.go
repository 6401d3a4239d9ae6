package promote

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/berth-sh/berth/pipelines/config"
	"github.com/berth-sh/berth/pipelines/facts"
	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/registry"
	"github.com/berth-sh/berth/pipelines/version"
)

// picked is the image of a component at the source, and why it is that one.
type picked struct {
	desc   ocispec.Descriptor
	tag    string
	reason string
	// commit is the one that the tag stands for; "" when the tag says nothing of it.
	commit string
}

// pick finds the image of a component that is to be promoted.
func (p *Promoter) pick(ctx context.Context, r route, j *job) (picked, error) {
	from := j.source
	switch {
	case r.refs[j.component] != "":
		return p.pickRef(ctx, r, j, r.refs[j.component])
	case r.tag != "":
		return p.pickRef(ctx, r, j, r.tag)
	}
	v := r.Version
	if v == nil {
		v = p.Checkout.Version
	}
	commit, err := p.commitOf(ctx, r)
	if err != nil {
		return picked{}, err
	}
	templates, err := templatesOf(p.Config, r.from)
	if err != nil {
		return picked{}, err
	}
	fields := version.Fields{Version: v, Commit: commit, Env: r.from}
	var tried []string
	for _, t := range ordered(templates, p.Config.Environments[r.from].Promote != nil || r.Rollback) {
		tag, reason, err := p.candidate(ctx, from, t, fields)
		if err != nil {
			return picked{}, err
		}
		if tag == "" {
			continue
		}
		desc, err := j.copier.Find(ctx, tag)
		if errors.Is(err, registry.ErrNotFound) {
			tried = append(tried, tag)
			continue
		}
		x := picked{desc: desc, tag: tag, reason: reason}
		if t.Names("sha", "commit") {
			x.commit = commit
		}
		return x, err
	}
	return picked{}, p.nothing(r, from, v, commit, tried)
}

// commitOf is the commit whose build is promoted from an environment that is published to: that of the version's git
// tag, or the one that is checked out.
func (p *Promoter) commitOf(ctx context.Context, r route) (string, error) {
	if r.Version == nil || r.Version.Equal(p.Checkout.Version) && p.Checkout.Released == nil {
		return p.Checkout.Commit, nil
	}
	commit, err := p.Checkout.Released(ctx, r.Version)
	if err != nil || commit != "" {
		return commit, err
	}
	if r.Version.Equal(p.Checkout.Version) {
		return p.Checkout.Commit, nil
	}
	return "", nil
}

// templatesOf lists the templates by which an environment's images are found: those of its version tags.
func templatesOf(c *config.Config, environment string) ([]version.Template, error) {
	var out []version.Template
	for _, text := range c.TemplatesOf(environment) {
		t, err := version.ParseTemplate(text)
		if err != nil {
			return nil, err
		}
		if t.Class() == version.ClassVersion && !slices.ContainsFunc(out, func(x version.Template) bool {
			return x.String() == t.String()
		}) {
			out = append(out, t)
		}
	}
	return out, nil
}

// ordered puts the templates first that say most: of a promoted environment those with the version, of one that is
// published to those with the commit.
func ordered(templates []version.Template, byVersion bool) []version.Template {
	first := func(t version.Template) bool {
		if byVersion {
			return !t.Names("sha", "commit")
		}
		return t.Names("sha", "commit")
	}
	out := slices.Clone(templates)
	slices.SortStableFunc(out, func(a, b version.Template) int {
		switch x, y := first(a), first(b); {
		case x == y:
			return 0
		case x:
			return -1
		default:
			return 1
		}
	})
	return out
}

// candidate renders the tag of a template, "" when it has fields that are not known here. Of candidates that are
// counted, it is the one with the highest number.
func (p *Promoter) candidate(
	ctx context.Context, from *registry.Repository, t version.Template, f version.Fields,
) (tag, reason string, err error) {
	switch {
	case t.Names("branch", "tag", "timestamp", "date"), t.Names("sha", "commit") && f.Commit == "":
		return "", "", nil
	case t.Counts():
		tags, err := allTags(ctx, from)
		if err != nil {
			return "", "", err
		}
		highest := 0
		for _, name := range tags {
			if n, ok := t.Counted(name, f); ok && n > highest {
				highest, tag = n, name
			}
		}
		return tag, fmt.Sprintf("the highest candidate of %s", f.Version), nil
	}
	if tag, err = t.Render(f); err != nil {
		return "", "", nil //nolint:nilerr // a template that cannot be rendered here finds nothing
	}
	if t.Names("sha", "commit") {
		return tag, "of commit " + facts.Short(f.Commit), nil
	}
	return tag, "of version " + f.Version.String(), nil
}

// allTags lists the tags of a repository; none when it does not exist.
func allTags(ctx context.Context, r *registry.Repository) ([]string, error) {
	tags, err := r.Tags(ctx)
	if errors.Is(err, registry.ErrNotFound) {
		return nil, nil
	}
	return tags, err
}

// nothing is the refusal when the source environment has no image to promote.
func (p *Promoter) nothing(r route, from *registry.Repository, v *semver.Version, commit string, tried []string) error {
	subject := from.String()
	what := "no image of version " + v.String()
	if p.Config.Environments[r.from].Promote == nil && !r.Rollback {
		if commit == "" {
			return fault.New(fault.Refused, subject, fmt.Sprintf(
				"check out the commit, tag it %s, or name its image: --from TAG", version.GitTag(p.Config.Version.GitTag, v)),
				"images of environment %s are named by their commit, and no git tag says which one is version %s", r.from, v)
		}
		what = "no image of commit " + facts.Short(commit)
	}
	if len(tried) > 0 {
		what += " (looked for " + strings.Join(tried, ", ") + ")"
	}
	next := "publish it first: berth publish --env " + r.from
	switch {
	case r.Rollback:
		next = "look at the released versions: berth status --env " + r.from
	case p.Config.Environments[r.from].Promote != nil:
		next = "promote it there first: berth promote --to " + r.from
	}
	return fault.New(fault.Refused, subject, next, "there is %s in environment %s", what, r.from)
}

// pickRef takes the image that the caller names, and makes sure that it is in the source environment.
func (p *Promoter) pickRef(ctx context.Context, r route, j *job, ref string) (picked, error) {
	from := j.source
	desc, err := j.copier.Find(ctx, ref)
	if errors.Is(err, registry.ErrNotFound) {
		return picked{}, fault.New(fault.Refused, from.String(), "look at what is there: berth status --env "+r.from,
			"there is no image %s", ref)
	}
	if err != nil {
		return picked{}, err
	}
	x := picked{desc: desc, reason: "--from " + ref}
	digest := strings.Contains(ref, ":")
	if !digest {
		x.tag = ref
	}
	if !shared(p.Config, r.from) {
		return x, nil
	}
	tags := []string{ref}
	if digest {
		if tags, err = allTags(ctx, from); err != nil {
			return picked{}, err
		}
	}
	tags = slices.DeleteFunc(slices.Clone(tags), func(tag string) bool { return !InEnvironment(p.Config, r.from, tag) })
	if digest {
		if tags, err = naming(ctx, from, tags, desc); err != nil {
			return picked{}, err
		}
	}
	if len(tags) == 0 {
		return picked{}, wrongSource(r.to, r.from, from.String(), ref)
	}
	return x, nil
}

// InEnvironment tells whether a tag is one of those that an environment gives its images.
func InEnvironment(c *config.Config, environment, tag string) bool {
	return slices.ContainsFunc(c.TemplatesOf(environment), func(text string) bool {
		t, err := version.ParseTemplate(text)
		return err == nil && t.Pattern(environment).MatchString(tag)
	})
}

// naming lists the tags that name an image.
func naming(ctx context.Context, r *registry.Repository, tags []string, desc ocispec.Descriptor) ([]string, error) {
	named := make([]bool, len(tags))
	g, gctx := errgroup.WithContext(ctx)
	for i, tag := range tags {
		g.Go(func() error {
			found, err := r.Resolve(gctx, tag)
			named[i] = err == nil && found.Digest == desc.Digest
			if errors.Is(err, registry.ErrNotFound) {
				return nil
			}
			return err
		})
	}
	err := g.Wait()
	var out []string
	for i, tag := range tags {
		if named[i] {
			out = append(out, tag)
		}
	}
	return out, err
}
