package main

import (
	"fmt"
	"math"
)

// mostRequests is how many requests berth may need for each that no client can do without.
const mostRequests = 1.1

// verdict is one target of a case, and what was reached.
type verdict struct {
	target, reached string
	met             bool
}

// verdicts are those of all the targets that a case has.
func (r Result) verdicts() []verdict {
	if len(r.Sides) == 0 {
		return nil
	}
	var out []verdict
	ours := r.Sides[0]
	if best := r.best(); best != nil && r.Target > 0 {
		out = append(out, verdict{
			fmt.Sprintf("≤ %.1f ×", r.Target), fmt.Sprintf("%.2f × %s", r.ratio(), best.Name), r.ratio() <= r.Target,
		})
	}
	if r.LowerBound > 0 {
		count, _, _ := ours.median(requests)
		most := math.Floor(mostRequests * float64(r.LowerBound))
		out = append(out, verdict{
			fmt.Sprintf("≤ %.0f requests", most), fmt.Sprintf("%.0f requests, %d are needed", count, r.LowerBound),
			count <= most,
		})
	}
	if r.Limit.Seconds > 0 {
		mid, _, _ := ours.median(seconds)
		out = append(out, verdict{
			fmt.Sprintf("≤ %.0f ms", 1000*r.Limit.Seconds), fmt.Sprintf("%.0f ms", 1000*mid), mid <= r.Limit.Seconds,
		})
	}
	if r.Limit.PeakMB > 0 {
		_, _, high := ours.median(memory)
		out = append(out, verdict{
			fmt.Sprintf("≤ %.0f MB of memory", r.Limit.PeakMB), fmt.Sprintf("%.0f MB", high), high <= r.Limit.PeakMB,
		})
	}
	return out
}

// score counts the targets of a run, and those that were reached.
func (r Report) score() (met, all int) {
	for _, x := range r.Results {
		for _, v := range x.verdicts() {
			if all++; v.met {
				met++
			}
		}
	}
	return met, all
}
