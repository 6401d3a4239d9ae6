package publish

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/berth-sh/berth/pipelines/guard"
	"github.com/berth-sh/berth/pipelines/registry"
	"github.com/berth-sh/berth/pipelines/report"
)

// Action is what happened to a tag.
type Action = guard.Action

// The actions of a publish are those of the guard.
const (
	ActionCreated   = guard.ActionCreated
	ActionUnchanged = guard.ActionUnchanged
	ActionMoved     = guard.ActionMoved
	ActionKept      = guard.ActionKept
)

// Tag is one tag and what happened to it.
type Tag = guard.Tag

// Receipt is the outcome of a publish. Its JSON form is a contract.
type Receipt struct {
	Environment string  `json:"environment"`
	Registry    string  `json:"registry"`
	Commit      string  `json:"commit"`
	Version     string  `json:"version"`
	Images      []Image `json:"images"`

	// Sandbox says that embedded registries took the images, for people.
	Sandbox bool `json:"-"`
}

// Image is one published component.
type Image struct {
	Component  string            `json:"component"`
	Repository string            `json:"repository"`
	Digest     string            `json:"digest"`
	Platforms  []string          `json:"platforms"`
	Tags       []Tag             `json:"tags"`
	Uploaded   registry.Uploaded `json:"uploaded"`
	// Attached is what the builder said about the images of the platforms; none where it was not asked to.
	Attached []Attachment `json:"attached,omitempty"`
}

// Attachment is a referrer of a platform's image: provenance or an SBOM.
type Attachment struct {
	Platform      string `json:"platform"`
	PredicateType string `json:"predicateType"`
	// Digest of the referrer.
	Digest string `json:"digest"`
	// Action is created or, where the image had one of this type already, unchanged.
	Action Action `json:"action"`
}

// Table lists one tag a row.
func (r Receipt) Table() *report.Table {
	t := &report.Table{Head: []string{"COMPONENT", "TAG", "CLASS", "ACTION", "DIGEST", "REASON"}}
	for _, x := range r.Images {
		for _, tag := range x.Tags {
			digest := guard.Short(x.Digest)
			if tag.Action == ActionKept {
				digest = guard.Short(tag.Held)
			}
			t.Add(x.Component, tag.Name, string(tag.Class), string(tag.Action), digest, tag.Reason)
		}
	}
	return t
}

// Text writes the receipt for people.
func (r Receipt) Text(w io.Writer) error {
	if err := r.Table().Text(w); err != nil {
		return err
	}
	if err := r.writeAttached(w); err != nil {
		return err
	}
	sum := r.Uploaded()
	where := r.Registry
	if r.Sandbox {
		where += " (sandbox)"
	}
	_, err := fmt.Fprintf(w, "\n%s %s published to %s on %s: %s, %s, %s uploaded\n",
		report.Plural(len(r.Images), "image"), r.Version, r.Environment, where,
		report.Plural(sum.Blobs, "blob"), report.Size(sum.Bytes), report.Plural(sum.Manifests, "manifest"))
	return err
}

// writeAttached says what the images have been accompanied by.
func (r Receipt) writeAttached(w io.Writer) error {
	for _, x := range r.Images {
		var types []string
		for _, a := range x.Attached {
			if a.Action == ActionCreated && !slices.Contains(types, a.PredicateType) {
				types = append(types, a.PredicateType)
			}
		}
		if len(types) == 0 {
			continue
		}
		if _, err := fmt.Fprintf(w, "attached to %s: %s\n", x.Component, strings.Join(types, ", ")); err != nil {
			return err
		}
	}
	return nil
}

// Uploaded adds up what was sent for all images.
func (r Receipt) Uploaded() registry.Uploaded {
	var sum registry.Uploaded
	for _, x := range r.Images {
		sum.Blobs += x.Uploaded.Blobs
		sum.Bytes += x.Uploaded.Bytes
		sum.Manifests += x.Uploaded.Manifests
	}
	return sum
}

// Markdown writes a summary for a CI's page.
func (r Receipt) Markdown(w io.Writer) error {
	t := &report.Table{Head: []string{"Image", "Tags", "Platforms", "Digest"}}
	for _, x := range r.Images {
		var tags []string
		for _, tag := range x.Tags {
			tags = append(tags, fmt.Sprintf("`%s` %s", tag.Name, tag.Action))
		}
		t.Add("`"+x.Repository+"`", strings.Join(tags, "<br>"), strings.Join(x.Platforms, "<br>"), "`"+x.Digest+"`")
	}
	_, err := fmt.Fprintf(w, "### Published %s to %s\n\nCommit `%s`\n\n", r.Version, r.Environment, r.Commit)
	if err != nil {
		return err
	}
	return t.Markdown(w)
}
