package retention

import (
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
