package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/berth-sh/berth/examples/knative-lambda/metrics-pusher/internal/exposition"
	"github.com/berth-sh/berth/examples/knative-lambda/metrics-pusher/internal/remotewrite"
	"github.com/berth-sh/berth/examples/knative-lambda/metrics-pusher/internal/series"
	"github.com/berth-sh/berth/examples/knative-lambda/metrics-pusher/internal/service"
)

const (
	maxScrape   = 10 << 20        // bytes of one answer of the target
	maxSend     = 2000            // samples in one request, as Prometheus does by default
	farewellFor = 5 * time.Second // how long the last request may take
)

// sender is what the pusher needs of [remotewrite.Client].
type sender interface {
	Send(ctx context.Context, samples []series.Sample) error
}

// Status is the answer of /status. An outage of the target or the endpoint stands here and in the metrics, but does not
// make the pusher unready: the function beside it must go on.
type Status struct {
	LastPush    time.Time `json:"lastPush,omitzero"`
	Samples     int       `json:"samples"` // of the last push
	ScrapeError string    `json:"scrapeError,omitempty"`
	PushError   string    `json:"pushError,omitempty"`
}

// liveSeries are label sets by their key.
type liveSeries map[string][]series.Label

type pusher struct {
	scrapeURL string
	http      *http.Client
	agent     string
	target    []series.Label
	sender    sender
	now       func() time.Time
	log       *slog.Logger
	scrapes   *service.Counter
	samples   *service.Counter

	live liveSeries // of the last scrape

	mu     sync.Mutex
	status Status
}

// Status returns how the last push went.
func (p *pusher) Status() Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.status
}

// Run pushes at once and then at each tick, until the context is done. Then all series are marked as ended.
func (p *pusher) Run(ctx context.Context, tick <-chan time.Time) error {
	for {
		p.once(ctx)
		select {
		case <-ctx.Done():
			p.farewell(ctx)
			return nil
		case <-tick:
		}
	}
}

// once scrapes and pushes. A failure is counted, logged and shown, the next tick tries again.
func (p *pusher) once(ctx context.Context) {
	now := p.now()
	scraped, scrapeErr := p.scrape(ctx)
	if ctx.Err() != nil {
		return
	}
	up, outcome := 1.0, "ok"
	if scrapeErr != nil {
		up, outcome = 0, "failed"
		p.log.Warn("scrape failed", "error", scrapeErr.Error())
	}
	p.scrapes.Add(1, outcome)
	samples, live := p.collect(scraped, up, now)
	pushErr := p.push(ctx, samples)
	p.live = live
	p.mu.Lock()
	defer p.mu.Unlock()
	p.status.ScrapeError, p.status.PushError = message(scrapeErr), message(pushErr)
	if pushErr == nil {
		p.status.LastPush, p.status.Samples = now, len(samples)
	}
}

// collect adds the target's labels and the series up, drops what the target gave twice, and ends the series that the
// last scrape had and this one does not.
func (p *pusher) collect(scraped []series.Sample, up float64, now time.Time) ([]series.Sample, liveSeries) {
	millis := now.UnixMilli()
	live, seen := liveSeries{}, map[string]bool{}
	samples := make([]series.Sample, 0, len(scraped)+1)
	own := series.Sample{Labels: []series.Label{{Name: series.NameLabel, Value: "up"}}, Value: up}
	for _, sample := range append([]series.Sample{own}, scraped...) {
		sample.Labels = series.WithTarget(sample.Labels, p.target)
		key := series.Key(sample.Labels)
		if seen[key] {
			p.samples.Add(1, "duplicate")
			continue
		}
		seen[key] = true
		if !sample.Timed { // who gives the times also says when it ends: Prometheus marks no such series
			sample.Time, live[key] = millis, sample.Labels
		}
		samples = append(samples, sample)
	}
	return append(samples, p.stale(live, millis)...), live
}

// stale returns the end of every series that lived and is not in now.
func (p *pusher) stale(now liveSeries, millis int64) []series.Sample {
	var keys []string
	for key := range p.live {
		if _, lives := now[key]; !lives {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	var ended []series.Sample
	for _, key := range keys {
		ended = append(ended, series.Sample{Labels: p.live[key], Value: series.Stale(), Time: millis})
	}
	return ended
}

func (p *pusher) scrape(ctx context.Context) ([]series.Sample, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.scrapeURL, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "text/plain;version=0.0.4;q=1,*/*;q=0.1")
	req.Header.Set("User-Agent", p.agent)
	res, err := p.http.Do(req)
	if err != nil {
		return nil, remotewrite.WithoutURL(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the target answered %s", res.Status)
	}
	body := &io.LimitedReader{R: res.Body, N: maxScrape + 1}
	samples, err := exposition.Parse(body)
	if body.N <= 0 {
		return nil, fmt.Errorf("the target's answer is larger than %d bytes", maxScrape)
	}
	return samples, err
}

// push sends the samples in portions. A portion that the endpoint rejects does not hold up the others; an endpoint that
// is away does.
func (p *pusher) push(ctx context.Context, samples []series.Sample) error {
	var errs []error
	away := false
	for portion := range slices.Chunk(samples, maxSend) {
		if !away {
			err := p.sender.Send(ctx, portion)
			_, rejected := errors.AsType[*remotewrite.Rejected](err)
			away = err != nil && !rejected
			errs = append(errs, err)
			if err == nil {
				p.samples.Add(float64(len(portion)), "sent")
				continue
			}
		}
		p.samples.Add(float64(len(portion)), "dropped")
	}
	err := errors.Join(errs...)
	if err != nil {
		p.log.Error("push failed, samples dropped", "error", err.Error())
	}
	return err
}

// farewell marks all series as ended, in the little time that is left.
func (p *pusher) farewell(ctx context.Context) {
	ended := p.stale(nil, p.now().UnixMilli())
	if len(ended) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewellFor)
	defer cancel()
	_ = p.push(ctx, ended) // counted and logged there
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
