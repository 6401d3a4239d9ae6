package version

import (
	"fmt"
	"strings"

	"github.com/Masterminds/semver/v3"

	"github.com/berth-sh/berth/pipelines/fault"
)

// Parse reads a SemVer 2.0.0 version, with or without a leading "v". subject says where the text comes from, for the
// message. Source of the grammar: https://semver.org.
func Parse(subject, text string) (*semver.Version, error) {
	v, err := semver.StrictNewVersion(strings.TrimPrefix(strings.TrimSpace(text), "v"))
	if err != nil {
		return nil, fault.New(fault.Usage, subject, "write MAJOR.MINOR.PATCH, for example 1.4.0 or 1.4.0-rc.1",
			"%q is not a version: %w", text, err)
	}
	return v, nil
}

// GitTag writes the git tag of a version by a template such as "knative-lambda-v{version}".
func GitTag(template string, v *semver.Version) string {
	return strings.Replace(template, "{version}", v.String(), 1)
}

// GitTagGlob is the glob that every git tag of the template matches.
func GitTagGlob(template string) string {
	return strings.Replace(template, "{version}", "*", 1)
}

// FromGitTag reads the version out of a git tag. It reports false for a tag that is not of the template or does not
// hold a SemVer version.
func FromGitTag(template, tag string) (*semver.Version, bool) {
	head, tail, ok := strings.Cut(template, "{version}")
	if !ok || len(tag) < len(head)+len(tail) || !strings.HasPrefix(tag, head) || !strings.HasSuffix(tag, tail) {
		return nil, false
	}
	v, err := semver.StrictNewVersion(tag[len(head) : len(tag)-len(tail)])
	return v, err == nil
}

// Increase computes the version after v: part is "major", "minor" or "patch", as in SemVer. A pre-release gives up its
// suffix first: the patch after 1.4.0-rc.1 is 1.4.0.
func Increase(v *semver.Version, part string) (*semver.Version, error) {
	var next semver.Version
	switch part {
	case "major":
		next = v.IncMajor()
	case "minor":
		next = v.IncMinor()
	case "patch":
		next = v.IncPatch()
	default:
		return nil, fmt.Errorf("%q is not major, minor or patch", part)
	}
	return &next, nil
}
