package facts

import (
	"fmt"
	"path"

	"github.com/moby/patternmatcher"
)

// absence tells of a tracked file that is not there whether that is as it should be.
type absence func(name string) bool

// leftOut is the absence that the options speak of.
func (o Options) leftOut() (absence, error) {
	matcher, err := patternmatcher.New(o.Absent)
	if err != nil {
		return nil, fmt.Errorf("read the patterns of what was left out: %w", err)
	}
	inputs, modules := outermost(o.Inputs), outermost(o.Modules)
	return func(name string) bool {
		if under(inputs, name) || under(modules, name) && compiled(name) {
			return false
		}
		matched, err := matcher.MatchesOrParentMatches(path.Clean(name))
		return err == nil && matched
	}, nil
}
