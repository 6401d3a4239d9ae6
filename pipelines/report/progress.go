package report

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// Event is one finished step of a run.
type Event struct {
	// Stage is what is being done: build, push, tag, check.
	Stage string
	// Subject is what it was done to, for example a component and platform.
	Subject string
	// Detail is the outcome in a few words; it may be empty.
	Detail string
}

// Progress is told each finished step. It may be called from several goroutines. A nil Progress is silent.
type Progress func(Event)

// Emit tells a step; it does nothing on a nil Progress.
func (p Progress) Emit(stage, subject, detail string) {
	if p != nil {
		p(Event{Stage: stage, Subject: subject, Detail: detail})
	}
}

// Lines writes a plain line for each step, with the time since the start: what logs of a CI want.
func Lines(w io.Writer, now func() time.Time) Progress {
	start := now()
	var mu sync.Mutex
	return func(e Event) {
		mu.Lock()
		defer mu.Unlock()
		_, _ = fmt.Fprintf(w, "%6.1fs  %-6s %s\n", now().Sub(start).Seconds(), e.Stage, join(e.Subject, e.Detail))
	}
}

// Live keeps one line on a terminal up to date: for how long it has been running, what was done last, and how many
// steps of it. The line ticks, so that a long step does not look stuck. Call done to stop it and clear the line before
// results are written; steps after that begin a new line.
func Live(w io.Writer, now func() time.Time) (p Progress, done func()) {
	l := &live{w: w, now: now, start: now(), counts: map[string]int{}}
	return l.step, l.done
}

// tick is how often the line is written anew between steps.
const tick = 200 * time.Millisecond

type live struct {
	w     io.Writer
	now   func() time.Time
	start time.Time

	mu     sync.Mutex
	counts map[string]int
	last   string
	stop   chan struct{} // not nil while the line ticks
}

func (l *live) step(e Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.counts[e.Stage]++
	l.last = fmt.Sprintf("%s %d  %s", e.Stage, l.counts[e.Stage], join(e.Subject, e.Detail))
	l.draw()
	if l.stop == nil {
		l.stop = make(chan struct{})
		go l.keepDrawing(l.stop)
	}
}

func (l *live) keepDrawing(stop <-chan struct{}) {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		select {
		case <-stop:
			return
		case <-ticker.C:
			l.mu.Lock()
			if l.stop != nil {
				l.draw()
			}
			l.mu.Unlock()
		}
	}
}

// draw writes the line. ESC[K clears to its end; a long line is cut rather than wrapped, so that it can be overwritten.
func (l *live) draw() {
	text := []rune(fmt.Sprintf("%5.1fs  %s", l.now().Sub(l.start).Seconds(), l.last))
	_, _ = fmt.Fprintf(l.w, "\r\x1b[K%s", string(text[:min(len(text), 78)]))
}

func (l *live) done() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stop != nil {
		close(l.stop)
		l.stop = nil
		_, _ = io.WriteString(l.w, "\r\x1b[K")
	}
}

func join(subject, detail string) string {
	if detail == "" {
		return subject
	}
	return subject + "  " + detail
}
