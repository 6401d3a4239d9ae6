package chart

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEdit(t *testing.T) {
	t.Parallel()
	secrets := []map[string]string{{"name": "ghcr-secret"}}
	tests := map[string]struct {
		before, path string
		value        any
		after        string
	}{
		"plain scalar keeps its comment": {
			"# 🚢 harbour\nimage:\n  registry: ghcr.io/old   # where 🐳 live\n  tag: latest\n", "image.registry", "ghcr.io/acme",
			"# 🚢 harbour\nimage:\n  registry: ghcr.io/acme   # where 🐳 live\n  tag: latest\n",
		},
		"double quotes stay":   {"a: \"x\" # y\n", "a", "z", "a: \"z\" # y\n"},
		"single quotes stay":   {"a: 'it''s' # y\n", "a", "z", "a: 'z' # y\n"},
		"emoji before a value": {"{🎉: 1, a: x}\n", "a", "z", "{🎉: 1, a: z}\n"},
		"windows":              {"a:\r\n  b: x\r\nc: 1\r\n", "a.b", "z", "a:\r\n  b: z\r\nc: 1\r\n"},
		"byte order mark":      {"\ufeffa: x\n", "a", "z", "\ufeffa: z\n"},
		"what reads as another type is quoted": {
			"a: x\n", "a", "1.10", "a: \"1.10\"\n",
		},
		"the last of two keys counts": {"a: x\nb: 1\na: y\n", "a", "z", "a: x\nb: 1\na: z\n"},
		"the last of two mappings counts": {
			"a:\n  b: x\na:\n  b: y\n", "a.b", "z", "a:\n  b: x\na:\n  b: z\n",
		},
		"flow list":          {"s: [{name: old}, {name: b}] # c\nx: 1\n", "s", secrets, "s: [{name: ghcr-secret}] # c\nx: 1\n"},
		"empty list":         {"s: []\n", "s", secrets, "s: [{name: ghcr-secret}]\n"},
		"to the empty list":  {"s: [{name: a}]\n", "s", []map[string]string{}, "s: []\n"},
		"block list":         {"s:\n  - name: a\n  - name: b\n# next\nx: 1\n", "s", secrets, "s: [{name: ghcr-secret}]\n# next\nx: 1\n"},
		"block list of keys": {"s:\n- name: a\nx: 1\n", "s", []map[string]string{}, "s: []\nx: 1\n"},
		"missing in a block": {
			"image:\n  registry: a\n\n# other\nx: 1\n", "image.digest", "sha256:0", "image:\n  registry: a\n  digest: sha256:0\n\n# other\nx: 1\n",
		},
		"missing in a flow mapping":    {"image: {registry: a}\n", "image.digest", "b", "image: {registry: a, digest: b}\n"},
		"missing in an empty mapping":  {"image: {}\nx: 1\n", "image.digest", "b", "image: {digest: b}\nx: 1\n"},
		"missing below a null":         {"image:\nx: 1\n", "image.digest", "b", "image: {digest: b}\nx: 1\n"},
		"missing at the root":          {"x: 1\n", "a.b", "z", "x: 1\na:\n  b: z\n"},
		"missing without a line's end": {"x: 1", "a", "z", "x: 1\na: z\n"},
		"only comments":                {"# nothing yet\n", "a.b", "z", "# nothing yet\na:\n  b: z\n"},
		"item of a list":               {"images:\n  - name: a\n    tag: x\n  - name: b\n    tag: y\n", "images[1].tag", "z", "images:\n  - name: a\n    tag: x\n  - name: b\n    tag: z\n"},
		"missing in an item":           {"images:\n  - name: a\n  - name: b\n", "images[0].tag", "z", "images:\n  - name: a\n    tag: z\n  - name: b\n"},
		"escaped dot":                  {"a:\n  b.c: x\n", `a.b\.c`, "z", "a:\n  b.c: z\n"},
		"anchor":                       {"a: &here x\nb: *here\nc: 1\n", "c", "z", "a: &here x\nb: *here\nc: z\n"},
		"equal already":                {"a:   'x'\n", "a", "x", "a:   'x'\n"},
		"several words":                {"a: one two # c\n", "a", "z", "a: z # c\n"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			after, err := Edit([]byte(tt.before), Setting{Path: tt.path, Value: tt.value})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.after, string(after)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			again, err := Edit(after, Setting{Path: tt.path, Value: tt.value})
			if err != nil || string(again) != string(after) {
				t.Errorf("a second edit: %q, %v", again, err)
			}
		})
	}
}

func TestEditRefusesWhatItWouldSpoil(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ before, path, says string }{
		"alias":            {"a: &x {b: 1}\nc: *x\n", "c.b", "alias"},
		"through a scalar": {"a: 1\n", "a.b", "no mapping"},
		"mapping":          {"a:\n  b: 1\n", "a", "mapping"},
		"block of text":    {"a: |\n  b\n", "a", "block of text"},
		"documents":        {"a: 1\n---\nb: 2\n", "a", "document"},
		"no such item":     {"a: [x]\n", "a[3]", "no such item"},
		"anchored value":   {"a: &x old\nb: *x\n", "a", "cannot be edited"},
		"not YAML":         {"a: [\n", "a", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := Edit([]byte(tt.before), Setting{Path: tt.path, Value: "z"})
			if err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %q, error %v; want one that says %q", got, err, tt.says)
			}
		})
	}
}

func FuzzEdit(f *testing.F) {
	f.Add("a: x # 🎉\nb: {c: [1, 2]}\n", "a", "z")
	f.Add("b:\r\n  - 'x'\r\n", "b[0]", "1.0")
	f.Fuzz(func(t *testing.T, text, path, value string) {
		after, err := Edit([]byte(text), Setting{Path: path, Value: value})
		if err != nil {
			return
		}
		again, err := Edit(after, Setting{Path: path, Value: value})
		if err != nil || string(again) != string(after) {
			t.Errorf("a second edit of %q gives %q, %v", after, again, err)
		}
	})
}
