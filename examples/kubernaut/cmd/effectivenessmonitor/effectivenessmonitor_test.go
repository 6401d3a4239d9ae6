package main

import "testing"

func TestAssess(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		before, after []float64
		want          assessment
	}{
		{[]float64{10, 10}, []float64{0}, assessment{1, "helped"}},
		{[]float64{10}, []float64{9, 9}, assessment{0.1, "no change"}},
		{[]float64{10}, []float64{30}, assessment{-2, "harmed"}},
	} {
		if got, err := assess(tt.before, tt.after); err != nil || got != tt.want {
			t.Errorf("%v → %v: %+v, %v", tt.before, tt.after, got, err)
		}
	}
	for _, bad := range [][2][]float64{{nil, {1}}, {{1}, nil}, {{0}, {0}}} {
		if _, err := assess(bad[0], bad[1]); err == nil {
			t.Errorf("%v is assessed", bad)
		}
	}
}
