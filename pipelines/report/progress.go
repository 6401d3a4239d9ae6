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

// Live keeps one line on a terminal up to date: what was done last, how many steps of it, and for how long. Call done
// to clear the line before results are written.
func Live(w io.Writer, now func() time.Time) (p Progress, done func()) {
	start := now()
	var mu sync.Mutex
	counts := map[string]int{}
	p = func(e Event) {
		mu.Lock()
		defer mu.Unlock()
		counts[e.Stage]++
		// ESC[K clears to the end of the line; a long line is cut rather than wrapped, so that it can be overwritten.
		text := fmt.Sprintf("%5.1fs  %s %d  %s", now().Sub(start).Seconds(), e.Stage, counts[e.Stage], join(e.Subject, e.Detail))
		if len(text) > 78 {
			text = text[:78]
		}
		_, _ = fmt.Fprintf(w, "\r\x1b[K%s", text)
	}
	return p, func() {
		mu.Lock()
		defer mu.Unlock()
		if len(counts) > 0 {
			_, _ = io.WriteString(w, "\r\x1b[K")
		}
	}
}

func join(subject, detail string) string {
	if detail == "" {
		return subject
	}
	return subject + "  " + detail
}
