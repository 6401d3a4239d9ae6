package service

import (
	"bytes"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Metrics is a set of metric families that is shown in the Prometheus text format 0.0.4
// (https://prometheus.io/docs/instrumenting/exposition_formats/). It is safe for concurrent use.
type Metrics struct {
	mu       sync.Mutex
	families []family
}

type family struct {
	name, help, kind string
	write            func(b *bytes.Buffer, name string)
}

// Counter is a number that only grows, one for each combination of label values.
type Counter struct {
	labels []string
	mu     sync.Mutex
	values map[string]float64 // by the rendered label set
}

// Counter adds a counter. By convention its name ends in _total. One without labels is shown from the start, as 0.
func (m *Metrics) Counter(name, help string, labels ...string) *Counter {
	c := &Counter{labels: labels, values: map[string]float64{}}
	if len(labels) == 0 {
		c.values[""] = 0
	}
	m.add(family{name: name, help: help, kind: "counter", write: c.write})
	return c
}

// Add adds v, which must not be negative, to the counter with these label values, one for each label in order.
func (c *Counter) Add(v float64, values ...string) {
	if len(values) != len(c.labels) || v < 0 || math.IsNaN(v) {
		panic(fmt.Sprintf("service: counter with labels %q cannot add %v for values %q", c.labels, v, values))
	}
	key := renderLabels(c.labels, values)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.values[key] += v
}

func (c *Counter) write(b *bytes.Buffer, name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	keys := make([]string, 0, len(c.values))
	for key := range c.values {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		fmt.Fprintf(b, "%s%s %s\n", name, key, formatValue(c.values[key]))
	}
}

// CounterFunc adds a counter that is kept elsewhere and read whenever the metrics are.
func (m *Metrics) CounterFunc(name, help string, read func() float64) {
	m.add(family{name: name, help: help, kind: "counter", write: writeValue(read)})
}

// Gauge adds a number that goes up and down and is read whenever the metrics are.
func (m *Metrics) Gauge(name, help string, read func() float64) {
	m.add(family{name: name, help: help, kind: "gauge", write: writeValue(read)})
}

func writeValue(read func() float64) func(*bytes.Buffer, string) {
	return func(b *bytes.Buffer, name string) { fmt.Fprintf(b, "%s %s\n", name, formatValue(read())) }
}

// Info adds a gauge that is always 1 and says something by its labels, given as name, value, name, value.
func (m *Metrics) Info(name, help string, pairs ...string) {
	var names, values []string
	for i := 0; i+1 < len(pairs); i += 2 {
		names, values = append(names, pairs[i]), append(values, pairs[i+1])
	}
	labels := renderLabels(names, values)
	m.add(family{name: name, help: help, kind: "gauge", write: func(b *bytes.Buffer, name string) {
		fmt.Fprintf(b, "%s%s 1\n", name, labels)
	}})
}

// Summary is a count and a sum of observations.
type Summary struct {
	mu    sync.Mutex
	sum   float64
	count uint64
}

// Summary adds a summary without quantiles: rate(sum)/rate(count) is the mean.
func (m *Metrics) Summary(name, help string) *Summary {
	s := &Summary{}
	m.add(family{name: name, help: help, kind: "summary", write: func(b *bytes.Buffer, name string) {
		s.mu.Lock()
		defer s.mu.Unlock()
		fmt.Fprintf(b, "%s_sum %s\n%s_count %d\n", name, formatValue(s.sum), name, s.count)
	}})
	return s
}

// Observe counts one observation.
func (s *Summary) Observe(v float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sum += v
	s.count++
}

func (m *Metrics) add(f family) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if slices.ContainsFunc(m.families, func(have family) bool { return have.name == f.name }) {
		panic("service: metric " + f.name + " is declared twice")
	}
	m.families = append(m.families, f)
}

// ServeHTTP writes all families, sorted by name.
func (m *Metrics) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	m.mu.Lock()
	families := slices.Clone(m.families)
	m.mu.Unlock()
	slices.SortFunc(families, func(a, b family) int { return strings.Compare(a.name, b.name) })
	var b bytes.Buffer
	for _, f := range families {
		fmt.Fprintf(&b, "# HELP %s %s\n# TYPE %s %s\n", f.name, escapeHelp(f.help), f.name, f.kind)
		f.write(&b, f.name)
	}
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	_, _ = w.Write(b.Bytes()) // the client is gone: nobody is left to tell
}

func renderLabels(names, values []string) string {
	if len(names) == 0 {
		return ""
	}
	escape := strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)
	var b strings.Builder
	for i, name := range names {
		sep := ","
		if i == 0 {
			sep = "{"
		}
		b.WriteString(sep + name + `="` + escape.Replace(strings.ToValidUTF8(values[i], "\uFFFD")) + `"`)
	}
	return b.String() + "}"
}

func escapeHelp(s string) string { return strings.NewReplacer(`\`, `\\`, "\n", `\n`).Replace(s) }

func formatValue(v float64) string {
	switch {
	case math.IsInf(v, 1):
		return "+Inf"
	case math.IsInf(v, -1):
		return "-Inf"
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}
