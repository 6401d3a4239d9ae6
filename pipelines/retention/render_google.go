package retention

import (
	"fmt"
	"strings"
)

// maxGooglePolicies is how many cleanup policies a repository may have.
const maxGooglePolicies = 10

// googlePolicy is one cleanup policy of Artifact Registry. Keep beats Delete.
// Source: https://cloud.google.com/artifact-registry/docs/repositories/cleanup-policy
type googlePolicy struct {
	Name      string          `json:"name"`
	Action    googleAction    `json:"action"`
	Condition googleCondition `json:"condition"`
}

type googleAction struct {
	Type string `json:"type"`
}

type googleCondition struct {
	TagState    string   `json:"tagState"`
	TagPrefixes []string `json:"tagPrefixes,omitempty"`
	OlderThan   string   `json:"olderThan,omitempty"`
	NewerThan   string   `json:"newerThan,omitempty"`
}

// renderGoogle writes a Keep policy for what never expires and a Delete policy a rule. Conditions know prefixes only:
// to keep more than was asked is safe, to delete more is not.
func renderGoogle(p Policy) Rendered {
	out := Rendered{
		Notes: []string{
			"the policies hold for every image of the Artifact Registry repository, not only for berth's components",
			"prefixes keep more than the rules: with v1 also v10",
		},
		Next: "gcloud artifacts repositories set-cleanup-policies REPOSITORY --location LOCATION --policy policy.json",
	}
	var keep, rest []googlePolicy
	var prefixes []string
	for _, x := range p.all() {
		prefixes = appendPrefix(prefixes, x.prefix())
	}
	for _, start := range p.releaseStarts() {
		prefixes = appendPrefix(prefixes, start)
	}
	for i, r := range p.Rules {
		begin := prefix(r.Match)
		exact := r.Match == begin+"*" || r.Match == begin+"**"
		days := fmt.Sprintf("%dd", int(r.Keep/day))
		switch {
		case r.Forever():
			prefixes = appendPrefix(prefixes, begin)
		case !exact:
			out.Notes = append(out.Notes, fmt.Sprintf("%s is left out: Artifact Registry knows prefixes only", r))
		default:
			rest = append(rest, googlePolicy{
				fmt.Sprintf("delete-%d", i), googleAction{"Delete"}, tagged(begin, googleCondition{OlderThan: days}),
			})
			if shorterAfter(p.Rules[i+1:], r) {
				// A later rule would delete these sooner.
				keep = append(keep, googlePolicy{
					fmt.Sprintf("keep-%d", i), googleAction{"Keep"}, tagged(begin, googleCondition{NewerThan: days}),
				})
			}
		}
	}
	first := []googlePolicy{{"keep", googleAction{"Keep"}, googleCondition{TagState: "tagged", TagPrefixes: prefixes}}}
	for _, x := range p.all() {
		if x.prefix() == "" {
			out.Notes = append(out.Notes, "nothing expires: "+x.reason+", and has no prefix to keep it by")
			rest, keep = nil, nil
		}
	}
	all := append(append(first, keep...), rest...)
	if len(all) > maxGooglePolicies {
		out.Notes = append(out.Notes, fmt.Sprintf("%d policies are too many: a repository takes %d",
			len(all), maxGooglePolicies))
	}
	out.Policy = all
	return out
}

func tagged(begin string, c googleCondition) googleCondition {
	c.TagState = "tagged"
	if begin != "" {
		c.TagPrefixes = []string{begin}
	}
	return c
}

// shorterAfter reports whether a later rule could take tags of this one sooner.
func shorterAfter(later []Rule, r Rule) bool {
	for _, l := range later {
		if !l.Forever() && l.Keep < r.Keep && mayMeet(prefix(l.Match), prefix(r.Match)) {
			return true
		}
	}
	return false
}

// appendPrefix adds a prefix unless one that is there takes it in. An empty one would keep everything.
func appendPrefix(list []string, begin string) []string {
	if begin == "" {
		return list
	}
	for _, have := range list {
		if strings.HasPrefix(begin, have) {
			return list
		}
	}
	return append(list, begin)
}
