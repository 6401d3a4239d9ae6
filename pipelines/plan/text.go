package plan

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/berth-sh/berth/pipelines/facts"
	"github.com/berth-sh/berth/pipelines/registry"
	"github.com/berth-sh/berth/pipelines/report"
)

// Text writes the plan for people. Refusals are not part of it: they are the error that [Plan.Err] returns.
func (p Plan) Text(w io.Writer) error {
	head := &report.Table{Head: []string{"ENVIRONMENT", "REGISTRY", "VERSION", "COMMIT", "REASON"}}
	head.Add(p.Environment, p.Registry, p.Version, facts.Short(p.Commit), p.Reason)
	images := &report.Table{Head: []string{"COMPONENT", "REPOSITORY", "PLATFORMS"}}
	// Tags depend on the git ref and the environment, so that all images of a plan have the same.
	tags := &report.Table{Head: []string{"TAG", "CLASS", "RULE"}}
	for i, x := range p.Images {
		images.Add(x.Component, x.Repository, strings.Join(x.Platforms, ", "))
		for _, tag := range x.Tags {
			if i == 0 {
				tags.Add(tag.Name, string(tag.Class), tag.Rule)
			}
		}
	}
	if err := report.Tables(w, head, images, tags); err != nil {
		return err
	}
	if p.Repositories != nil {
		if _, err := fmt.Fprintf(w, "\nmissing repositories are created: %s\n", described(*p.Repositories)); err != nil {
			return err
		}
	}
	if p.Dirty {
		_, err := fmt.Fprintf(w, "\nuncommitted: %s; floating tags stay where they are\n", files(p.Changed))
		return err
	}
	return nil
}

// described says with which settings repositories are created.
func described(s registry.RepositorySettings) string {
	text := "tags " + string(s.Mutability)
	if len(s.Exclusions) > 0 {
		text += " (" + strings.Join(s.Exclusions, " ") + ")"
	}
	if s.ScanOnPush {
		text += ", scanned on push"
	}
	for _, key := range slices.Sorted(maps.Keys(s.Tags)) {
		text += ", " + key + "=" + s.Tags[key]
	}
	return text + "; " + s.Reason
}
