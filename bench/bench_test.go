package main

import (
	"context"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A report of two cases: one won, one lost.
func sample() Report {
	side := func(name string, times ...float64) SideResult {
		r := SideResult{Name: name}
		for _, s := range times {
			r.Samples = append(r.Samples, Sample{Seconds: s, Requests: 10, PeakMB: 7})
		}
		return r
	}
	return Report{Results: []Result{
		{
			Name: "won", Target: 0.7, LowerBound: 9, Why: "because",
			Sides: []SideResult{side("berth", 1, 3, 2), side("slow", 9, 9, 9), side("fast & small", 4, 4, 5)},
		},
		{Name: "lost", Target: 0.3, Sides: []SideResult{side("berth", 4, 4), side("peer", 1, 3)}},
		{Name: "slow", Limit: Limit{Seconds: 0.05, PeakMB: 100}, Sides: []SideResult{side("berth", 4, 4)}},
		{Name: "absent", Skipped: "no engine"},
	}}
}

func TestRatiosAreThoseOfMediansToTheBestPeer(t *testing.T) {
	t.Parallel()
	r := sample().Results
	if got := r[0].ratio(); got != 0.5 {
		t.Errorf("2 s against 4 s is %v", got)
	}
	if got := r[1].ratio(); got != 2 {
		t.Errorf("4 s against the median of 1 s and 3 s is %v", got)
	}
}

func TestTheTableSaysWhatWasMissed(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	if err := markdown(&b, sample()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| won | berth | 2.000 | 1.000–3.000 | 0.00 |  | 10 (at least 9) |", "| ≤ 0.7 × | 0.50 × fast & small |",
		"| ≤ 0.3 × | **missed**: 2.00 × peer |", "| ≤ 9 requests | **missed**: 10 requests, 9 are needed |",
		"| ≤ 50 ms | **missed**: 4000 ms |", "| ≤ 100 MB of memory | 7 MB |", "2 of 5 targets were reached",
		"| absent |  | – | not measured: no engine |",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}

func TestThePlotIsXML(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	if err := plot(&b, sample()); err != nil {
		t.Fatal(err)
	}
	d := xml.NewDecoder(strings.NewReader(b.String()))
	bars := 0
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if x, ok := token.(xml.StartElement); ok && x.Name.Local == "rect" {
			bars++
		}
	}
	if bars != 3 {
		t.Errorf("%d bars, want one for each peer", bars)
	}
}

// The content of the images depends on its seed only: every run measures the same bytes.
func TestNoiseIsTheSameInEveryRun(t *testing.T) {
	t.Parallel()
	first, err := noise{seed: 1000, size: 1 << 10}.descriptor()
	if err != nil {
		t.Fatal(err)
	}
	again, err := noise{seed: 1000, size: 1 << 10}.descriptor()
	if err != nil {
		t.Fatal(err)
	}
	other, err := noise{seed: 1001, size: 1 << 10}.descriptor()
	if err != nil {
		t.Fatal(err)
	}
	if first.Digest != again.Digest || first.Digest == other.Digest || first.Size != 1<<10 {
		t.Errorf("%v, %v, %v", first, again, other)
	}
}

// A document gets the table between its marks, as often as one likes, and keeps the rest.
func TestTheTableGoesIntoADocument(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "doc.md")
	text := "# before\n<!-- bench: begin -->\nold\n<!-- bench: end -->\nafter\n"
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var first string
	for range 2 {
		if err := insert(sample(), name); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(name)
		got := string(data)
		if err != nil || !strings.HasPrefix(got, "# before\n") || !strings.HasSuffix(got, "-->\nafter\n") ||
			strings.Contains(got, "old") || !strings.Contains(got, "| won |") ||
			!strings.Contains(got, "(images/doc.svg)") || !isFile(filepath.Join(filepath.Dir(name), "images", "doc.svg")) || first != "" && got != first {
			t.Fatalf("%v\n%s", err, got)
		}
		first = got
	}
	if err := os.WriteFile(name, []byte("no marks\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := insert(sample(), name); err == nil {
		t.Error("a document without marks was taken")
	}
}

// The rounds end with the case's time, but not before two.
func TestACaseEndsWithItsTime(t *testing.T) {
	t.Parallel()
	l := &Lab{source: &registry{}, target: &registry{}}
	c := Case{Name: "x", Rounds: 1000, Setup: func(context.Context, *Lab) (Setup, error) {
		return Setup{Sides: []Side{{Name: "berth", Scale: 3, Run: func(ctx context.Context) *exec.Cmd {
			return exec.CommandContext(ctx, "true")
		}}}}, nil
	}}
	for budget, most := range map[time.Duration]int{time.Nanosecond: 2, 100 * time.Millisecond: 999} {
		r, err := measure(t.Context(), l, c, budget)
		if n := len(r.Sides[0].Samples); err != nil || n < 2 || n > most {
			t.Errorf("%v: %d rounds, %v", budget, n, err)
		}
	}
	c.Setup = func(context.Context, *Lab) (Setup, error) { return Setup{}, errSkip("no engine") }
	if r, err := measure(t.Context(), l, c, 0); err != nil || r.Skipped != "no engine" {
		t.Errorf("%+v %v", r, err)
	}
}

// The fewest requests of a promotion, counted by hand for one image: 6 for manifests, 5 for the tag, 1 list, 7 for the
// record and 4 a run; between registries 12 for its own blobs and 12 for the shared ones, and a look at 6 layers; within
// one 8 mounts and 2 configurations.
func TestTheFewestRequestsOfAPromotion(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		within            bool
		images            int
		wantAll, wantCopy int
	}{
		{false, 1, 6 + 24 + 5 + 1 + 7 + 4 + 6, 6 + 24},
		{false, 2, 12 + 24 + 12 + 4 + 10 + 2 + 14 + 4 + 8, 12 + 24 + 12 + 4},
		{true, 1, 6 + 8 + 5 + 1 + 7 + 4 + 2, 6 + 8},
	} {
		f := &fleet{within: c.within}
		if all, copies, _ := f.fewestOf(c.images); all != c.wantAll || copies != c.wantCopy {
			t.Errorf("%+v: %d, the copies %d", c, all, copies)
		}
	}
	if all, copies, _ := (&fleet{}).fewest(unchanged); all != 28 || copies != 0 {
		t.Errorf("unchanged: %d, %d", all, copies)
	}
}
