package retention

import (
	"fmt"
	"slices"
	"strings"
)

// quayPolicy is one auto-prune policy of Quay.
// Source: https://docs.quay.io/ (API reference, autoprune)
type quayPolicy struct {
	Method     string `json:"method"`
	Value      string `json:"value"`
	TagPattern string `json:"tagPattern,omitempty"`
	// TagPatternMatches false means every tag that the pattern does not match.
	TagPatternMatches bool `json:"tagPatternMatches"`
}

// renderQuay writes one policy a rule. Policies of Quay stand side by side: what an earlier rule or a protection takes
// out must be taken out of the pattern.
func renderQuay(p Policy) Rendered {
	policies := []quayPolicy{}
	for i, r := range p.Rules {
		if r.Forever() {
			continue
		}
		var except []string
		add := func(expression, begin string) {
			if mayMeet(begin, prefix(r.Match)) && !slices.Contains(except, expression) {
				except = append(except, expression)
			}
		}
		for _, earlier := range p.Rules[:i] {
			add(globRegexp(earlier.Match), prefix(earlier.Match))
		}
		add(strings.Trim(release.String(), "^$"), "v")
		add(strings.Trim(release.String(), "^$"), "1")
		for _, x := range p.all() {
			add(x.expression(), x.prefix())
		}
		policies = append(policies, quayRule(r, except))
	}
	return Rendered{
		Policy: policies,
		Notes: []string{
			"auto-pruning has to be enabled at the registry",
			"pre-releases are kept like releases, and so are branch builds that look like them",
		},
		Next: "POST each policy to /api/v1/organization/ORG/autoprunepolicy/, for an account to " +
			"/api/v1/user/autoprunepolicy/, or to /api/v1/repository/NAMESPACE/NAME/autoprunepolicy/ (OAuth token)",
	}
}

func quayRule(r Rule, except []string) quayPolicy {
	out := quayPolicy{Method: "creation_date", Value: fmt.Sprintf("%dd", int(r.Keep/day)), TagPatternMatches: true}
	switch {
	case len(except) == 0:
		// Quay searches for the pattern anywhere in a tag unless it is anchored.
		out.TagPattern = "^" + globRegexp(r.Match) + "$"
	case everything(r.Match):
		out.TagPattern, out.TagPatternMatches = "^(?:"+strings.Join(except, "|")+")$", false
	default:
		out.TagPattern = "^(?!(?:" + strings.Join(except, "|") + ")$)" + globRegexp(r.Match) + "$"
	}
	return out
}
