package publish

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/Masterminds/semver/v3"
	"golang.org/x/sync/errgroup"
	"oras.land/oras-go/v2/content"

	"github.com/berth-sh/berth/pipelines/attest"
	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/guard"
	"github.com/berth-sh/berth/pipelines/image"
	"github.com/berth-sh/berth/pipelines/plan"
	"github.com/berth-sh/berth/pipelines/registry"
	"github.com/berth-sh/berth/pipelines/report"
)

// Target is one repository of a registry.
type Target interface {
	guard.Target
	attest.Store
}

// Publisher publishes plans.
type Publisher struct {
	open     func(repository string) (Target, error)
	account  func(ctx context.Context, repository string) (string, error)
	progress report.Progress
	guard    *guard.Guard
}

// New returns a publisher. open gives the repository of a full name such as ghcr.io/acme/web; account tells who berth
// is there, "" when anonymous. descends tells whether a commit descends from the one that is published, which settles
// the order of commits of the same second; false when the commit is not known.
func New(
	open func(repository string) (Target, error),
	account func(ctx context.Context, repository string) (string, error),
	descends func(ctx context.Context, commit string) (bool, error),
	progress report.Progress,
) *Publisher {
	newer := func(ctx context.Context, commit, _ string) (bool, error) { return descends(ctx, commit) }
	return &Publisher{open: open, account: account, guard: guard.New(newer, progress), progress: progress}
}

// Waiting returns a publisher whose claims wait in another way, see [guard.Guard.Waiting].
func (p *Publisher) Waiting(wait func(ctx context.Context, d time.Duration) error) *Publisher {
	other := *p
	other.guard = p.guard.Waiting(wait)
	return &other
}

// job is one image on its way.
type job struct {
	plan      plan.Image
	image     image.Index
	target    Target
	candidate *guard.Candidate
	uploaded  registry.Uploaded
	attached  []Attachment
}

// freshVersion is how a commit comes to a version tag of its own.
const freshVersion = "give this commit a version of its own: berth version bump patch"

// Apply publishes the images of a plan. seen is what [Publisher.Observe] found.
func (p *Publisher) Apply(ctx context.Context, pl plan.Plan, seen Observed, images []image.Index) (Receipt, error) {
	jobs, err := p.jobs(ctx, pl, images)
	if err != nil {
		return Receipt{}, err
	}
	candidates := make([]*guard.Candidate, 0, len(jobs))
	found := make([]guard.Seen, 0, len(jobs))
	for _, j := range jobs {
		candidates, found = append(candidates, j.candidate), append(found, seen[j.plan.Repository])
	}
	// Every tag of every image is settled before any byte is sent.
	if err := p.guard.Decide(ctx, candidates, found); err != nil {
		return Receipt{}, err
	}
	if err := p.push(ctx, jobs); err != nil {
		return Receipt{}, err
	}
	// What is said of an image is there before a tag leads to it.
	if err := p.attach(ctx, jobs); err != nil {
		return Receipt{}, err
	}
	if err := p.guard.Set(ctx, candidates, found); err != nil {
		return Receipt{}, err
	}
	return receipt(pl, jobs), nil
}

func (p *Publisher) jobs(ctx context.Context, pl plan.Plan, images []image.Index) ([]*job, error) {
	base, err := semver.StrictNewVersion(pl.Version)
	if err != nil {
		return nil, fmt.Errorf("version of the plan: %w", err)
	}
	var jobs []*job
	for _, planned := range pl.Images {
		i := slices.IndexFunc(images, func(x image.Index) bool { return x.Component == planned.Component })
		if i < 0 {
			return nil, fault.New(fault.Usage, "component "+planned.Component,
				"build it: berth build --component "+planned.Component, "there is no image of it to publish")
		}
		if got := images[i].Platforms(); !slices.Equal(sorted(got), sorted(normal(planned.Platforms))) {
			return nil, fault.New(fault.Usage, "component "+planned.Component, "build it again for the planned platforms",
				"the image is for %v, the plan for %v", got, planned.Platforms)
		}
		target, err := p.open(planned.Repository)
		if err != nil {
			return nil, err
		}
		manifest, err := readAll(ctx, images[i])
		if err != nil {
			return nil, err
		}
		jobs = append(jobs, &job{plan: planned, image: images[i], target: target, candidate: &guard.Candidate{
			Repository: planned.Repository, Target: target, Descriptor: images[i].Descriptor, Manifest: manifest,
			Commit: pl.Commit, CommitTime: pl.CommitTime, Version: base, Release: pl.Release, Dirty: pl.Dirty,
			Wanted: planned.Tags, Fresh: freshVersion,
		}})
	}
	return jobs, nil
}

func readAll(ctx context.Context, x image.Index) ([]byte, error) {
	r, err := x.Fetch(ctx, x.Descriptor)
	if err != nil {
		return nil, err
	}
	raw, err := content.ReadAll(r, x.Descriptor)
	closeErr := r.Close()
	if err != nil {
		return nil, fmt.Errorf("read the index of %s: %w", x.Component, err)
	}
	return raw, closeErr
}

func (p *Publisher) push(ctx context.Context, jobs []*job) error {
	mounts := registry.NewMounts()
	g, gctx := errgroup.WithContext(ctx)
	for _, j := range jobs {
		if slices.ContainsFunc(j.candidate.Tags, func(t Tag) bool { return t.Action == ActionUnchanged }) {
			p.progress.Emit("push", j.plan.Repository, "is there already")
			continue
		}
		g.Go(func() error {
			var err error
			j.uploaded, err = j.target.Push(gctx, j.image, j.image.Descriptor, registry.PushOptions{Mounts: mounts})
			if err != nil {
				return err
			}
			p.progress.Emit("push", j.plan.Repository, fmt.Sprintf("%d blobs, %d bytes", j.uploaded.Blobs, j.uploaded.Bytes))
			return nil
		})
	}
	return g.Wait()
}

func receipt(pl plan.Plan, jobs []*job) Receipt {
	r := Receipt{
		Environment: pl.Environment, Registry: pl.Registry, Commit: pl.Commit, Version: pl.Version, Images: []Image{},
	}
	for _, j := range jobs {
		r.Images = append(r.Images, Image{
			Component:  j.plan.Component,
			Repository: j.plan.Repository,
			Digest:     j.image.Descriptor.Digest.String(),
			Platforms:  j.image.Platforms(),
			Tags:       j.candidate.Tags,
			Uploaded:   j.uploaded,
			Attached:   j.attached,
		})
	}
	return r
}

// normal writes platforms the way an image lists them: without a variant that is the architecture's default.
func normal(platforms []string) []string {
	out := make([]string, 0, len(platforms))
	for _, s := range platforms {
		if p, err := image.ParsePlatform(s); err == nil {
			s = image.PlatformString(p)
		}
		out = append(out, s)
	}
	return out
}

func sorted(s []string) []string { return slices.Sorted(slices.Values(s)) }
