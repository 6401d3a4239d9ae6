package version

import (
	"regexp"
	"strings"
	"testing"
)

func TestSlugKeepsWhatATagCanHold(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"main", "release-1.4", "Feature_X", "v1", "1234", "pr-"} {
		if got := Slug(name); got != name {
			t.Errorf("Slug(%q) = %q", name, got)
		}
	}
}

func TestSlugMarksWhatItChanged(t *testing.T) {
	t.Parallel()
	hashed := regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]*-[0-9a-f]{7}$|^[0-9a-f]{7}$`)
	for _, name := range []string{
		"feature/auth", "-x", ".x", "ä", "日本", "feature auth", "feature@auth", strings.Repeat("a", 64), "fix-0123abc", "pr-7", "",
	} {
		if got := Slug(name); !hashed.MatchString(got) || got == name {
			t.Errorf("Slug(%q) = %q, without a hash", name, got)
		}
	}
}

// Two branches must never share a tag, however alike they are.
func TestSlugNeverCollides(t *testing.T) {
	t.Parallel()
	names := []string{
		"feature/auth", "feature-auth", "feature.auth", "feature_auth", "feature auth", "feature//auth", "feature/auth/",
		"Feature/auth", "feature/äuth", "feature/ßuth", Slug("feature/auth"), Slug(Slug("feature/auth")),
		strings.Repeat("a", 63), strings.Repeat("a", 64), strings.Repeat("a", 65), strings.Repeat("a", 64) + "b",
	}
	seen := map[string]string{}
	for _, name := range names {
		slug := Slug(name)
		if other, taken := seen[slug]; taken {
			t.Errorf("%q and %q are both %q", other, name, slug)
		}
		seen[slug] = name
	}
}

func FuzzSlug(f *testing.F) {
	f.Add("feature/auth", "feature-auth")
	f.Add("a", "A")
	f.Fuzz(func(t *testing.T, a, b string) {
		x, y := Slug(a), Slug(b)
		if a != b && x == y {
			t.Fatalf("%q and %q are both %q", a, b, x)
		}
		if len(x) > maxSlug {
			t.Fatalf("Slug(%q) has %d characters", a, len(x))
		}
		if err := CheckTag(x); err != nil {
			t.Fatalf("Slug(%q) = %q: %v", a, x, err)
		}
	})
}
