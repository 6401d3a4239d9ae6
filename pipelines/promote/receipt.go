package promote

import (
	"fmt"
	"io"
	"strings"

	"github.com/berth-sh/berth/pipelines/attest"
	"github.com/berth-sh/berth/pipelines/guard"
	"github.com/berth-sh/berth/pipelines/registry"
	"github.com/berth-sh/berth/pipelines/report"
)

// Receipt is the outcome of a promotion or rollback. Its JSON form is a contract.
type Receipt struct {
	From        string     `json:"from"`
	Environment string     `json:"environment"`
	Registry    string     `json:"registry"`
	Rollback    bool       `json:"rollback"`
	Images      []Promoted `json:"images"`
	// Chart is the one that came along; nil for none.
	Chart *PromotedChart `json:"chart,omitempty"`

	// Sandbox says that embedded registries took the images, for people.
	Sandbox bool `json:"-"`
}

// Promoted is one component that is at the target.
type Promoted struct {
	Component  string `json:"component"`
	Source     string `json:"source"`
	Repository string `json:"repository"`
	Digest     string `json:"digest"`
	Version    string `json:"version"`
	// Commit is empty when nothing changed, because the image was not read then.
	Commit    string            `json:"commit"`
	Tags      []guard.Tag       `json:"tags"`
	Approvals []attest.Evidence `json:"approvals"`
	// Record is the digest of the record that was attached, "" when nothing changed.
	Record   string            `json:"record"`
	Uploaded registry.Uploaded `json:"uploaded"`
}

func receipt(w *Work) Receipt {
	r := Receipt{
		From: w.Plan.From, Environment: w.Plan.Environment, Registry: w.Plan.Registry, Rollback: w.Plan.Rollback,
		Images: []Promoted{},
	}
	for i, j := range w.jobs {
		r.Images = append(r.Images, Promoted{
			Component: j.component, Source: j.source.String(), Repository: j.target.String(),
			Digest: j.picked.desc.Digest.String(), Version: j.version.String(), Commit: j.found.said.Revision,
			Tags: j.candidate.Tags, Approvals: w.Plan.Images[i].Approvals, Record: j.record, Uploaded: j.sent,
		})
	}
	r.Chart = w.chartReceipt()
	return r
}

// Text writes the receipt for people.
func (r Receipt) Text(w io.Writer) error {
	t := &report.Table{Head: []string{"COMPONENT", "TAG", "CLASS", "ACTION", "DIGEST", "REASON"}}
	var sum registry.Uploaded
	versions := []string{}
	for _, x := range r.Images {
		sum.Blobs += x.Uploaded.Blobs
		sum.Bytes += x.Uploaded.Bytes
		if len(versions) == 0 || versions[len(versions)-1] != x.Version {
			versions = append(versions, x.Version)
		}
		for _, tag := range x.Tags {
			digest := x.Digest
			if tag.Action == guard.ActionKept {
				digest = tag.Held
			}
			t.Add(x.Component, tag.Name, string(tag.Class), string(tag.Action), guard.Short(digest), tag.Reason)
		}
	}
	if c := r.Chart; c != nil {
		sum.Blobs += c.Uploaded.Blobs
		sum.Bytes += c.Uploaded.Bytes
		t.Add(c.Name+" (chart)", c.Tag.Name, string(c.Tag.Class), string(c.Tag.Action), guard.Short(c.Digest), c.Tag.Reason)
	}
	if err := t.Text(w); err != nil {
		return err
	}
	where := r.Registry
	if r.Sandbox {
		where += " (sandbox)"
	}
	what := fmt.Sprintf("promoted from %s to %s on %s", r.From, r.Environment, where)
	if r.Rollback {
		what = fmt.Sprintf("rolled back in %s on %s", r.Environment, where)
	}
	_, err := fmt.Fprintf(w, "\n%s %s %s: %s, %s uploaded\n", report.Plural(len(r.Images), "image"),
		strings.Join(versions, ", "), what, report.Plural(sum.Blobs, "blob"), report.Size(sum.Bytes))
	return err
}

// Markdown writes a summary for a CI's page.
func (r Receipt) Markdown(w io.Writer) error {
	t := &report.Table{Head: []string{"Image", "Version", "Tags", "Approved by", "Digest"}}
	for _, x := range r.Images {
		var tags, by []string
		for _, tag := range x.Tags {
			tags = append(tags, fmt.Sprintf("`%s` %s", tag.Name, tag.Action))
		}
		for _, a := range x.Approvals {
			by = append(by, a.By+" ("+a.Role+")")
		}
		t.Add("`"+x.Repository+"`", x.Version, strings.Join(tags, "<br>"), strings.Join(by, "<br>"), "`"+x.Digest+"`")
	}
	if c := r.Chart; c != nil {
		t.Add("`"+c.Repository+"`", c.Version, fmt.Sprintf("`%s` %s", c.Tag.Name, c.Tag.Action), "", "`"+c.Digest+"`")
	}
	head := "Promoted to " + r.Environment
	if r.Rollback {
		head = "Rolled back in " + r.Environment
	}
	if _, err := fmt.Fprintf(w, "### %s\n\n", head); err != nil {
		return err
	}
	return t.Markdown(w)
}
