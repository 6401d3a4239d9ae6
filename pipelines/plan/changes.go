package plan

import (
	"fmt"
	"strings"

	"github.com/berth-sh/berth/pipelines/fault"
)

// Changes are the differences between a saved plan and the one of now, for people.
type Changes []string

// Differ notes a difference, when there is one.
func (c *Changes) Differ(what, was, is string) {
	if was != is {
		*c = append(*c, fmt.Sprintf("%s was %s and is now %s", what, was, is))
	}
}

// Err refuses to carry out the saved plan, or is nil when nothing changed. subject names the plan, and show is the
// command that shows the present one.
func (c Changes) Err(subject, show string) error {
	if len(c) == 0 {
		return nil
	}
	return fault.New(fault.Refused, subject, "look at the new plan ("+show+"), and save it again",
		"the facts changed since the plan was saved: %s", strings.Join(c, "; "))
}
