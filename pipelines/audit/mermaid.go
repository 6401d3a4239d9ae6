package audit

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/berth-sh/berth/pipelines/facts"
)

// Mermaid writes the trails as a flow chart of the environments that the images came to.
// Source of the syntax: https://mermaid.js.org/syntax/flowchart.html
func Mermaid(w io.Writer, trails []Trail) error {
	var b strings.Builder
	b.WriteString("flowchart LR\n")
	for i, t := range trails {
		t.mermaid(&b, fmt.Sprintf("i%d", i))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (t Trail) mermaid(b *strings.Builder, id string) {
	title := strings.TrimSpace(t.Component + " " + t.Version)
	if title == "" {
		title = t.Repository
	}
	fmt.Fprintf(b, "  subgraph %s[%s]\n", id, quote(title, t.Digest[:min(19, len(t.Digest))]))
	nodes := t.environments()
	fmt.Fprintf(b, "    %sb([%s])\n", id, quote("commit "+facts.Short(t.Commit)))
	for i, name := range nodes {
		fmt.Fprintf(b, "    %se%d[%s]\n", id, i, quote(name))
	}
	if len(nodes) > 0 {
		fmt.Fprintf(b, "    %sb --> %se0\n", id, id)
	}
	for _, e := range t.Events {
		from, to := slices.Index(nodes, e.From), slices.Index(nodes, e.To)
		switch e.Kind {
		case KindPromoted:
			fmt.Fprintf(b, "    %se%d -->|%s| %se%d\n", id, from, quote(e.label()...), id, to)
		case KindRolledBack:
			fmt.Fprintf(b, "    %se%d -.->|%s| %se%d\n", id, to, quote(append([]string{"rollback"}, e.label()...)...), id, to)
		}
	}
	b.WriteString("  end\n")
}

// environments are those of the promotions, in their order.
func (t Trail) environments() []string {
	var out []string
	for _, e := range t.Events {
		if e.Kind != KindPromoted && e.Kind != KindRolledBack {
			continue
		}
		for _, name := range []string{e.From, e.To} {
			if !slices.Contains(out, name) {
				out = append(out, name)
			}
		}
	}
	return out
}

// label is what an arrow says.
func (e Event) label() []string {
	out := []string{e.At.UTC().Format(time.DateOnly), string(e.Signature)}
	if e.SignedBy != "" {
		out[1] = "signed by " + e.SignedBy
	}
	for _, a := range e.Approvals {
		out = append(out, a.Role+": "+a.By)
	}
	return append(out, strings.Join(e.Tags, " "))
}

// quote writes lines as one label. What comes from a registry must not be able to end it.
func quote(lines ...string) string {
	escape := strings.NewReplacer(`"`, "#quot;", "<", "#lt;", ">", "#gt;", "\n", " ", "\r", " ", "#", "#35;", "`", "#96;")
	for i := range lines {
		lines[i] = escape.Replace(lines[i])
	}
	return `"` + strings.Join(lines, "<br/>") + `"`
}
