package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"os/exec"
	"runtime/debug"
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
	// Limit is what berth may take whatever the others take; zero is none.
	Limit Limit
	// Rounds is how often each side runs, in turn. It is less when the case takes longer than its time, but two at least
	// where it is not one.
	Rounds int
	// Setup makes what all sides share, and returns the sides. The first is berth.
	Setup func(ctx context.Context, l *Lab) (Setup, error)
}

// Limit bounds what berth takes. Zero values bound nothing.
type Limit struct {
	Seconds float64 `json:"seconds,omitempty"` // median
	PeakMB  float64 `json:"peakMB,omitempty"`  // of the run that took most
}

// errSkip is a case that cannot run here. Its text says why.
type errSkip string

func (e errSkip) Error() string { return string(e) }

// Setup is a case made ready.
type Setup struct {
	Sides []Side
	// LowerBound is the number of requests that no client can do without, derived as Why says; 0 is not derived.
	LowerBound int
	// Copies is the part of these without what berth promises beyond a copy; 0 is no such part.
	Copies int
	Why    string
	// Latency is added to each request.
	Latency time.Duration
}

// Side is one tool in a case.
type Side struct {
	Name string
	// Scale multiplies what was measured, for a side that does a part of the work only; 0 is 1.
	Scale int
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
	Skipped    string        `json:"skipped,omitempty"` // why it was not measured
	Target     float64       `json:"target,omitempty"`
	Limit      Limit         `json:"limit"`
	LowerBound int           `json:"lowerBound,omitempty"`
	Copies     int           `json:"copies,omitempty"`
	Why        string        `json:"why,omitempty"`
	Sides      []SideResult  `json:"sides"`
	Latency    time.Duration `json:"latency"`
	Seconds    float64       `json:"seconds"` // of the whole case
}

// SideResult is what one side took.
type SideResult struct {
	Name    string   `json:"name"`
	Samples []Sample `json:"samples"`
}

// measure runs a case. After two rounds no round begins that would probably end after the budget; 0 is no budget.
func measure(ctx context.Context, l *Lab, c Case, budget time.Duration) (r Result, err error) {
	start := time.Now()
	defer func() {
		r.Seconds = time.Since(start).Seconds()
		log.Printf("  %.0f s in all", r.Seconds)
	}()
	log.Printf("%s: %s", c.Name, c.What)
	r = Result{Name: c.Name, What: c.What, Target: c.Target, Limit: c.Limit}
	setup, err := c.Setup(ctx, l)
	if skip, ok := errors.AsType[errSkip](err); ok {
		log.Printf("  not measured: %v", skip)
		r.Skipped = skip.Error()
		return r, nil
	}
	if err != nil {
		return r, fmt.Errorf("setup: %w", err)
	}
	r.LowerBound, r.Copies, r.Why, r.Latency = setup.LowerBound, setup.Copies, setup.Why, setup.Latency
	for _, s := range setup.Sides {
		r.Sides = append(r.Sides, SideResult{Name: s.Name})
	}
	// In turn, A B A B, so that a machine that gets slower or faster meanwhile does so for all.
	rounds := time.Now()
	for n := range c.Rounds {
		if took := time.Since(rounds); n >= 2 && budget > 0 && took+took/time.Duration(n) > budget {
			break
		}
		for i, s := range setup.Sides {
			sample, err := once(ctx, l, s, setup.Latency)
			if err != nil {
				return r, fmt.Errorf("%s: %w", s.Name, err)
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
	forgetPeak()
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
	if s.Scale > 0 {
		sample.Seconds *= float64(s.Scale)
		sample.CPU *= float64(s.Scale)
		sample.SentMB *= float64(s.Scale)
		sample.Requests *= s.Scale
	}
	if s.Check != nil {
		if err := s.Check(ctx); err != nil {
			return Sample{}, fmt.Errorf("the run did not do its work: %w\n%s", err, output.Bytes())
		}
	}
	return sample, nil
}

// forgetPeak makes this process small again, for a child's peak of memory is never less than that of its parent when it
// was started. Where the system has no such switch, small peaks are overstated, for all sides alike.
// Source: https://docs.kernel.org/filesystems/proc.html, clear_refs
func forgetPeak() {
	debug.FreeOSMemory()
	_ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0o200)
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
func cpu(s Sample) float64      { return s.CPU }
func requests(s Sample) float64 { return float64(s.Requests) }
func memory(s Sample) float64   { return s.PeakMB }

// command is a child with an environment of its own beside the lab's.
func (l *Lab) command(ctx context.Context, dir string, env []string, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), l.environ...), env...)
	return cmd
}
