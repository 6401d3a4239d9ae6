package config_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/berth-sh/berth/pipelines/config"
)

func TestExcluded(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		text string
		want []string
	}{
		"one":             {valid + "dagger: {exclude: [docs, '**/testdata']}\n", []string{"docs", "**/testdata"}},
		"byte order mark": {"\ufeff" + valid + "dagger: {exclude: [docs]}\n", []string{"docs"}},
		"none":            {valid, nil},
		"of a wrong file": {"dagger: {exclude: docs}\n", nil},
		"no YAML":         {"dagger: [", nil},
	} {
		if diff := cmp.Diff(tt.want, config.Excluded([]byte(tt.text))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestExcludedPathsAreChecked(t *testing.T) {
	t.Parallel()
	exclude := func(pattern string) string { return valid + "dagger: {exclude: [docs, '" + pattern + "']}\n" }
	testBad(t, map[string]bad{
		"no pattern": {exclude("docs/[a"), `berth.yaml:9:26: "docs/[a" is no pattern`, "a pattern of .dockerignore"},
		"outside":    {exclude("../docs"), `berth.yaml:9:26: "../docs" is outside the repository`, "from its root"},
		"absolute":   {exclude("/docs"), `berth.yaml:9:26: "/docs" is outside the repository`, "from its root"},
		"history":    {exclude(".git/"), "berth.yaml:9:26: branch, commit and tags come from .git", "remove it"},
		"variable": {
			exclude("${UNSET}"), `berth.yaml:9:26: "${UNSET}" takes a variable, which is not known this early`,
			"write the path itself",
		},
	})
}
