package main

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"time"
)

// Case is one comparison.
type Case struct {
	// Name is short and stable; -case selects by it.
	Name string
	// What tells a reader what is measured.
	What string
	// Target is the largest ratio of berth to the best peer that the design asks for; 0 is none.
	Target float64
	// Rounds is how often each side runs, in turn.
	Rounds int
	// Setup makes what all sides share, and returns the sides. The first is berth.
	Setup func(ctx context.Context, l *Lab) (Setup, error)
}

// Setup is a case made ready.
type Setup struct {
	Sides []Side
	// LowerBound is the number of requests that no client can do without, derived as Why says; 0 is not derived.
	LowerBound int
	Why        string
	// Latency is added to each request.
	Latency time.Duration
}

// Side is one tool in a case.
type Side struct {
	Name string
	// Prepare puts everything back to the start; it is not measured.
	Prepare func(ctx context.Context) error
	// Run is what is measured.
	Run func(ctx context.Context) *exec.Cmd
	// Check fails when the run did not do its work.
	Check func(ctx context.Context) error
}

// Sample is one run of one side.
type Sample struct {
	Seconds  float64 `json:"seconds"`
	CPU      float64 `json:"cpuSeconds"`
	PeakMB   float64 `json:"peakMB"` // resident memory of the largest process
	Requests int     `json:"requests"`
	SentMB   float64 `json:"sentMB"` // request bodies
}

// Result is a case measured.
type Result struct {
	Name       string        `json:"name"`
	What       string        `json:"what"`
	Target     float64       `json:"target,omitempty"`
	LowerBound int           `json:"lowerBound,omitempty"`
	Why        string        `json:"why,omitempty"`
	Sides      []SideResult  `json:"sides"`
	Latency    time.Duration `json:"latency"`
}

// SideResult is what one side took.
type SideResult struct {
	Name    string   `json:"name"`
	Samples []Sample `json:"samples"`
}

func measure(ctx context.Context, l *Lab, c Case) (Result, error) {
	log.Printf("%s: %s", c.Name, c.What)
	setup, err := c.Setup(ctx, l)
	if err != nil {
		return Result{}, fmt.Errorf("setup: %w", err)
	}
	r := Result{
		Name: c.Name, What: c.What, Target: c.Target, LowerBound: setup.LowerBound, Why: setup.Why, Latency: setup.Latency,
	}
	for _, s := range setup.Sides {
		r.Sides = append(r.Sides, SideResult{Name: s.Name})
	}
	// In turn, A B A B, so that a machine that gets slower or faster meanwhile does so for all.
	for range c.Rounds {
		for i, s := range setup.Sides {
			sample, err := once(ctx, l, s, setup.Latency)
			if err != nil {
				return Result{}, fmt.Errorf("%s: %w", s.Name, err)
			}
			log.Printf("  %-22s %7.3f s  %4d requests  %5.0f MB", s.Name, sample.Seconds, sample.Requests, sample.PeakMB)
			r.Sides[i].Samples = append(r.Sides[i].Samples, sample)
		}
	}
	return r, nil
}

func once(ctx context.Context, l *Lab, s Side, latency time.Duration) (Sample, error) {
	if s.Prepare != nil {
		if err := s.Prepare(ctx); err != nil {
			return Sample{}, fmt.Errorf("prepare: %w", err)
		}
	}
	cmd := s.Run(ctx)
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	l.start(latency)
	start := time.Now()
	err := cmd.Run()
	sample := Sample{Seconds: time.Since(start).Seconds()}
	sample.Requests, sample.SentMB = l.stop()
	if err != nil {
		return Sample{}, fmt.Errorf("%v: %w\n%s", cmd.Args, err, output.Bytes())
	}
	sample.CPU = (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds()
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		sample.PeakMB = float64(usage.Maxrss) / 1024
	}
	if s.Check != nil {
		if err := s.Check(ctx); err != nil {
			return Sample{}, fmt.Errorf("the run did not do its work: %w\n%s", err, output.Bytes())
		}
	}
	return sample, nil
}

// median of a quantity, and the lowest and highest.
func (s SideResult) median(of func(Sample) float64) (mid, low, high float64) {
	var all []float64
	for _, x := range s.Samples {
		all = append(all, of(x))
	}
	if len(all) == 0 {
		return 0, 0, 0
	}
	slices.Sort(all)
	n := len(all)
	mid = all[n/2]
	if n%2 == 0 {
		mid = (all[n/2-1] + all[n/2]) / 2
	}
	return mid, all[0], all[n-1]
}

func seconds(s Sample) float64  { return s.Seconds }
func requests(s Sample) float64 { return float64(s.Requests) }
func memory(s Sample) float64   { return s.PeakMB }

// command is a child with an environment of its own beside the lab's.
func (l *Lab) command(ctx context.Context, dir string, env []string, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), l.environ...), env...)
	return cmd
}
