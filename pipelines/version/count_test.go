package version_test

import (
	"testing"

	"github.com/Masterminds/semver/v3"

	"github.com/berth-sh/berth/pipelines/version"
)

func TestCounted(t *testing.T) {
	t.Parallel()
	f := version.Fields{Version: semver.MustParse("1.4.0")}
	for _, c := range []struct {
		template, tag string
		n             int
	}{
		{"staging-v{version}-rc{n}", "staging-v1.4.0-rc2", 2},
		{"staging-v{version}-rc{n}", "staging-v1.4.0-rc10", 10},
		{"{n}-v{version}", "7-v1.4.0", 7},
		{"staging-v{version}-rc{n}", "staging-v1.4.1-rc2", 0},
		{"staging-v{version}-rc{n}", "staging-v1.4.0-rc02", 0},
		{"staging-v{version}-rc{n}", "staging-v1.4.0-rc0", 0},
		{"staging-v{version}-rc{n}", "staging-v1.4.0-rc-1", 0},
		{"staging-v{version}-rc{n}", "staging-v1.4.0-rc", 0},
		{"staging-v{version}-rc{n}", "staging-v1.4.0-rc2-fix", 0},
		{"v{version}-rc{n}", "chart-v1.4.0-rc2", 0},
		{"v{version}-rc{n}-x", "v1.4.0-rc-x", 0},
	} {
		template, err := version.ParseTemplate(c.template)
		if err != nil {
			t.Fatal(err)
		}
		if n, ok := template.Counted(c.tag, f); n != c.n && ok || ok != (c.n > 0) {
			t.Errorf("%s in %s: %d, %v; want %d", c.tag, c.template, n, ok, c.n)
		}
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		template, tag, version string
		n                      int
		ok                     bool
	}{
		{"staging-v{version}-rc{n}", "staging-v1.4.0-rc12", "1.4.0", 12, true},
		{"staging-v{version}-rc{n}", "staging-v1.4.0-beta.1-rc2", "1.4.0-beta.1", 2, true},
		{"v{version}", "v1.4.0", "1.4.0", 0, true},
		{"v{version}", "v1.4.0-rc.1", "1.4.0-rc.1", 0, true},
		{"v{version}", "v01.4.0", "", 0, false},
		{"v{version}", "chart-v1.4.0", "", 0, false},
		{"v{major}", "v1", "", 0, true},
		{"latest", "latest", "", 0, true},
	} {
		template, err := version.ParseTemplate(c.template)
		if err != nil {
			t.Fatal(err)
		}
		v, n, ok := template.Parse(c.tag, "prd")
		if ok != c.ok || n != c.n || (v == nil) != (c.version == "") || v != nil && v.String() != c.version {
			t.Errorf("%s of %s: %v, %d, %v", c.tag, c.template, v, n, ok)
		}
	}
}
