// Package series holds the values that are scraped and pushed.
package series

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"
)

// NameLabel is the label that holds a metric's name.
const NameLabel = "__name__"

// Label is one label of a series.
type Label struct{ Name, Value string }

// Sample is one value of one series.
type Sample struct {
	Labels []Label // sorted by name, no name twice, no empty value; the metric's name is among them
	Value  float64
	Time   int64 // milliseconds since 1970 in UTC
	Timed  bool  // the target gave the time itself
}

// Key is equal for equal label sets and for no others.
func Key(labels []Label) string {
	var b strings.Builder
	for _, l := range labels {
		b.WriteString(strconv.Quote(l.Name) + "=" + strconv.Quote(l.Value) + ",")
	}
	return b.String()
}

// Sort orders labels by name, as the remote write specification asks.
func Sort(labels []Label) {
	slices.SortFunc(labels, func(a, b Label) int { return cmp.Compare(a.Name, b.Name) })
}

// Stale is the marker for "this series has ended": a NaN of its own, 0x7ff0000000000002 (remote write 1.0, "Stale
// Markers").
func Stale() float64 { return math.Float64frombits(0x7ff0000000000002) }

// WithTarget returns the labels and those of the target. A label of the same name is kept as exported_<name>, as
// Prometheus does.
func WithTarget(labels, target []Label) []Label {
	all := make([]Label, 0, len(labels)+len(target))
	has := func(name string) bool {
		same := func(l Label) bool { return l.Name == name }
		return slices.ContainsFunc(all, same) || slices.ContainsFunc(target, same) || slices.ContainsFunc(labels, same)
	}
	for _, l := range labels {
		if slices.ContainsFunc(target, func(t Label) bool { return t.Name == l.Name }) {
			for l.Name = "exported_" + l.Name; has(l.Name); {
				l.Name = "exported_" + l.Name
			}
		}
		all = append(all, l)
	}
	all = append(all, target...)
	Sort(all)
	return all
}
