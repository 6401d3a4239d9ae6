package retention

import (
	"fmt"
	"strings"
)

// ecrForever is the age in days at which ECR may delete what is kept for ever: it has no action for keeping.
const ecrForever = 36500

// ecrPolicy is a lifecycle policy of ECR. An image that matches a rule's tags is out of reach for the rules after it.
// Source: https://docs.aws.amazon.com/AmazonECR/latest/userguide/lifecycle_policy_parameters.html
type ecrPolicy struct {
	Rules []ecrRule `json:"rules"`
}

type ecrRule struct {
	Priority    int          `json:"rulePriority"`
	Description string       `json:"description"`
	Selection   ecrSelection `json:"selection"`
	Action      ecrAction    `json:"action"`
}

type ecrSelection struct {
	TagStatus string   `json:"tagStatus"`
	Patterns  []string `json:"tagPatternList"`
	CountType string   `json:"countType"`
	CountUnit string   `json:"countUnit"`
	Count     int      `json:"countNumber"`
}

type ecrAction struct {
	Type string `json:"type"`
}

// ecrWildcards is how many * a pattern may hold.
const ecrWildcards = 4

// renderECR writes one rule a pattern, because the patterns of one rule must all match. What never expires comes first.
func renderECR(p Policy) Rendered {
	out := Rendered{
		Notes: []string{
			"ECR counts from the push of the image, not of the tag",
			fmt.Sprintf("ECR has no action for keeping: what never expires is kept for %d days", ecrForever),
			"an image expires with all its tags: one with a tag of a later rule as well goes by the earlier rule",
		},
		Next: "aws ecr put-lifecycle-policy --repository-name REPOSITORY --lifecycle-policy-text file://policy.json",
	}
	policy := ecrPolicy{Rules: []ecrRule{}}
	seen := map[string]bool{}
	add := func(pattern, description string, days int) {
		if seen[pattern] {
			return
		}
		seen[pattern] = true
		policy.Rules = append(policy.Rules, ecrRule{
			Priority: len(policy.Rules) + 1, Description: description, Action: ecrAction{"expire"},
			Selection: ecrSelection{"tagged", []string{pattern}, "sinceImagePushed", "days", days},
		})
	}
	var kept []string
	for _, x := range p.all() {
		add(x.wide(), "keep "+x.wide(), ecrForever)
		kept = append(kept, x.wide())
	}
	for _, start := range p.releaseStarts() {
		if coveredBy(start, kept) == "" {
			add(start+"*.*.*", "keep releases", ecrForever)
		}
	}
	for _, r := range p.Rules {
		wider := coveredBy(r.Match, kept)
		switch {
		case !simple(r.Match) || strings.Count(r.Match, "*") > ecrWildcards:
			out.Notes = append(out.Notes, fmt.Sprintf("%s is left out: ECR's patterns know at most %d * and no other wildcard",
				r, ecrWildcards))
		case wider != "":
			out.Notes = append(out.Notes, fmt.Sprintf("%s has no effect: %s, which never expires, takes in all of it", r, wider))
		case r.Forever():
			add(r.Match, "keep "+r.Match, ecrForever)
		default:
			add(r.Match, r.String(), int(r.Keep/day))
		}
	}
	out.Policy = policy
	return out
}

// coveredBy finds the pattern that takes in every tag of a glob.
func coveredBy(glob string, patterns []string) string {
	for _, p := range patterns {
		if end, ok := strings.CutSuffix(p, "*"); ok && !strings.Contains(end, "*") && strings.HasPrefix(prefix(glob), end) {
			return p
		}
	}
	return ""
}
