package promote

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/berth-sh/berth/pipelines/attest"
	"github.com/berth-sh/berth/pipelines/facts"
	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/guard"
	"github.com/berth-sh/berth/pipelines/plan"
	"github.com/berth-sh/berth/pipelines/registry"
	"github.com/berth-sh/berth/pipelines/version"
)

// chartConfig is the media type by which a manifest is known as that of a Helm chart.
// Source: https://helm.sh/docs/topics/registries/#helm-chart-manifest
const chartConfig = "application/vnd.cncf.helm.config.v1+json"

// freshChart is how a changed chart comes to a tag of its own.
const freshChart = "a released chart keeps its bytes; the other one needs a version of its own in Chart.yaml"

// ChartVersion names the chart that a commit has.
type ChartVersion struct {
	Name    string
	Version *semver.Version
}

// tag is the one under which the chart is pushed: OCI knows no plus sign, and Helm writes an underscore for it.
func (v ChartVersion) tag() string { return strings.ReplaceAll(v.Version.String(), "+", "_") }

// Chart is the chart of a plan.
type Chart struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	// Commit is the one whose chart it is: that of the images.
	Commit string `json:"commit"`
	Reason string `json:"reason"`
	// Source and Repository are the full repositories that the chart comes from and goes to.
	Source     string `json:"source"`
	Repository string `json:"repository"`
	Digest     string `json:"digest"`
	Tag        Tag    `json:"tag"`
}

// ref is the chart with its digest, "" for none.
func (c *Chart) ref() string {
	if c == nil {
		return ""
	}
	return c.Repository + ":" + c.Tag.Name + "@" + c.Digest
}

// PromotedChart is the chart of a receipt.
type PromotedChart struct {
	Name       string    `json:"name"`
	Version    string    `json:"version"`
	Source     string    `json:"source"`
	Repository string    `json:"repository"`
	Digest     string    `json:"digest"`
	Tag        guard.Tag `json:"tag"`
	// Record is the digest of the record that was attached, "" when nothing changed.
	Record   string            `json:"record"`
	Uploaded registry.Uploaded `json:"uploaded"`
}

// all are the images, and the chart where one comes along: it is copied, recorded and tagged as they are.
func (w *Work) all() []*job {
	if w.chart == nil {
		return w.jobs
	}
	return append(slices.Clone(w.jobs), w.chart)
}

func (w *Work) chartChanges() bool { return w.chart != nil && w.chart.candidate.Changes() }

func (w *Work) chartDigest() string {
	if w.chart == nil {
		return ""
	}
	return w.chart.picked.desc.Digest.String()
}

// findChart looks for the chart of the commit that the images are of, at the source and at the target. A rollback moves
// floating tags, and charts have none.
func (p *Promoter) findChart(ctx context.Context, w *Work) error {
	if p.Chart == nil || w.route.Rollback || len(w.jobs) == 0 {
		return nil
	}
	commits, err := p.commits(ctx, w)
	if err != nil {
		return err
	}
	j, err := p.chartOf(ctx, w.route.from, commits)
	if fault.CodeOf(err) == fault.Refused {
		w.refused = asRefusal(err)
		return nil
	}
	if err != nil || j == nil {
		return err
	}
	if j.target, err = p.Open(p.chartRepository(w.route.to, j)); err != nil {
		return err
	}
	j.copier = registry.NewCopier(j.source, j.target, p.mounts)
	if err := p.seeChart(ctx, j); err != nil {
		return err
	}
	if !j.settled {
		if j.found.manifest, err = j.copier.Read(ctx, j.picked.desc); err != nil {
			return err
		}
		if w.refused = noChart(j); len(w.refused) > 0 {
			return nil
		}
	}
	j.candidate = &guard.Candidate{
		Repository: j.target.String(), Target: j.target, Descriptor: j.picked.desc, Manifest: j.found.manifest,
		Commit: j.found.said.Revision, Version: j.version, Fresh: freshChart,
		Wanted: []version.Tag{{Name: j.picked.tag, Class: version.ClassVersion}},
	}
	w.chart = j
	return nil
}

// commits lists the commits of the images, as far as they were read. Where all are settled, the first one tells which
// promotion is done already.
func (p *Promoter) commits(ctx context.Context, w *Work) ([]string, error) {
	var out []string
	for _, j := range w.jobs {
		if !j.settled {
			out = append(out, j.found.said.Revision)
		}
	}
	if len(out) == 0 {
		raw, err := w.jobs[0].copier.Read(ctx, w.jobs[0].picked.desc)
		if err != nil {
			return nil, err
		}
		out = append(out, guard.Read(raw).Revision)
	}
	return p.named(out), nil
}

// named are commits without repetitions. An image that names none is taken for one of the commit that is checked out,
// as it is for tags.
func (p *Promoter) named(commits []string) []string {
	for i, commit := range commits {
		if commits[i] = strings.TrimSuffix(commit, dirtySuffix); commits[i] == "" {
			commits[i] = p.Checkout.Commit
		}
	}
	slices.Sort(commits)
	return slices.Compact(commits)
}

// chartOf finds the chart of commits in an environment; nil when they have none. What is missing there, and commits
// whose charts differ, are refusals.
func (p *Promoter) chartOf(ctx context.Context, from string, commits []string) (*job, error) {
	var of ChartVersion
	var first string
	for _, commit := range commits {
		v, err := p.Chart(ctx, commit)
		switch {
		case err != nil:
			return nil, err
		case v == nil:
		case first == "":
			of, first = *v, commit
		case v.Name != of.Name || v.tag() != of.tag():
			return nil, fault.New(fault.Refused, "chart "+v.Name, "promote the components of one commit at a time: --component",
				"the images are of commits whose charts differ: %s %s of %s, and %s %s of %s",
				of.Name, of.Version, facts.Short(first), v.Name, v.Version, facts.Short(commit))
		}
	}
	if first == "" {
		return nil, nil
	}
	j := &job{version: of.Version, picked: picked{tag: of.tag(), reason: "of commit " + facts.Short(first)}}
	j.found.said.Revision = first
	var err error
	if j.source, err = p.Open(p.Config.ChartRepository(from, of.Name)); err != nil {
		return nil, err
	}
	j.component = strings.TrimPrefix(j.source.String(), p.Config.PrefixOf(from)+"/")
	j.picked.desc, err = j.source.Resolve(ctx, j.picked.tag)
	if errors.Is(err, registry.ErrNotFound) {
		next := "push it: berth chart push --env " + from
		if p.Config.Environments[from].Promote != nil {
			next = "promote it there first: berth promote --to " + from
		}
		return nil, fault.New(fault.Refused, j.source.String()+":"+j.picked.tag,
			next+"; or leave charts out: promote: false in "+p.Config.Where("chart"),
			"the chart of commit %s comes along with the images, but environment %s does not have it", facts.Short(first), from)
	}
	return j, err
}

// ChartOf returns the digest of the chart that would come along with images, "" for none. Approvals name it.
func (p *Promoter) ChartOf(ctx context.Context, to string, images []Source) (string, error) {
	if p.Chart == nil || len(images) == 0 {
		return "", nil
	}
	var commits []string
	for _, x := range images {
		commits = append(commits, x.Said.Revision)
	}
	j, err := p.chartOf(ctx, p.Config.Environments[to].Promote.From, p.named(commits))
	if err != nil || j == nil {
		return "", err
	}
	return j.picked.desc.Digest.String(), nil
}

// seeChart looks what the chart's tag names at the target. Environments of one registry have the chart in common.
func (p *Promoter) seeChart(ctx context.Context, j *job) (err error) {
	if j.source.String() == j.target.String() {
		j.seen = guard.Seen{j.picked.tag: j.picked.desc.Digest.String()}
	} else if j.seen, err = guard.Look(ctx, j.target, []string{j.picked.tag}); err != nil {
		return err
	}
	j.settled = j.seen[j.picked.tag] == j.picked.desc.Digest.String()
	return nil
}

// noChart refuses what is no chart.
func noChart(j *job) []plan.Refusal {
	var m ocispec.Manifest
	if err := json.Unmarshal(j.found.manifest, &m); err == nil && m.Config.MediaType == chartConfig {
		return nil
	}
	return []plan.Refusal{{
		Subject: j.source.String() + ":" + j.picked.tag, Reason: "it is no Helm chart",
		Next: "look who put it there, and let chart.repository in berth.yaml name a path that has charts alone",
	}}
}

// chartRepository is the full name of the chart's repository in an environment.
func (p *Promoter) chartRepository(environment string, j *job) string {
	return p.Config.PrefixOf(environment) + "/" + j.component
}

// chartName is the chart's name: the last part of its repository.
func chartName(j *job) string { return j.component[strings.LastIndex(j.component, "/")+1:] }

func (w *Work) chartPlan() *Chart {
	j := w.chart
	if j == nil {
		return nil
	}
	t := j.candidate.Tags[0]
	return &Chart{
		Name: chartName(j), Version: j.version.String(), Commit: j.found.said.Revision, Reason: j.picked.reason,
		Source: j.source.String(), Repository: j.target.String(), Digest: w.chartDigest(),
		Tag: Tag{Name: t.Name, Class: t.Class, Action: actionOf(t.Action), Reason: t.Reason},
	}
}

func (w *Work) chartReceipt() *PromotedChart {
	j := w.chart
	if j == nil {
		return nil
	}
	return &PromotedChart{
		Name: chartName(j), Version: j.version.String(), Source: j.source.String(), Repository: j.target.String(),
		Digest: w.chartDigest(), Tag: j.candidate.Tags[0], Record: j.record, Uploaded: j.sent,
	}
}

// chartSaid is what records say of the chart.
func (w *Work) chartSaid() *attest.Chart {
	if w.chart == nil {
		return nil
	}
	return &attest.Chart{
		Repository: w.chart.target.String(), Version: w.chart.version.String(), Digest: w.chartDigest(),
	}
}

// chartEvidence are the approvals that a chart's record rests on: those of the images that it comes along with, each
// once.
func (w *Work) chartEvidence() []attest.Evidence {
	out := []attest.Evidence{}
	for _, j := range w.jobs {
		for _, e := range j.verdict.Evidence() {
			if !slices.ContainsFunc(out, func(x attest.Evidence) bool { return x.Role == e.Role && x.By == e.By }) {
				out = append(out, e)
			}
		}
	}
	return out
}
