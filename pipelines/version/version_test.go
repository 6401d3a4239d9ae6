package version

import (
	"strings"
	"testing"

	"github.com/Masterminds/semver/v3"

	"github.com/berth-sh/berth/pipelines/fault"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"1.0.0": "1.0.0", "v1.0.0": "1.0.0", " 1.2.3\n": "1.2.3", "1.0.0-rc.1+x": "1.0.0-rc.1+x",
	} {
		if v, err := Parse("VERSION", text); err != nil || v.String() != want {
			t.Errorf("Parse(%q) = %v, %v; want %s", text, v, err, want)
		}
	}
	for _, text := range []string{"", "1", "1.0", "01.0.0", "1.0.0.0", "latest", "1.0.0-", "1.0.0-01", "vv1.0.0"} {
		_, err := Parse("VERSION", text)
		if fault.CodeOf(err) != fault.Usage || !strings.Contains(err.Error(), "VERSION") {
			t.Errorf("Parse(%q) = %v; want a usage fault that names its subject", text, err)
		}
	}
}

func TestGitTag(t *testing.T) {
	t.Parallel()
	const template = "knative-lambda-v{version}"
	v := semver.MustParse("1.1.0")
	if got := GitTag(template, v); got != "knative-lambda-v1.1.0" {
		t.Errorf("GitTag = %q", got)
	}
	if got := GitTagGlob(template); got != "knative-lambda-v*" {
		t.Errorf("GitTagGlob = %q", got)
	}
	if got, ok := FromGitTag(template, "knative-lambda-v1.1.0"); !ok || !got.Equal(v) {
		t.Errorf("FromGitTag = %v, %v", got, ok)
	}
	for _, tag := range []string{"v1.1.0", "knative-lambda-v", "knative-lambda-v1.1", "knative-lambda-vX", "", "chart-v1.0.0"} {
		if got, ok := FromGitTag(template, tag); ok {
			t.Errorf("FromGitTag(%q) = %v", tag, got)
		}
	}
}

func TestIncrease(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ from, part, want string }{
		{"1.4.2", "major", "2.0.0"},
		{"1.4.2", "minor", "1.5.0"},
		{"1.4.2", "patch", "1.4.3"},
		{"1.4.0-rc.1", "patch", "1.4.0"},
	} {
		if got, err := Increase(semver.MustParse(tc.from), tc.part); err != nil || got.String() != tc.want {
			t.Errorf("Increase(%s, %s) = %v, %v; want %s", tc.from, tc.part, got, err, tc.want)
		}
	}
	if _, err := Increase(semver.MustParse("1.0.0"), "huge"); err == nil {
		t.Error("Increase accepts a part that does not exist")
	}
}
