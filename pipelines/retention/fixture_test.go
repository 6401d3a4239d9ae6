package retention

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/berth-sh/berth/pipelines/config"
)

// now is the clock of the tests.
func now() time.Time { return time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC) }

// kubernaut is the configuration of examples/kubernaut.
func kubernaut(t testing.TB) *config.Config {
	t.Helper()
	c, err := config.Load(filepath.Join("..", "..", "examples", "kubernaut", config.FileName),
		func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func parse(t testing.TB, text string) *config.Config {
	t.Helper()
	c, err := config.Parse("berth.yaml", []byte(text), func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// verdictOf finds the verdict about a tag.
func verdictOf(t testing.TB, p Plan, tag string) Verdict {
	t.Helper()
	for _, v := range p.Tags {
		if v.Tag == tag {
			return v
		}
	}
	t.Fatalf("no verdict about %s in %+v", tag, p)
	return Verdict{}
}

// large is a repository of many builds, each an index of two platforms, half of them old.
func large(tags int) Repository {
	r := Repository{Name: "quay.io/acme/web", Complete: true, Manifests: map[string]Manifest{}}
	for i := range tags {
		m := Manifest{Digest: fmt.Sprintf("sha256:%064x", i), Read: true}
		for j := range 2 {
			child := fmt.Sprintf("sha256:%063x%d", i, j) + "c"
			m.Children = append(m.Children, child)
			r.Manifests[child] = Manifest{Digest: child, Read: true}
		}
		r.Manifests[m.Digest] = m
		r.Tags = append(r.Tags, Tag{
			Name: fmt.Sprintf("dev-%07x", i), Digest: m.Digest, Pushed: now().Add(-time.Duration(i%60) * day),
		})
	}
	return r
}
