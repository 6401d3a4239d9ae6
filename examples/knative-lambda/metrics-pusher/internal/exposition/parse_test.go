package exposition

import (
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/berth-sh/berth/examples/knative-lambda/metrics-pusher/internal/series"
)

// sample takes the labels as name, value, name, value in the order of the names.
func sample(value float64, labels ...string) series.Sample {
	s := series.Sample{Value: value}
	for i := 0; i < len(labels); i += 2 {
		s.Labels = append(s.Labels, series.Label{Name: labels[i], Value: labels[i+1]})
	}
	return s
}

func timed(s series.Sample, time int64) series.Sample {
	s.Time, s.Timed = time, true
	return s
}

func TestParseAccepts(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		text string
		want []series.Sample
	}{
		"empty":         {"", nil},
		"comments":      {"# HELP a b\n# TYPE a counter\n#\n\n  # x\n", nil},
		"plain":         {"a 1", []series.Sample{sample(1, "__name__", "a")}},
		"tabs and CRLF": {"\ta\t1\t\r\nb 2\r\n", []series.Sample{sample(1, "__name__", "a"), sample(2, "__name__", "b")}},
		"time":          {"a 1 -5\n", []series.Sample{timed(sample(1, "__name__", "a"), -5)}},
		"time zero":     {"a 1 0\n", []series.Sample{timed(sample(1, "__name__", "a"), 0)}},
		"colon":         {"job:a:rate5m 1e3\n", []series.Sample{sample(1000, "__name__", "job:a:rate5m")}},
		"labels sorted": {`a{z="1",B="2"} 3`, []series.Sample{sample(3, "B", "2", "__name__", "a", "z", "1")}},
		"loose spaces":  {`a { x = "1" , y = "2" , } 3`, []series.Sample{sample(3, "__name__", "a", "x", "1", "y", "2")}},
		"no labels":     {`a{} 3`, []series.Sample{sample(3, "__name__", "a")}},
		"no space":      {`a{x="1"}3`, []series.Sample{sample(3, "__name__", "a", "x", "1")}},
		"empty label":   {`a{x=""} 3`, []series.Sample{sample(3, "__name__", "a")}},
		"escapes":       {`a{x="\\ \" \n }#,"} 3`, []series.Sample{sample(3, "__name__", "a", "x", "\\ \" \n }#,")}},
		"infinity": {
			"a +Inf\nb -Inf\n",
			[]series.Sample{sample(math.Inf(1), "__name__", "a"), sample(math.Inf(-1), "__name__", "b")},
		},
		"UTF-8 in value": {`a{x="ü€"} 3`, []series.Sample{sample(3, "__name__", "a", "x", "ü€")}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := Parse(strings.NewReader(tt.text))
			if err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %+v, %v, want %+v", got, err, tt.want)
			}
		})
	}
	got, err := Parse(strings.NewReader("a NaN\n"))
	if err != nil || len(got) != 1 || math.Float64bits(got[0].Value) != math.Float64bits(math.NaN()) {
		t.Errorf("NaN: got %+v, %v", got, err)
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ line, says string }{
		"digit first":   {"1a 1", "no metric name"},
		"no value":      {"a", "expected a space"},
		"blank value":   {`a{x="1"} `, "expected a value"},
		"three fields":  {"a 1 2 3", "expected a value"},
		"bad value":     {"a one", `value "one"`},
		"underscore":    {"a 0x1_0p1", "not a number"},
		"too large":     {"a 1e999", "not a number"},
		"bad time":      {"a 1 1.5", "timestamp"},
		"bad byte":      {"a\xff 1", "not UTF-8"},
		"bad name":      {"a-b 1", "expected a space"},
		"open":          {`a{x="1"`, "expected , or }"},
		"open string":   {`a{x="1`, "no end"},
		"no quote":      {`a{x=1} 2`, "quoted value"},
		"no equals":     {`a{x "1"} 2`, "expected = "},
		"no label name": {`a{="1"} 2`, "label name"},
		"colon label":   {`a{x:y="1"} 2`, "expected = "},
		"two commas":    {`a{x="1",,} 2`, "label name"},
		"no comma":      {`a{x="1" y="2"} 2`, "expected , or }"},
		"twice":         {`a{x="1",x="2"} 2`, "twice"},
		"name as label": {`a{__name__="b"} 2`, "not allowed"},
		"bad escape":    {`a{x="\t"} 2`, "unknown escape"},
		"long line":     {"a" + strings.Repeat("b", maxLine), "too long"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Parse(strings.NewReader("ok 1\n" + tt.line + "\n"))
			if err == nil || !strings.HasPrefix(err.Error(), "line 2: ") || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v, want an error in line 2 with %q", err, tt.says)
			}
		})
	}
}

// FuzzParse holds that what was read, written again and read again is the same.
func FuzzParse(f *testing.F) {
	f.Add("a 1\nb{x=\"1\",y=\"\\n\\\\\\\"\"} +Inf 5\n# c\nd NaN\n")
	f.Add("a{x=\"\"}0x1p-2\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		first, err := Parse(strings.NewReader(text))
		if err != nil {
			return
		}
		var again strings.Builder
		for _, s := range first {
			again.WriteString(write(s))
		}
		second, err := Parse(strings.NewReader(again.String()))
		if err != nil {
			t.Fatalf("%v in %q", err, again.String())
		}
		if fmt.Sprint(first) != fmt.Sprint(second) {
			t.Fatalf("%v came back as %v", first, second)
		}
	})
}

func write(s series.Sample) string {
	var name, labels string
	escape := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)
	for _, l := range s.Labels {
		if l.Name == series.NameLabel {
			name = l.Value
			continue
		}
		labels += l.Name + `="` + escape.Replace(l.Value) + `",`
	}
	line := fmt.Sprintf("%s{%s} %g", name, labels, s.Value)
	if s.Timed {
		line += fmt.Sprintf(" %d", s.Time)
	}
	return line + "\n"
}
