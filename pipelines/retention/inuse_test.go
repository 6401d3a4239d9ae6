package retention

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/berth-sh/berth/pipelines/fault"
)

const (
	digestA = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	digestB = "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

func TestParseInUse(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		text          string
		digests, tags []string
		err           string
	}{
		"lines": {
			"# running\n\n" + digestA + "\nquay.io/acme/web@" + digestB + " # of Monday\nlocalhost:5000/web\nquay.io/acme/web:v1\r\n",
			[]string{digestA, digestB},
			[]string{"localhost:5000/web:latest", "quay.io/acme/web:v1"},
			"",
		},
		"tag and digest": {"quay.io/acme/web:v1@" + digestA, []string{digestA}, nil, ""},
		"nothing":        {"", nil, nil, "it names no image"},
		"only comments":  {"# none\n", nil, nil, "it names no image"},
		"a word":         {digestA + "\nerror\n", nil, nil, `in-use:2: "error" is no image`},
		"a message":      {"The connection to the server was refused", nil, nil, "in-use:1:"},
		"a short digest": {"quay.io/acme/web@sha256:abc", nil, nil, "in-use:1:"},
		"broken JSON":    {"{", nil, nil, "neither lines nor JSON"},
		"no pods":        {`{"kind": "List", "items": []}`, nil, nil, "it names no image"},
		"pods": {
			`{"kind": "List", "items": [{"spec": {"containers": [{"image": "quay.io/acme/web:v1"}], "initContainers": [{"image": "busybox"}]},
			"status": {"containerStatuses": [{"image": "docker.io/library/x:1", "imageID": "docker-pullable://quay.io/acme/web@` + digestA + `"}],
			"initContainerStatuses": [{"imageID": "sha256:short"}], "ephemeralContainerStatuses": [{"imageID": "mirror/web@` + digestB + `"}]}}]}`,
			[]string{digestA, digestB},
			[]string{"docker.io/library/x:1", "quay.io/acme/web:v1"},
			"",
		},
		"one pod": {`{"kind": "Pod", "spec": {"containers": [{"image": "quay.io/acme/web"}]}}`, nil, []string{"quay.io/acme/web:latest"}, ""},
	} {
		u, err := ParseInUse("in-use", []byte(tt.text))
		if tt.err != "" {
			if fault.CodeOf(err) != fault.Usage || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(tt.digests, slices.Sorted(maps.Keys(u.Digests))); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if diff := cmp.Diff(tt.tags, slices.Sorted(maps.Keys(u.Tags))); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// What is taken for an image is one; what is not is an error and never dropped.
func FuzzParseInUse(f *testing.F) {
	for _, text := range []string{digestA, "quay.io/acme/web:v1 # x", `{"items":[{"spec":{"containers":[{"image":"a/b:c"}]}}]}`, "{", ""} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		u, err := ParseInUse("in-use", data)
		if (err == nil) != (len(u.Digests)+len(u.Tags) > 0) {
			t.Errorf("%+v, %v", u, err)
		}
		for digest := range u.Digests {
			if !digestPattern.MatchString(digest) {
				t.Errorf("%q is no digest", digest)
			}
		}
		for tag := range u.Tags {
			if !strings.Contains(tag, "/") || !strings.Contains(tag, ":") || strings.ContainsAny(tag, "@ ") {
				t.Errorf("%q is no reference", tag)
			}
		}
	})
}

// BenchmarkDecide judges a repository of 10,000 tags on indexes of two platforms.
func BenchmarkDecide(b *testing.B) {
	r := large(10_000)
	p := PolicyOf(kubernaut(b), "dev")
	for b.Loop() {
		if plan := Decide(r, p, InUse{}, now()); len(plan.Delete) == 0 {
			b.Fatal("nothing expires")
		}
	}
}
