package promote_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/Masterminds/semver/v3"

	"github.com/berth-sh/berth/pipelines/approve"
	"github.com/berth-sh/berth/pipelines/chart"
	"github.com/berth-sh/berth/pipelines/chart/wire"
	"github.com/berth-sh/berth/pipelines/config"
	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/guard"
	"github.com/berth-sh/berth/pipelines/promote"
	"github.com/berth-sh/berth/pipelines/registry"
)

const chartTag = "2.0.0"

// harbour is a yard whose chart is promoted along; every commit has version 2.0.0 of it.
type harbour struct {
	*yard

	charts func(commit string) (*promote.ChartVersion, error)
	from   []string
}

func newHarbour(t *testing.T, o options) *harbour {
	t.Helper()
	y := newYard(t, o)
	t.Cleanup(y.close)
	y.config.Chart = &config.Chart{Path: "deploy", Promote: true}
	h := &harbour{yard: y, charts: func(string) (*promote.ChartVersion, error) {
		return &promote.ChartVersion{Name: "fleet", Version: semver.MustParse(chartTag)}, nil
	}}
	must(t, y.publish(t.Context(), cargo{version: "1.0.0", day: 1}))
	return h
}

// push publishes a chart of version 2.0.0 and returns its digest.
func (h *harbour) push(host, content string) string {
	h.t.Helper()
	a, err := chart.Pack(h.t.Context(), wire.Answer{
		Chart: "fleet", Version: chartTag, Metadata: []byte(`{}`), Files: []wire.File{{Name: "fleet/x", Data: []byte(content)}},
	})
	must(h.t, err)
	to := h.repository(host + "/o/charts/fleet")
	never := func(context.Context, string, string) (bool, error) { return false, nil }
	_, err = chart.Push(h.t.Context(), guard.New(never, nil), to.String(), to, a, commit(1))
	must(h.t, err)
	return a.Descriptor.Digest.String()
}

func (h *harbour) promoter(k cargo) *promote.Promoter {
	p := h.yard.promoter(k, "robot", nil)
	p.Chart = func(_ context.Context, commit string) (*promote.ChartVersion, error) { return h.charts(commit) }
	p.Approved = func(ctx context.Context, s promote.Subject) (approve.Verdict, error) {
		rules, err := approve.RulesFor(h.config, h.keys, s.To)
		rules.Chart = s.Chart
		if err != nil {
			return approve.Verdict{}, err
		}
		return approve.Check(ctx, rules, s.Repository, s.Digest, nil, h.clock())
	}
	return p
}

func (h *harbour) promote(to string) (promote.Receipt, error) {
	p := h.promoter(cargo{version: "1.0.0", day: 1})
	w, err := p.Prepare(h.t.Context(), promote.Request{To: to, From: h.from})
	if err != nil {
		return promote.Receipt{}, err
	}
	return p.Apply(h.t.Context(), w)
}

// held is the digest of the chart at the production registry, "" for none.
func (h *harbour) held() string {
	h.t.Helper()
	desc, err := h.repository("prd.example.com/o/charts/fleet").Resolve(h.t.Context(), chartTag)
	if errors.Is(err, registry.ErrNotFound) {
		return ""
	}
	must(h.t, err)
	return desc.Digest.String()
}

// The chart of the images' commit comes along byte for byte, with a record; the next run only looks.
func TestTheChartComesAlong(t *testing.T) {
	t.Parallel()
	h := newHarbour(t, options{})
	digest := h.push("dev.example.com", "a")
	r, err := h.promote("staging")
	must(t, err)
	if r.Chart == nil || r.Chart.Digest != digest || r.Chart.Tag.Action != guard.ActionCreated || h.held() != digest {
		t.Fatalf("%+v; the target has %s, want %s", r.Chart, h.held(), digest)
	}
	records := h.recordsAt("prd.example.com/o/charts/fleet", digest)
	if len(records) != 1 || records[0].Component != "charts/fleet" || !slices.Equal(records[0].Tags, []string{chartTag}) {
		t.Errorf("records of the chart: %+v", records)
	}
	of := h.records("alpha", r.Images[0].Digest)
	if len(of) != 1 || of[0].Chart == nil || of[0].Chart.Digest != digest {
		t.Errorf("records of an image: %+v", of)
	}

	h.reset()
	again, err := h.promote("staging")
	must(t, err)
	if again.Chart.Tag.Action != guard.ActionUnchanged || again.Chart.Record != "" {
		t.Errorf("again: %+v", again.Chart)
	}
	if h.count("PUT", "")+h.count("POST", "") > 0 {
		t.Errorf("the second run sends: %v", h.log)
	}
	// Beside what the images take, whose index says which commit: the tag on both sides.
	withChart := int(h.requests.Load())
	h.config.Chart.Promote = false
	h.reset()
	p := h.yard.promoter(cargo{version: "1.0.0", day: 1}, "robot", nil)
	w, err := p.Prepare(t.Context(), promote.Request{To: "staging"})
	must(t, err)
	_, err = p.Apply(t.Context(), w)
	must(t, err)
	if n := withChart - int(h.requests.Load()); n != 2 {
		t.Errorf("the chart takes %d requests more, want 2", n)
	}

	// Staging and production are one registry: what is there is not copied.
	prd, err := h.promote("production")
	must(t, err)
	if prd.Chart.Tag.Action != guard.ActionUnchanged || prd.Chart.Digest != digest {
		t.Errorf("production: %+v", prd.Chart)
	}
}

// Whatever request fails, no tag names anything before all is there, and the same command finishes.
func TestABrokenPromotionOfAChartIsFinished(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"POST /v2/o/charts/fleet/blobs", "PUT /v2/o/charts/fleet/manifests/sha256", "PUT /v2/o/charts/fleet/manifests/" + chartTag} {
		t.Run(at, func(t *testing.T) {
			t.Parallel()
			h := newHarbour(t, options{})
			digest := h.push("dev.example.com", "a")
			method, path, _ := strings.Cut(at, " ")
			h.hook(func(r *http.Request) error {
				if r.Method == method && r.URL.Host == "prd.example.com" && strings.HasPrefix(r.URL.Path, path) {
					return errors.New("the line is cut")
				}
				return nil
			})
			if _, err := h.promote("staging"); err == nil {
				t.Fatal("the fault was not met")
			}
			if !strings.HasSuffix(at, chartTag) && len(h.tags("prd.example.com")) > 0 {
				t.Errorf("tags before the chart was there: %v", h.tags("prd.example.com"))
			}
			h.hook(nil)
			r, err := h.promote("staging")
			must(t, err)
			if h.held() != digest || len(h.tags("prd.example.com")) != 4 {
				t.Errorf("%+v; tags %v", r.Chart, h.tags("prd.example.com"))
			}
		})
	}
}

// What is wrong with the chart is refused before anything changes.
func TestAChartIsRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		make  func(t *testing.T, h *harbour)
		parts []string
	}{
		"missing": {
			func(*testing.T, *harbour) {},
			[]string{"dev.example.com/o/charts/fleet:2.0.0", "does not have it", "berth chart push --env dev"},
		},
		"another one is released": {
			func(_ *testing.T, h *harbour) { h.push("dev.example.com", "a"); h.push("prd.example.com", "b") },
			[]string{"prd.example.com/o/charts/fleet:2.0.0", "never moves", "a version of its own in Chart.yaml"},
		},
		"no chart": {
			func(t *testing.T, h *harbour) {
				t.Helper()
				x := h.build(cargo{version: "1.0.0", day: 1})[0]
				to := h.repository("dev.example.com/o/charts/fleet")
				_, err := to.Push(t.Context(), x, x.Descriptor, registry.PushOptions{})
				must(t, err)
				raw, _, err := to.Manifest(t.Context(), x.Descriptor.Digest.String())
				must(t, err)
				must(t, to.Tag(t.Context(), raw, x.Descriptor, chartTag))
			},
			[]string{"it is no Helm chart"},
		},
		"two charts": {
			func(t *testing.T, h *harbour) {
				t.Helper()
				h.push("dev.example.com", "a")
				h.charts = func(c string) (*promote.ChartVersion, error) {
					v := map[string]string{commit(1): chartTag, commit(2): "2.1.0"}[c]
					return &promote.ChartVersion{Name: "fleet", Version: semver.MustParse(v)}, nil
				}
				must(t, h.publish(t.Context(), cargo{version: "1.0.0", day: 2}))
				for i, name := range []string{"alpha", "bravo"} {
					h.from = append(h.from, "dev.example.com/o/"+name+":dev-"+commit(i + 1)[:7])
				}
			},
			[]string{"commits whose charts differ", "--component"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHarbour(t, options{})
			c.make(t, h)
			_, err := h.promote("staging")
			failed(t, err, fault.Refused, c.parts...)
			if tags := h.tags("prd.example.com"); len(tags) > 0 {
				t.Errorf("tags: %v", tags)
			}
		})
	}
}

// Without a chart in the commit, and in a rollback, images go alone.
func TestImagesWithoutAChart(t *testing.T) {
	t.Parallel()
	h := newHarbour(t, options{})
	h.charts = func(string) (*promote.ChartVersion, error) { return nil, nil }
	r, err := h.promote("staging")
	must(t, err)
	if r.Chart != nil || h.count("", "/charts/") > 0 {
		t.Errorf("%+v: %v", r.Chart, h.log)
	}
	_, err = h.promote("production")
	must(t, err)
	h.charts = func(string) (*promote.ChartVersion, error) { return nil, errors.New("a rollback asks for the chart") }
	p := h.promoter(cargo{version: "1.0.0", day: 1})
	_, err = p.Prepare(t.Context(), promote.Request{To: "production", Rollback: true, Version: version("1.0.0")})
	must(t, err)
}

// An approval that does not name the chart is none for image and chart together.
func TestApprovalsNameTheChart(t *testing.T) {
	t.Parallel()
	h := newHarbour(t, options{approvals: true})
	digest := h.push("dev.example.com", "a")
	must(t, h.approve(t.Context(), "ann", "release-manager", "staging", "dev-"+commit(1)[:7]))
	_, err := h.promote("staging")
	failed(t, err, fault.Refused, "does not count (it does not name the chart "+digest)
	sources, err := h.promoter(cargo{version: "1.0.0", day: 1}).Sources(t.Context(), promote.Request{To: "staging"})
	must(t, err)
	rules, err := approve.RulesFor(h.config, h.keys, "staging")
	must(t, err)
	rules.Chart, err = h.promoter(cargo{version: "1.0.0", day: 1}).ChartOf(t.Context(), "staging", sources)
	must(t, err)
	for _, s := range sources {
		x := approve.Image{Component: s.Component, Repository: s.Repository.String(), Descriptor: s.Descriptor}
		_, err := rules.Give(t.Context(), s.Repository, x, approve.Approval{Signer: h.signers["ann"]}, h.clock())
		must(t, err)
	}
	r, err := h.promote("staging")
	must(t, err)
	if h.held() != digest || len(r.Images[0].Approvals) != 1 {
		t.Errorf("%+v", r)
	}
}

// A chart that comes to images which are there already needs their approvals, too.
func TestALateChartNeedsApprovals(t *testing.T) {
	t.Parallel()
	h := newHarbour(t, options{approvals: true})
	chartOf := h.charts
	h.charts = func(string) (*promote.ChartVersion, error) { return nil, nil }
	must(t, h.approve(t.Context(), "ann", "release-manager", "staging", "dev-"+commit(1)[:7]))
	_, err := h.promote("staging")
	must(t, err)
	h.charts = chartOf
	digest := h.push("dev.example.com", "a")
	_, err = h.promote("staging")
	failed(t, err, fault.Refused, "does not count (it does not name the chart "+digest)
	if h.held() != "" {
		t.Error("the chart came without an approval")
	}
}
