package promote

import (
	"fmt"
	"io"
	"strings"

	"github.com/berth-sh/berth/pipelines/attest"
	"github.com/berth-sh/berth/pipelines/facts"
	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/guard"
	"github.com/berth-sh/berth/pipelines/plan"
	"github.com/berth-sh/berth/pipelines/report"
	"github.com/berth-sh/berth/pipelines/version"
)

// Action is what a promotion would do with a tag.
type Action string

// The actions of a plan.
const (
	Create    Action = "create"
	Move      Action = "move"
	Keep      Action = "keep"
	Unchanged Action = "unchanged"
	Refuse    Action = "refuse"
)

// actionOf is the plan's word for what the guard decided.
func actionOf(a guard.Action) Action {
	switch a {
	case guard.ActionCreated:
		return Create
	case guard.ActionMoved:
		return Move
	case guard.ActionKept:
		return Keep
	case guard.ActionRefused:
		return Refuse
	default:
		return Unchanged
	}
}

// Plan is what a promotion would do. Its JSON form is a contract.
type Plan struct {
	// From and Environment are the environments; a rollback names the same one twice.
	From        string `json:"from"`
	Environment string `json:"environment"`
	// Registry is the target's name in berth.yaml.
	Registry string  `json:"registry"`
	Rollback bool    `json:"rollback"`
	Images   []Image `json:"images"`
	// Chart is the one that comes along; nil for none.
	Chart    *Chart         `json:"chart,omitempty"`
	Refusals []plan.Refusal `json:"refusals"`
}

// Image is one component of a plan.
type Image struct {
	Component string `json:"component"`
	// Source is the full repository that the image comes from, SourceTag the tag by which it was found, "" for a digest.
	Source    string `json:"source"`
	SourceTag string `json:"sourceTag"`
	// Reason says why this image.
	Reason string `json:"reason"`
	Digest string `json:"digest"`
	// Repository is the full target repository.
	Repository string   `json:"repository"`
	Version    string   `json:"version"`
	Commit     string   `json:"commit"`
	Platforms  []string `json:"platforms"`
	Tags       []Tag    `json:"tags"`
	// Approvals are those that the promotion rests on, Missing the roles that have not approved. An image that is at the
	// target as it should be needs none, and is not asked about.
	Approvals []attest.Evidence `json:"approvals"`
	Missing   []string          `json:"missing"`
}

// Tag is one tag at the target and what would happen to it.
type Tag struct {
	Name   string        `json:"name"`
	Class  version.Class `json:"class"`
	Action Action        `json:"action"`
	Reason string        `json:"reason"`
}

// Err returns the refusals as one fault with [fault.Refused], or nil when there are none.
func (p Plan) Err() error {
	var errs []error
	for _, r := range p.Refusals {
		errs = append(errs, fault.New(fault.Refused, r.Subject, r.Next, "%s", r.Reason))
	}
	return fault.Join(errs...)
}

// Text writes the plan for people. Refusals are not part of it: they are the error that [Plan.Err] returns.
func (p Plan) Text(w io.Writer) error {
	if _, err := fmt.Fprintf(w, "%s\n\n", p.headline()); err != nil {
		return err
	}
	images := &report.Table{Head: []string{"COMPONENT", "VERSION", "COMMIT", "DIGEST", "FROM", "TO", "REASON"}}
	tags := &report.Table{Head: []string{"COMPONENT", "TAG", "CLASS", "ACTION", "REASON"}}
	approvals := &report.Table{Head: []string{"COMPONENT", "ROLE", "APPROVAL"}}
	for _, x := range p.Images {
		from := x.Source
		if x.SourceTag != "" {
			from += ":" + x.SourceTag
		}
		images.Add(x.Component, x.Version, facts.Short(x.Commit), guard.Short(x.Digest), from, x.Repository, x.Reason)
		for _, t := range x.Tags {
			tags.Add(x.Component, t.Name, string(t.Class), string(t.Action), t.Reason)
		}
		for _, a := range x.Approvals {
			approvals.Add(x.Component, a.Role, "by "+a.By)
		}
		for _, role := range x.Missing {
			approvals.Add(x.Component, role, "missing")
		}
	}
	if c := p.Chart; c != nil {
		name := c.Name + " (chart)"
		images.Add(name, c.Version, facts.Short(c.Commit), guard.Short(c.Digest), c.Source+":"+c.Tag.Name,
			c.Repository, c.Reason)
		tags.Add(name, c.Tag.Name, string(c.Tag.Class), string(c.Tag.Action), c.Tag.Reason)
	}
	tables := []*report.Table{images, tags}
	if len(approvals.Rows) > 0 {
		tables = append(tables, approvals)
	}
	return report.Tables(w, tables...)
}

func (p Plan) headline() string {
	if p.Rollback {
		return fmt.Sprintf("rollback of %s on %s", p.Environment, p.Registry)
	}
	return fmt.Sprintf("promotion from %s to %s on %s", p.From, p.Environment, p.Registry)
}

// Changes lists what differs from another plan of the same kind, for a saved plan that is to be applied exactly.
func (p Plan) Changes(now Plan) plan.Changes {
	var out plan.Changes
	out.Differ("the source", p.From, now.From)
	out.Differ("the registry", p.Registry, now.Registry)
	if len(p.Images) != len(now.Images) {
		return append(out, fmt.Sprintf("there were %d images and are now %d", len(p.Images), len(now.Images)))
	}
	for i, was := range p.Images {
		is := now.Images[i]
		out.Differ("the component", was.Component, is.Component)
		out.Differ("the image of "+was.Component, was.Digest, is.Digest)
		out.Differ("the repository of "+was.Component, was.Repository, is.Repository)
		out.Differ("the tags of "+was.Component, tagList(was.Tags), tagList(is.Tags))
	}
	out.Differ("the chart", p.Chart.ref(), now.Chart.ref())
	return out
}

// tagList writes tags with what happens to them. What is unchanged by now was set by an earlier run of the same plan.
func tagList(tags []Tag) string {
	var out []string
	for _, t := range tags {
		out = append(out, t.Name)
	}
	return strings.Join(out, ", ")
}
