package version

import (
	"strings"
	"testing"
	"time"

	"github.com/Masterminds/semver/v3"
)

func fields() Fields {
	return Fields{
		Version: semver.MustParse("1.4.2-rc.1+build.7"),
		Commit:  "0123456789abcdef0123456789abcdef01234567",
		Time:    time.Date(2025, 12, 17, 10, 30, 5, 0, time.FixedZone("CET", 3600)),
		Branch:  "feature/auth",
		Env:     "dev",
	}
}

func TestRender(t *testing.T) {
	t.Parallel()
	for template, want := range map[string]string{
		"v{version}":                  "v1.4.2-rc.1_build.7",
		"v{major}.{minor}":            "v1.4",
		"{patch}-{prerelease}":        "2-rc.1",
		"{sha}":                       "0123456",
		"{sha:12}":                    "0123456789ab",
		"{commit}":                    "0123456789abcdef0123456789abcdef01234567",
		"{branch}":                    "feature-auth-fc659bd",
		"v{version}-beta.{timestamp}": "v1.4.2-rc.1_build.7-beta.20251217093005",
		"nightly-{date}":              "nightly-20251217",
		"{env}-latest":                "dev-latest",
		"latest":                      "latest",
	} {
		tpl, err := ParseTemplate(template)
		if err != nil {
			t.Errorf("ParseTemplate(%q): %v", template, err)
			continue
		}
		got, err := tpl.Render(fields())
		if err != nil || got != want {
			t.Errorf("Render(%q) = %q, %v; want %q", template, got, err, want)
		}
	}
}

func TestRenderMarksUncommittedWork(t *testing.T) {
	t.Parallel()
	f := fields()
	f.Dirty = true
	for template, want := range map[string]string{
		"{sha}":                       "0123456-dirty",
		"v{major}.{minor}.{patch}":    "v1.4.2-dirty",
		"v{major}-beta.{timestamp}":   "v1-beta.20251217093005",
		"v{version}-beta.{timestamp}": "v1.4.2-rc.1_build.7-beta.20251217093005-dirty",
		"latest":                      "latest",
	} {
		tpl, err := ParseTemplate(template)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := tpl.Render(f); err != nil || got != want {
			t.Errorf("Render(%q) = %q, %v; want %q", template, got, err, want)
		}
	}
}

func TestRenderTakesTheShortCommitByHand(t *testing.T) {
	t.Parallel()
	f := fields()
	f.Short = "abc123"
	for template, want := range map[string]string{"{sha}": "abc123", "{sha:8}": "01234567"} {
		tpl, err := ParseTemplate(template)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := tpl.Render(f); err != nil || got != want {
			t.Errorf("Render(%q) = %q, %v; want %q", template, got, err, want)
		}
	}
}

func TestParseTemplateErrors(t *testing.T) {
	t.Parallel()
	for template, want := range map[string]string{
		"":            "empty",
		"{versoin}":   "no field {versoin}",
		"{version":    "a lone {",
		"version}":    "a lone }",
		"{sha:3}":     "{sha:4} to {sha:40}",
		"{sha:x}":     "{sha:4} to {sha:40}",
		"{version:3}": "only {sha:4}",
		"a b":         "no tag may hold",
		"feature/{n}": "no tag may hold",
		"über":        "no tag may hold",
	} {
		if _, err := ParseTemplate(template); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseTemplate(%q) = %v; want an error with %q", template, err, want)
		}
	}
}

func TestRenderErrors(t *testing.T) {
	t.Parallel()
	noBranch := fields()
	noBranch.Branch = ""
	for _, tc := range []struct {
		template, want string
		fields         Fields
	}{
		{"{branch}", "no value here", noBranch},
		{"{tag}", "not the build of a git tag", fields()},
		{"rc{n}", "only a promotion counts", fields()},
		{strings.Repeat("x", 126) + "{major}{minor}{patch}", "129 characters, at most 128", fields()},
		{"-{major}", "not a tag", fields()},
		{".{major}", "not a tag", fields()},
		{"{prerelease}", "the tag is empty", Fields{Version: semver.MustParse("1.0.0")}},
	} {
		tpl, err := ParseTemplate(tc.template)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tpl.Render(tc.fields); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("Render(%q) = %v; want an error with %q", tc.template, err, tc.want)
		}
	}
	exact, err := ParseTemplate(strings.Repeat("x", 127) + "{major}")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := exact.Render(fields()); err != nil || len(got) != 128 {
		t.Errorf("a tag of 128 characters: %d characters, %v", len(got), err)
	}
}

func TestClassAndRelease(t *testing.T) {
	t.Parallel()
	for template, want := range map[string]struct {
		class   Class
		release bool
	}{
		"v{version}":                  {ClassVersion, true},
		"v{major}.{minor}.{patch}":    {ClassVersion, true},
		"v{major}.{minor}":            {ClassFloating, false},
		"v{version}-beta.{timestamp}": {ClassVersion, false},
		"v{version}-dev.{sha}":        {ClassVersion, false},
		"{sha}":                       {ClassVersion, false},
		"{commit}":                    {ClassVersion, false},
		"staging-v{version}-rc{n}":    {ClassVersion, false},
		"{branch}":                    {ClassFloating, false},
		"{tag}":                       {ClassVersion, false},
		"latest":                      {ClassFloating, false},
	} {
		tpl, err := ParseTemplate(template)
		if err != nil {
			t.Fatal(err)
		}
		if tpl.Class() != want.class || tpl.NamesRelease() != want.release {
			t.Errorf("%q: class %s, release %v; want %s, %v", template, tpl.Class(), tpl.NamesRelease(), want.class, want.release)
		}
	}
}

func FuzzTemplate(f *testing.F) {
	for _, seed := range []string{"v{version}", "{sha:12}", "{{", "}", "{branch}-{n}", "a+b", "ß"} {
		f.Add(seed, "feature/x")
	}
	f.Fuzz(func(t *testing.T, text, branch string) {
		tpl, err := ParseTemplate(text)
		if err != nil {
			return
		}
		values := fields()
		values.Branch = branch
		tag, err := tpl.Render(values)
		if err != nil {
			return
		}
		if err := CheckTag(tag); err != nil {
			t.Fatalf("Render(%q) gave %q: %v", text, tag, err)
		}
		if again, _ := tpl.Render(values); again != tag {
			t.Fatalf("Render(%q) gave %q, then %q", text, tag, again)
		}
	})
}
