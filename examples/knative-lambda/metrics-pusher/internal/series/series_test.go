package series

import (
	"math"
	"slices"
	"testing"
)

func TestWithTarget(t *testing.T) {
	t.Parallel()
	labels := []Label{{"__name__", "m"}, {"exported_job", "old"}, {"job", "mine"}, {"z", "1"}}
	got := WithTarget(labels, []Label{{"instance", "i"}, {"job", "target"}})
	want := []Label{
		{"__name__", "m"},
		{"exported_exported_job", "mine"},
		{"exported_job", "old"},
		{"instance", "i"},
		{"job", "target"},
		{"z", "1"},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if labels[2].Name != "job" {
		t.Error("the input was changed")
	}
}

func TestKeyTellsLabelSetsApart(t *testing.T) {
	t.Parallel()
	sets := [][]Label{{{"a", "b"}}, {{"a", `b",c="d`}}, {{"a", "b"}, {"c", "d"}}, {{"a", ""}}, nil}
	seen := map[string]bool{}
	for _, set := range sets {
		seen[Key(set)] = true
	}
	if len(seen) != len(sets) {
		t.Errorf("%d keys for %d sets", len(seen), len(sets))
	}
}

func TestStaleIsTheMarkerOfTheSpecification(t *testing.T) {
	t.Parallel()
	if bits := math.Float64bits(Stale()); bits != 0x7ff0000000000002 || !math.IsNaN(Stale()) {
		t.Errorf("got %x", bits)
	}
}
