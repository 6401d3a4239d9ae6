package main

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
)

// A report of two cases: one won, one lost.
func sample() Report {
	side := func(name string, times ...float64) SideResult {
		r := SideResult{Name: name}
		for _, s := range times {
			r.Samples = append(r.Samples, Sample{Seconds: s, Requests: 10})
		}
		return r
	}
	return Report{Results: []Result{
		{
			Name: "won", Target: 0.7, LowerBound: 9, Why: "because",
			Sides: []SideResult{side("berth", 1, 3, 2), side("slow", 9, 9, 9), side("fast & small", 4, 4, 5)},
		},
		{Name: "lost", Target: 0.3, Sides: []SideResult{side("berth", 4, 4), side("peer", 1, 3)}},
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
		"| won | berth | 2.000 | 1.000–3.000 |  | 10 (at least 9) |", "| ≤ 0.7 × | 0.50 × fast & small |",
		"| ≤ 0.3 × | **missed**: 2.00 × peer |",
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
