// Package exposition reads the Prometheus text format 0.0.4
// (https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format).
package exposition

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/berth-sh/berth/examples/knative-lambda/metrics-pusher/internal/series"
)

const maxLine = 1 << 20 // bytes

// Parse reads all samples. Comments, HELP and TYPE lines are skipped: remote write 1.0 has no place for them. One wrong
// line fails the whole text, as it does in Prometheus.
func Parse(r io.Reader) ([]series.Sample, error) {
	scanner := bufio.NewScanner(r)
	scanner.Buffer(nil, maxLine)
	var samples []series.Sample
	number := 0
	for scanner.Scan() {
		number++
		text := strings.Trim(scanner.Text(), " \t")
		if text == "" || text[0] == '#' {
			continue
		}
		sample, err := parseLine(text)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		samples = append(samples, sample)
	}
	if err := scanner.Err(); err != nil {
		return nil, fmt.Errorf("line %d: %w", number+1, err)
	}
	return samples, nil
}

// cursor is what is left of a line.
type cursor struct{ rest string }

func parseLine(text string) (series.Sample, error) {
	if !utf8.ValidString(text) {
		return series.Sample{}, errors.New("not UTF-8")
	}
	c := &cursor{text}
	name := c.name(true)
	if name == "" {
		return series.Sample{}, errors.New("no metric name")
	}
	labels, err := c.labels()
	if err != nil {
		return series.Sample{}, fmt.Errorf("metric %s: %w", name, err)
	}
	sample := series.Sample{Labels: append(labels, series.Label{Name: series.NameLabel, Value: name})}
	series.Sort(sample.Labels)
	fields := strings.FieldsFunc(c.rest, func(r rune) bool { return r == ' ' || r == '\t' })
	if len(fields) < 1 || len(fields) > 2 {
		return series.Sample{}, fmt.Errorf("metric %s: expected a value and maybe a timestamp, got %q", name, c.rest)
	}
	if sample.Value, err = parseValue(fields[0]); err != nil {
		return series.Sample{}, fmt.Errorf("metric %s: %w", name, err)
	}
	if len(fields) == 2 {
		sample.Timed = true
		if sample.Time, err = strconv.ParseInt(fields[1], 10, 64); err != nil {
			return series.Sample{}, fmt.Errorf("metric %s: timestamp: %w", name, err)
		}
	}
	return sample, nil
}

// parseValue reads a float as Go writes it, without the forms that only Go knows.
func parseValue(s string) (float64, error) {
	if strings.ContainsAny(s, "pP_") {
		return 0, fmt.Errorf("value %q is not a number", s)
	}
	v, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return 0, fmt.Errorf("value %q is not a number", s)
	}
	if math.IsNaN(v) {
		return math.NaN(), nil // one bit pattern, so that no target can send a stale marker
	}
	return v, nil
}

func (c *cursor) space() { c.rest = strings.TrimLeft(c.rest, " \t") }

// take consumes the byte if it is next.
func (c *cursor) take(b byte) bool {
	if c.rest == "" || c.rest[0] != b {
		return false
	}
	c.rest = c.rest[1:]
	return true
}

// name consumes [a-zA-Z_:][a-zA-Z0-9_:]*, without the colons for a label. It returns "" where none stands.
func (c *cursor) name(colon bool) string {
	end := 0
	for ; end < len(c.rest); end++ {
		b := c.rest[end]
		letter := b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b == '_' || colon && b == ':'
		if !letter && (end == 0 || b < '0' || b > '9') {
			break
		}
	}
	name := c.rest[:end]
	c.rest = c.rest[end:]
	return name
}

func (c *cursor) labels() ([]series.Label, error) {
	before := len(c.rest)
	c.space()
	if !c.take('{') {
		if len(c.rest) == before {
			return nil, errors.New("expected a space or { after the name")
		}
		return nil, nil
	}
	var labels []series.Label
	seen := map[string]bool{series.NameLabel: true}
	for {
		c.space()
		if c.take('}') {
			return labels, nil
		}
		label, err := c.label()
		if err != nil {
			return nil, err
		}
		if seen[label.Name] {
			return nil, fmt.Errorf("label %s is given twice or not allowed", label.Name)
		}
		seen[label.Name] = true
		if label.Value != "" { // an empty label is the same as none
			labels = append(labels, label)
		}
		c.space()
		if !c.take(',') && !strings.HasPrefix(c.rest, "}") {
			return nil, fmt.Errorf("expected , or } after label %s", label.Name)
		}
	}
}

func (c *cursor) label() (series.Label, error) {
	name := c.name(false)
	if name == "" {
		return series.Label{}, errors.New("expected a label name")
	}
	c.space()
	if !c.take('=') {
		return series.Label{}, fmt.Errorf("expected = after label name %s", name)
	}
	c.space()
	if !c.take('"') {
		return series.Label{}, fmt.Errorf("expected a quoted value for label %s", name)
	}
	var value strings.Builder
	for c.rest != "" {
		b := c.rest[0]
		c.rest = c.rest[1:]
		switch {
		case b == '"':
			return series.Label{Name: name, Value: value.String()}, nil
		case b != '\\':
			value.WriteByte(b)
		case c.take('\\'):
			value.WriteByte('\\')
		case c.take('"'):
			value.WriteByte('"')
		case c.take('n'):
			value.WriteByte('\n')
		default:
			return series.Label{}, fmt.Errorf("unknown escape in label %s", name)
		}
	}
	return series.Label{}, fmt.Errorf("the value of label %s has no end", name)
}
