package promote

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/Masterminds/semver/v3"
	"github.com/opencontainers/go-digest"

	"github.com/berth-sh/berth/pipelines/approve"
	"github.com/berth-sh/berth/pipelines/attest"
	"github.com/berth-sh/berth/pipelines/config"
	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/guard"
	"github.com/berth-sh/berth/pipelines/plan"
	"github.com/berth-sh/berth/pipelines/registry"
	"github.com/berth-sh/berth/pipelines/report"
)

// Request is what the caller asks for.
type Request struct {
	// To is the environment that the images come to.
	To string
	// From names other sources than the newest of the environment that the target's rule names: that environment, a tag
	// there, or images as REPOSITORY:TAG or REPOSITORY@DIGEST.
	From []string
	// Version to promote, or to roll back to; nil is the one that is checked out.
	Version *semver.Version
	// Components by name; empty means all.
	Components []string
	// Rollback moves the floating tags of the target back to Version.
	Rollback bool
}

// Subject is an image whose approvals are asked for.
type Subject struct {
	Component  string
	Repository *registry.Repository
	Digest     digest.Digest
	To         string
	// Chart is the digest of the chart that comes along, which the approvals must name; "" for none.
	Chart string
}

// Checkout is what git says, as far as a promotion needs it.
type Checkout struct {
	// Commit and Version are those that are checked out.
	Commit  string
	Version *semver.Version
	// Released returns the commit that a version's git tag names, "" when there is none.
	Released func(ctx context.Context, v *semver.Version) (string, error)
	// Descends tells whether a commit descends from another; false when that is not known.
	Descends func(ctx context.Context, commit, from string) (bool, error)
}

// Options are what a promoter works with.
type Options struct {
	Config   *config.Config
	Checkout Checkout
	// Open returns the repository of a full name.
	Open func(repository string) (*registry.Repository, error)
	// Approved says what the approvals of an image at the source are worth for the target.
	Approved func(ctx context.Context, s Subject) (approve.Verdict, error)
	// Chart tells which chart a commit has; nil where the chart is not promoted. The chart is nil where the commit
	// has none.
	Chart func(ctx context.Context, commit string) (*ChartVersion, error)
	// Trusted tells whether a recorder or approver has signed a record.
	Trusted func(ctx context.Context, record attest.Document) bool
	// Signer signs the records; nil leaves them unsigned.
	Signer *attest.Signer
	// Run is the run of a CI that records name; nil outside of one.
	Run *attest.Run
	// Now is the time of records.
	Now func() time.Time
	// Wait replaces the wait of a claim, see [guard.Guard.Waiting]; nil is a real one.
	Wait func(ctx context.Context, d time.Duration) error
	// Progress is told each finished step.
	Progress report.Progress
}

// Promoter promotes images.
type Promoter struct {
	Options

	guard  *guard.Guard
	mounts *registry.Mounts
}

// New returns a promoter for one run.
func New(o Options) *Promoter {
	g := guard.New(o.Checkout.Descends, o.Progress)
	if o.Wait != nil {
		g = g.Waiting(o.Wait)
	}
	return &Promoter{Options: o, guard: g, mounts: registry.NewMounts()}
}

// route is a request that was checked against the configuration.
type route struct {
	Request

	from, to   string // environments
	rule       *config.Promote
	components []string
	tag        string            // in the source environment; "" picks one
	refs       map[string]string // component → tag or digest in its repository
}

func (p *Promoter) route(r Request) (route, error) {
	out := route{Request: r, to: r.To, refs: map[string]string{}}
	e, ok := p.Config.Environments[r.To]
	if !ok {
		return out, fault.New(fault.Usage, "--to "+r.To, "known environments: "+
			strings.Join(p.Config.EnvironmentNames(), ", "), "there is no environment %q", r.To)
	}
	if e.Promote == nil {
		return out, p.Config.Fault([]string{"environments", r.To},
			"publish there (berth publish --env "+r.To+"), or add promote: {from: …, set: […]}",
			"environment %s takes no promotions", r.To)
	}
	out.rule, out.from = e.Promote, e.Promote.From
	for _, name := range []string{out.to, out.from} {
		chosen := plan.Choice{Environment: name, Registry: p.Config.Environments[name].Registry}
		if err := plan.RequireSet(p.Config, chosen); err != nil {
			return out, err
		}
	}
	if r.Rollback {
		out.from = r.To
		if r.Version == nil {
			return out, fault.New(fault.Usage, "--rollback", "name it: --version 1.2.3",
				"a rollback needs the version to go back to")
		}
		if len(r.From) > 0 {
			return out, fault.New(fault.Usage, "--rollback", "leave out --from",
				"a rollback goes to the image that the version's own tag names")
		}
	}
	var err error
	if out.components, err = plan.Components(p.Config, r.Components); err != nil {
		return out, err
	}
	for _, from := range r.From {
		if err := p.addSource(&out, from); err != nil {
			return out, err
		}
	}
	if len(out.refs) > 0 && len(r.Components) == 0 {
		out.components = slices.DeleteFunc(out.components, func(name string) bool { return out.refs[name] == "" })
	}
	return out, nil
}

// addSource reads one --from.
func (p *Promoter) addSource(r *route, from string) error {
	if _, ok := p.Config.Environments[from]; ok {
		if from != r.from {
			return wrongSource(r.to, r.from, "--from "+from, "environment "+from)
		}
		return nil
	}
	if name, ref, ok := cutComponent(p.Config, from); ok {
		return fault.New(fault.Usage, "--from "+from,
			"write --component "+name+" --from "+ref+", or --from "+p.Config.FullRepositoryOf(r.from, name)+from[len(name):],
			"it names a component, not a repository")
	}
	if !strings.Contains(from, "/") {
		if r.tag != "" {
			return fault.New(fault.Usage, "--from "+from, "name one tag, or images as REPOSITORY:TAG",
				"there is another tag already: %s", r.tag)
		}
		r.tag = from
		return nil
	}
	repository, ref, ok := strings.Cut(from, "@")
	if !ok {
		at := strings.LastIndex(from, ":")
		if at < strings.LastIndex(from, "/") {
			return fault.New(fault.Usage, "--from "+from, "write REPOSITORY:TAG or REPOSITORY@DIGEST",
				"it names no tag and no digest")
		}
		repository, ref = from[:at], from[at+1:]
	}
	for _, name := range p.Config.ComponentNames() {
		if p.Config.FullRepositoryOf(r.from, name) == repository {
			r.refs[name] = ref
			return nil
		}
	}
	return wrongSource(r.to, r.from, "--from "+from, repository)
}

// cutComponent takes COMPONENT:TAG and COMPONENT@DIGEST apart, which other verbs take.
func cutComponent(c *config.Config, from string) (name, ref string, ok bool) {
	at := strings.IndexAny(from, ":@")
	if at < 0 {
		return "", "", false
	}
	name, ref = from[:at], from[at+1:]
	_, ok = c.Components[name]
	return name, ref, ok
}

// wrongSource refuses what is not in the environment that the rule names.
func wrongSource(to, from, subject, what string) error {
	return fault.New(fault.Refused, subject, fmt.Sprintf("promote to %s first, or take an image from there", from),
		"images come to %s from environment %s, and %s is not in it", to, from, what)
}

// shared tells whether another environment has its images in the same repositories.
func shared(c *config.Config, environment string) bool {
	prefix := c.PrefixOf(environment)
	return slices.ContainsFunc(c.EnvironmentNames(), func(name string) bool {
		return name != environment && c.PrefixOf(name) == prefix
	})
}
