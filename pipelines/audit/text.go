package audit

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/berth-sh/berth/pipelines/facts"
	"github.com/berth-sh/berth/pipelines/guard"
	"github.com/berth-sh/berth/pipelines/report"
)

func decode(raw []byte, into any) error { return json.Unmarshal(raw, into) }

// when writes a time for people: UTC, to the second.
func when(t time.Time) string {
	if t.IsZero() {
		return "unknown"
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}

// Text writes the trail for people.
func (t Trail) Text(w io.Writer) error {
	if _, err := fmt.Fprintln(w, t.headline()); err != nil {
		return err
	}
	table := &report.Table{Head: []string{"WHEN", "WHAT", "ENVIRONMENT", "WHO", "SIGNATURE", "DETAIL"}}
	for _, e := range t.Events {
		table.Add(when(e.At), string(e.Kind), orDash(e.way()), orDash(e.who()), orDash(string(e.Signature)), e.detail())
	}
	return table.Text(w)
}

func (t Trail) headline() string {
	out := t.Repository + "@" + t.Digest
	if t.Component != "" {
		out = strings.TrimSpace(t.Component+" "+t.Version) + "\n" + out
	}
	var more []string
	if t.Commit != "" {
		more = append(more, "commit "+facts.Short(t.Commit))
	}
	if len(t.Platforms) > 0 {
		more = append(more, "platforms "+strings.Join(t.Platforms, " "))
	}
	if len(t.Tags) > 0 {
		more = append(more, "tags "+strings.Join(t.Tags, " "))
	}
	return out + "\n" + strings.Join(more, ", ") + "\n"
}

// way is where it happened: from → to, or one environment.
func (e Event) way() string {
	if e.From == "" || e.From == e.To {
		return e.To
	}
	return e.From + " → " + e.To
}

func (e Event) who() string {
	who := e.By
	if e.SignedBy != "" {
		who = e.SignedBy
	}
	if e.Role != "" {
		who += " (" + e.Role + ")"
	}
	if e.CI != nil {
		who = strings.TrimSpace(who + " in " + e.CI.System)
	}
	return who
}

func (e Event) detail() string {
	var parts []string
	switch e.Kind {
	case KindBuilt:
		return e.Comment
	case KindUnreadable:
		return e.Problem
	case KindApproved:
		parts = append(parts, "until "+e.Expires.UTC().Format(time.DateOnly))
	case KindRevoked:
		parts = append(parts, "takes back "+report.Plural(len(e.Revokes), "approval"))
	case KindPromoted, KindRolledBack:
		parts = append(parts, "tags "+strings.Join(e.Tags, " "))
		for _, a := range e.Approvals {
			parts = append(parts, a.Role+" by "+a.By)
		}
		if e.CI != nil && e.CI.URL != "" {
			parts = append(parts, e.CI.URL)
		}
	}
	if e.Chart != nil {
		parts = append(parts, "chart "+strings.TrimSpace(e.Chart.Version+" "+guard.Short(e.Chart.Digest)))
	}
	if e.Comment != "" {
		parts = append(parts, e.Comment)
	}
	return strings.Join(parts, "; ")
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// Text writes the verification for people.
func (v Verification) Text(w io.Writer) error {
	where := ""
	if v.Environment != "" {
		where = " in " + v.Environment
	}
	if _, err := fmt.Fprintf(w, "%s%s\n\n", Image{Name: v.Repository, Ref: v.Ref}.subject(), where); err != nil {
		return err
	}
	table := &report.Table{Head: []string{"CHECK", "HOLDS", "DETAIL"}}
	for _, c := range v.Checks {
		holds := "yes"
		if !c.Holds {
			holds = "NO"
		}
		table.Add(c.Name, holds, c.Detail)
	}
	return table.Text(w)
}
