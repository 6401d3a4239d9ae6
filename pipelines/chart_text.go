package pipelines

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/berth-sh/berth/pipelines/chart/wire"
	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/report"
)

// Text writes the findings for people.
func (l Linted) Text(w io.Writer) error {
	for _, m := range l.Messages {
		if _, err := fmt.Fprintf(w, "%s: %s: %s\n", m.Severity, m.Path, m.Text); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(w, "environment %s: %s\n", l.Environment, report.Plural(len(l.Messages), "finding"))
	return err
}

// Err is the failure of a chart with errors or warnings, nil for one without.
func (l Linted) Err() error {
	if slices.ContainsFunc(l.Messages, func(m wire.Message) bool { return m.Severity != "info" }) {
		return fault.New(fault.Failed, "chart", "correct what stands above", "the linter found problems")
	}
	return nil
}

// Text writes the deployment for people.
func (d Deployment) Text(w io.Writer) error {
	t := &report.Table{Head: []string{"IMAGE", "BY"}}
	for _, x := range d.Images {
		by := "tag"
		if strings.Contains(x, "@") {
			by = "digest"
		}
		t.Add(x, by)
	}
	if err := t.Text(w); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\n%s %s runs as release %s, revision %d, in namespace %s (environment %s)\n",
		d.Chart, d.Version, d.Release, d.Revision, d.Namespace, d.Environment)
	return err
}
