package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// Report is one run of the harness.
type Report struct {
	Machine Machine  `json:"machine"`
	Seconds float64  `json:"seconds"`
	Results []Result `json:"results"`
}

// Machine is what the numbers were taken on.
type Machine struct {
	OS       string            `json:"os"`
	CPU      string            `json:"cpu"`
	Cores    int               `json:"cores"`
	MemoryGB float64           `json:"memoryGB"`
	Versions map[string]string `json:"versions"`
}

func describe(ctx context.Context, l *Lab) Machine {
	m := Machine{OS: runtime.GOOS + "/" + runtime.GOARCH, Cores: runtime.NumCPU(), Versions: map[string]string{}}
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				m.CPU = strings.TrimSpace(value)
				break
			}
		}
	}
	if text, err := os.ReadFile("/proc/meminfo"); err == nil {
		var kilobytes float64
		if _, err := fmt.Sscanf(string(text), "MemTotal: %f kB", &kilobytes); err == nil {
			m.MemoryGB = kilobytes / (1 << 20)
		}
	}
	for name, args := range map[string][]string{
		"ko": {"version"}, "crane": {"version"}, "regctl": {"version", "--format", "{{.VCSTag}}"}, "skopeo": {"--version"},
		"git": {"--version"}, "docker-registry": {"--version"},
	} {
		if file := l.peers[name]; file != "" {
			if out, err := exec.CommandContext(ctx, file, args...).Output(); err == nil {
				m.Versions[name] = strings.TrimSpace(strings.SplitN(string(out), "\n", 2)[0])
			}
		}
	}
	m.Versions["go"] = runtime.Version()
	return m
}

// best is the fastest peer, by the median; nil when there is none.
func (r Result) best() *SideResult {
	var best *SideResult
	for i := 1; i < len(r.Sides); i++ {
		mid, _, _ := r.Sides[i].median(seconds)
		if best != nil {
			if least, _, _ := best.median(seconds); least <= mid {
				continue
			}
		}
		best = &r.Sides[i]
	}
	return best
}

// ratio of berth's median to the best peer's.
func (r Result) ratio() float64 {
	best := r.best()
	if best == nil || len(r.Sides) == 0 {
		return 0
	}
	ours, _, _ := r.Sides[0].median(seconds)
	theirs, _, _ := best.median(seconds)
	return ours / theirs
}

func asJSON(w io.Writer, r Report) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

func markdown(w io.Writer, r Report) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %s, %d cores, %.0f GB memory. All cases took %s.\n\n", r.Machine.OS, r.Machine.CPU,
		r.Machine.Cores, r.Machine.MemoryGB, (time.Duration(r.Seconds) * time.Second).String())
	for _, name := range []string{"go", "ko", "crane", "regctl", "skopeo", "git", "docker-registry"} {
		if v := r.Machine.Versions[name]; v != "" {
			fmt.Fprintf(&b, "- %s: %s\n", name, v)
		}
	}
	b.WriteString("\n| case | tool | median s | lowest–highest | ratio | requests | peak MB |\n" +
		"|---|---|---|---|---|---|---|\n")
	for _, x := range r.Results {
		ours, _, _ := x.Sides[0].median(seconds)
		for i, s := range x.Sides {
			mid, low, high := s.median(seconds)
			count, _, _ := s.median(requests)
			peak, _, _ := s.median(memory)
			name, ratio, n := x.Name, "", fmt.Sprintf("%.0f", count)
			if i > 0 {
				name, ratio = "", fmt.Sprintf("%.2f", ours/mid)
			} else if x.LowerBound > 0 {
				n = fmt.Sprintf("%.0f (at least %d)", count, x.LowerBound)
			}
			if count == 0 {
				n = "–"
			}
			fmt.Fprintf(&b, "| %s | %s | %.3f | %.3f–%.3f | %s | %s | %.0f |\n", name, s.Name, mid, low, high, ratio, n, peak)
		}
	}
	b.WriteString("\nratio: berth's time divided by this tool's; below 1 berth is faster.\n\n")
	b.WriteString("| case | what | target | reached |\n|---|---|---|---|\n")
	for _, x := range r.Results {
		target, reached := "–", "–"
		if best := x.best(); best != nil {
			reached = fmt.Sprintf("%.2f × %s", x.ratio(), best.Name)
		}
		if x.Target > 0 {
			target = fmt.Sprintf("≤ %.1f ×", x.Target)
			if x.ratio() > x.Target {
				reached = "**missed**: " + reached
			}
		}
		what := x.What
		if x.Latency > 0 {
			what += fmt.Sprintf(", %s a request", x.Latency)
		}
		if x.Why != "" {
			what += "; fewest requests: " + x.Why
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", x.Name, what, target, reached)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
