package approve

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/berth-sh/berth/pipelines/guard"
	"github.com/berth-sh/berth/pipelines/report"
)

// Receipt is the outcome of an approval, or of taking one back. Its JSON form is a contract.
type Receipt struct {
	From   string  `json:"from"`
	To     string  `json:"to"`
	Images []Given `json:"images"`
}

// Text writes the receipt for people.
func (r Receipt) Text(w io.Writer) error {
	t := &report.Table{Head: []string{"COMPONENT", "VERSION", "DIGEST", "ACTION", "ROLE", "BY", "UNTIL", "STILL MISSING"}}
	lacking := 0
	for _, x := range r.Images {
		until := "-"
		if !x.Expires.IsZero() {
			until = x.Expires.UTC().Format(time.DateOnly)
		}
		missing := strings.Join(x.Missing, ", ")
		if missing == "" {
			missing = "-"
		} else {
			lacking++
		}
		t.Add(x.Component, x.Version, guard.Short(x.Digest), string(x.Action), x.Role, x.By, until, missing)
	}
	if err := t.Text(w); err != nil {
		return err
	}
	last := "berth promote --to " + r.To
	if lacking > 0 {
		last = fmt.Sprintf("%s still waiting for other approvals", report.Plural(lacking, "image"))
	}
	_, err := fmt.Fprintf(w, "\n%s to %s; next: %s\n", r.From, r.To, last)
	return err
}

// List is what the approvals of images are worth, for one or several environments. Its JSON form is a contract.
type List struct {
	Images []Listed `json:"images"`
}

// Listed is one image and one environment that it may come to.
type Listed struct {
	Component  string `json:"component"`
	Repository string `json:"repository"`
	Digest     string `json:"digest"`
	Version    string `json:"version,omitempty"`
	Commit     string `json:"commit,omitempty"`
	From       string `json:"from"`
	To         string `json:"to"`
	Verdict
}

// Text writes the list for people.
func (l List) Text(w io.Writer) error {
	t := &report.Table{Head: []string{"COMPONENT", "VERSION", "DIGEST", "TO", "ROLE", "STATUS", "BY", "UNTIL", "REASON"}}
	for _, x := range l.Images {
		row := func(role string, status, by, until, reason string) {
			t.Add(x.Component, x.Version, guard.Short(x.Digest), x.To, role, status, by, until, reason)
		}
		for _, e := range x.Approvals {
			until := "-"
			if !e.Expires.IsZero() {
				until = e.Expires.UTC().Format(time.DateOnly)
			}
			row(orDash(e.Role), string(e.Status), orDash(e.By), until, e.Reason)
		}
		for _, m := range x.Missing {
			reason := "nobody has the role"
			if len(m.People) > 0 {
				reason = "could be given by " + strings.Join(m.People, " or ")
			}
			if m.CI {
				reason += ", or by the CI"
			}
			row(m.Role, "missing", "-", "-", reason)
		}
		if len(x.Approvals)+len(x.Missing) == 0 {
			row("-", "none needed", "-", "-", "")
		}
	}
	return t.Text(w)
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
