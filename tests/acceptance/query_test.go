package acceptance

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// jsonEquals looks a value up in a JSON document, which must be one document and nothing else.
//
//	json stdout images[*].tags[0].name 'v1.0.0 v1.0.0'
//	json stdout images[0].keys() 'component digest'
func jsonEquals(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: json FILE PATH WANT")
	}
	var doc any
	if err := json.Unmarshal([]byte(ts.ReadFile(args[0])), &doc); err != nil {
		ts.Fatalf("%s is not JSON: %v", args[0], err)
	}
	got, err := query(doc, args[1])
	if err != nil {
		ts.Fatalf("%s: %v", args[1], err)
	}
	if got != args[2] {
		ts.Fatalf("%s is\n%s\nwant\n%s", args[1], got, args[2])
	}
}

// query follows a path of names, [index], [*] for all elements, keys() and len(). Several values are separated
// by blanks.
func query(doc any, path string) (string, error) {
	values := []any{doc}
	for _, step := range steps(path) {
		var next []any
		for _, v := range values {
			found, err := follow(v, step)
			if err != nil {
				return "", err
			}
			next = append(next, found...)
		}
		values = next
	}
	words := make([]string, 0, len(values))
	for _, v := range values {
		if s, ok := v.(string); ok {
			words = append(words, s)
			continue
		}
		raw, err := json.Marshal(v)
		if err != nil {
			return "", err
		}
		words = append(words, string(raw))
	}
	return strings.Join(words, " "), nil
}

func steps(path string) []string {
	return strings.FieldsFunc(strings.ReplaceAll(path, "[", ".["), func(r rune) bool { return r == '.' })
}

func follow(v any, step string) ([]any, error) {
	object, isObject := v.(map[string]any)
	array, isArray := v.([]any)
	index, isIndex := strings.CutPrefix(strings.TrimSuffix(step, "]"), "[")
	switch {
	case step == "keys()" && isObject:
		return []any{strings.Join(slices.Sorted(maps.Keys(object)), " ")}, nil
	case step == "len()" && isArray:
		return []any{len(array)}, nil
	case step == "[*]" && isArray:
		return array, nil
	case isIndex && isArray:
		i, err := strconv.Atoi(index)
		if err != nil || i < 0 || i >= len(array) {
			return nil, fmt.Errorf("there is no %s in %d elements", step, len(array))
		}
		return array[i : i+1], nil
	case isObject:
		value, ok := object[step]
		if !ok {
			return nil, fmt.Errorf("there is no %q among %v", step, slices.Sorted(maps.Keys(object)))
		}
		return []any{value}, nil
	default:
		return nil, fmt.Errorf("%s does not fit %v", step, v)
	}
}

func TestQuery(t *testing.T) {
	t.Parallel()
	var doc any
	if err := json.Unmarshal([]byte(`{"a": [{"n": "x", "k": 1}, {"n": "y", "k": null}], "e": []}`), &doc); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"a[*].n": "x y", "a[1].n": "y", "a[*].k": "1 null", "a.len()": "2", "keys()": "a e", "a[0].keys()": "k n",
		"e": "[]", "e[*].n": "", "a[0]": `{"k":1,"n":"x"}`,
	} {
		if got, err := query(doc, path); err != nil || got != want {
			t.Errorf("%s = %q, %v; want %q", path, got, err, want)
		}
	}
	for _, path := range []string{"b", "a.n", "a[2]", "a[x]", "a[0].n.m", "keys().a"} {
		if got, err := query(doc, path); err == nil {
			t.Errorf("%s = %q; want an error", path, got)
		}
	}
}
