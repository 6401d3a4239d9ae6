package pipelines

import (
	"bytes"
	"fmt"
	"io"
	"strconv"

	"github.com/berth-sh/berth/pipelines/report"
	"github.com/berth-sh/berth/pipelines/retention"
)

// Text writes the verdicts for people.
func (r Retention) Text(w io.Writer) error {
	var text bytes.Buffer
	created := false
	var warnings []string
	for _, repository := range r.Repositories {
		t := &report.Table{Head: []string{"TAG", "VERDICT", "DAYS", "RULE", "REASON"}}
		expired := 0
		for _, v := range repository.Tags {
			created = created || v.AgeFrom == "created"
			if v.Action == retention.Expire {
				expired++
			}
			if v.Warning != "" {
				warnings = append(warnings, repository.Repository+":"+v.Tag+": "+v.Warning)
			}
			t.Add(v.Tag, string(v.Action), days(v), v.Rule, v.Reason)
		}
		fmt.Fprintf(&text, "%s: %d tags, %d expired\n", repository.Repository, len(repository.Tags), expired)
		if len(repository.Tags) > 0 {
			if err := t.Text(&text); err != nil {
				return err
			}
		}
	}
	if created {
		fmt.Fprintln(&text, "* since the image was created: the registry does not tell when it was pushed")
	}
	for _, warning := range warnings {
		fmt.Fprintln(&text, "warning: "+warning)
	}
	_, err := text.WriteTo(w)
	return err
}

func days(v retention.Verdict) string {
	switch {
	case v.Days < 0:
		return "?"
	case v.AgeFrom == "created":
		return strconv.Itoa(v.Days) + "*"
	default:
		return strconv.Itoa(v.Days)
	}
}

// Text writes for people what was deleted, and what could not be.
func (r Retained) Text(w io.Writer) error {
	var left bytes.Buffer
	t := &report.Table{Head: []string{"REPOSITORY", "TAGS DELETED", "MANIFESTS", "LEFT"}}
	for _, x := range r.Repositories {
		t.Add(x.Repository, strconv.Itoa(len(x.Deleted)), strconv.Itoa(x.Manifests), strconv.Itoa(len(x.Left)))
		for _, l := range x.Left {
			fmt.Fprintf(&left, "left: %s:%s: %s\n", x.Repository, l.Tag, l.Reason)
		}
	}
	if err := t.Text(w); err != nil {
		return err
	}
	_, err := left.WriteTo(w)
	return err
}
