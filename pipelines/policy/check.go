package policy

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/distribution/reference"

	"github.com/berth-sh/berth/pipelines/config"
	"github.com/berth-sh/berth/pipelines/dockerfile"
	"github.com/berth-sh/berth/pipelines/plan"
)

// Check returns a refusal for each place in a file that the policy of the configuration does not allow, in the order of
// the bases.
func Check(c *config.Config, bases []dockerfile.Base) []plan.Refusal {
	var out []plan.Refusal
	components := map[string][]string{} // by what is said of the place
	refuse := func(b dockerfile.Base, reason, next string) {
		subject := fmt.Sprintf("%s:%d", b.File, b.Line)
		key := subject + reason
		if len(components[key]) == 0 {
			out = append(out, plan.Refusal{Subject: subject, Reason: reason, Next: next})
		}
		if !slices.Contains(components[key], b.Component) {
			components[key] = append(components[key], b.Component)
		}
	}
	for _, b := range bases {
		allows := func(pattern string) bool { return matches(pattern, b) }
		if c.Policy.BaseImages != nil && !slices.ContainsFunc(c.Policy.BaseImages, allows) {
			refuse(b, fmt.Sprintf("%s %s is not allowed: policy.baseImages (%s) has %s", b.Instruction, b.Image,
				rule(c, "baseImages"), strings.Join(c.Policy.BaseImages, ", ")),
				"build on an image that is allowed, or allow its repository in policy.baseImages")
		}
		if c.Policy.Pinned && b.Digest == "" {
			refuse(b, fmt.Sprintf("%s %s has no digest: policy.pinned (%s) asks for one", b.Instruction, b.Image,
				rule(c, "pinned")), "write NAME:TAG@sha256:…, or let it be written: berth base update --pin --write")
		}
	}
	for i, r := range out {
		out[i].Reason = fmt.Sprintf("%s (component %s)", r.Reason, strings.Join(components[r.Subject+r.Reason], ", "))
	}
	return out
}

// rule is the place of a rule, without the folder of the file: berth.yaml:12:3.
func rule(c *config.Config, key string) string { return filepath.Base(c.Where("policy", key)) }

// matches tells whether a pattern allows the base. A pattern that is a host allows all of it; others are globs over the
// repository, its tag or digest included or not, in full or as Docker Hub's images are called for short.
func matches(pattern string, b dockerfile.Base) bool {
	host, _, _ := strings.Cut(b.Repository, "/")
	if !strings.Contains(pattern, "/") && strings.ContainsAny(pattern, ".:") && config.Match(pattern, host) {
		return true
	}
	names := []string{b.Repository}
	if named, err := reference.ParseNormalizedNamed(b.Repository); err == nil {
		names = append(names, reference.FamiliarName(named))
	}
	for _, name := range names {
		forms := []string{name}
		if b.Digest != "" { // the tag beside it decides nothing
			forms = append(forms, name+"@"+b.Digest)
		} else if b.Tag != "" {
			forms = append(forms, name+":"+b.Tag)
		}
		if slices.ContainsFunc(forms, func(form string) bool { return config.Match(pattern, form) }) {
			return true
		}
	}
	return false
}
