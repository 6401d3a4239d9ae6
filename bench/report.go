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
		"git": {"--version"}, "docker-registry": {"--version"}, "dagger": {"version"},
	} {
		if file := l.peers[name]; file != "" {
			if out, err := exec.CommandContext(ctx, file, args...).Output(); err == nil {
				line, _, _ := strings.Cut(string(out), "\n")
				said, _, _ := strings.Cut(line, " (") // dagger adds where the engine is
				m.Versions[name] = strings.TrimSpace(said)
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
	met, all := r.score()
	fmt.Fprintf(&b, "%s, %s, %d cores, %.0f GB memory. All cases took %s. %d of %d targets were reached.\n\n",
		r.Machine.OS, r.Machine.CPU, r.Machine.Cores, r.Machine.MemoryGB,
		(time.Duration(r.Seconds) * time.Second).String(), met, all)
	for _, name := range []string{"go", "ko", "crane", "regctl", "skopeo", "git", "docker-registry", "dagger"} {
		if v := r.Machine.Versions[name]; v != "" {
			fmt.Fprintf(&b, "- %s: %s\n", name, v)
		}
	}
	b.WriteString("\n| case | what | target | reached |\n|---|---|---|---|\n")
	for _, x := range r.Results {
		targetRows(&b, x)
	}
	b.WriteString("\nThe measurements. CPU is that of all processes of the tool; ratio is berth's time divided by this " +
		"tool's, and below 1 berth is faster.\n\n" +
		"| case | tool | median s | lowest–highest | CPU s | ratio | requests | peak MB |\n" +
		"|---|---|---|---|---|---|---|---|\n")
	for _, x := range r.Results {
		measureRows(&b, x)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// targetRows are the targets of a case, or what it reached without one.
func targetRows(b *strings.Builder, x Result) {
	what := x.What
	if x.Latency > 0 {
		what += fmt.Sprintf(", %s a request", x.Latency)
	}
	if x.Why != "" {
		what += "; fewest requests: " + x.Why
	}
	if x.Skipped != "" {
		fmt.Fprintf(b, "| %s | %s | – | not measured: %s |\n", x.Name, what, x.Skipped)
		return
	}
	rows := x.verdicts()
	if best := x.best(); best != nil && x.Target == 0 {
		rows = append(rows, verdict{"–", fmt.Sprintf("%.2f × %s", x.ratio(), best.Name), true})
	}
	name := x.Name
	for _, v := range rows {
		if !v.met {
			v.reached = "**missed**: " + v.reached
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s |\n", name, what, v.target, v.reached)
		name, what = "", ""
	}
}

func measureRows(b *strings.Builder, x Result) {
	if len(x.Sides) == 0 {
		return
	}
	ours, _, _ := x.Sides[0].median(seconds)
	for i, s := range x.Sides {
		mid, low, high := s.median(seconds)
		count, _, _ := s.median(requests)
		processor, _, _ := s.median(cpu)
		peak, _, _ := s.median(memory)
		name, ratio, n := x.Name, "", fmt.Sprintf("%.0f", count)
		if i > 0 {
			name, ratio = "", fmt.Sprintf("%.2f", ours/mid)
		} else if x.LowerBound > 0 {
			n = fmt.Sprintf("%.0f (at least %d)", count, x.LowerBound)
			if x.Copies > 0 {
				n = fmt.Sprintf("%.0f (at least %d, the copies alone %d)", count, x.LowerBound, x.Copies)
			}
		}
		if count == 0 {
			n = "–"
		}
		fmt.Fprintf(b, "| %s | %s | %.3f | %.3f–%.3f | %.2f | %s | %s | %.0f |\n", name, s.Name, mid, low, high, processor,
			ratio, n, peak)
	}
}
