package status

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/berth-sh/berth/pipelines/facts"
	"github.com/berth-sh/berth/pipelines/guard"
	"github.com/berth-sh/berth/pipelines/report"
)

// Board is what is where. Its JSON form is a contract.
type Board struct {
	Project string `json:"project"`
	// At is when the registries were asked, in UTC.
	At time.Time `json:"at"`
	// Environments in the order in which images come to them.
	Environments []string `json:"environments"`
	Components   []Row    `json:"components"`
}

// Row is one component in all environments of the board.
type Row struct {
	Component string `json:"component"`
	Images    []Cell `json:"images"`
}

// Cell is a component in an environment.
type Cell struct {
	Environment string `json:"environment"`
	Repository  string `json:"repository"`
	// Tag by which the image was found, "" when there is none.
	Tag string `json:"tag"`
	// Version and Commit are what the image says of itself.
	Version string `json:"version"`
	Commit  string `json:"commit"`
	Digest  string `json:"digest"`
	// Created is the time of the commit, nil when the image does not say it.
	Created *time.Time `json:"createdAt,omitempty"`
	// Distance is nil where git does not know the commits.
	Distance *Distance `json:"distance,omitempty"`
	// Drift are the reasons for which this image is not what a reader would expect here.
	Drift []string `json:"drift"`
}

// Distance is how many commits an image is ahead of and behind another.
type Distance struct {
	// From is the environment that it is compared with, or "HEAD".
	From   string `json:"from"`
	Ahead  int    `json:"ahead"`
	Behind int    `json:"behind"`
}

// String writes the distance for people.
func (d Distance) String() string {
	var parts []string
	if d.Ahead > 0 {
		parts = append(parts, fmt.Sprintf("%d ahead of %s", d.Ahead, d.From))
	}
	if d.Behind > 0 {
		parts = append(parts, fmt.Sprintf("%d behind %s", d.Behind, d.From))
	}
	return strings.Join(parts, ", ")
}

// There tells whether the environment has an image of the component.
func (c Cell) There() bool { return c.Digest != "" }

// Name is the version, or where there is none what else tells the image apart.
func (c Cell) Name() string {
	switch {
	case !c.There():
		return "–"
	case c.Version == "":
		return guard.Short(c.Digest)
	default:
		return c.Version
	}
}

// ShortCommit cuts the commit for people.
func (c Cell) ShortCommit() string { return facts.Short(c.Commit) }

// ShortDigest cuts the digest for people.
func (c Cell) ShortDigest() string {
	if !c.There() {
		return ""
	}
	return guard.Short(c.Digest)
}

// Age is how old the image's commit is at a time, in words; "" when that is not known.
func (c Cell) Age(at time.Time) string {
	if c.Created == nil {
		return ""
	}
	d := at.Sub(*c.Created)
	switch {
	case d < 0:
		return "0m"
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	default:
		return fmt.Sprintf("%dd", int(d.Hours()/24))
	}
}

// Notes are drift and distance, the drift first.
func (c Cell) Notes() []string {
	out := slices.Clone(c.Drift)
	if c.Distance != nil && c.Distance.String() != "" {
		out = append(out, c.Distance.String())
	}
	return out
}

// Text writes one image a row.
func (b Board) Text(w io.Writer) error {
	t := &report.Table{Head: []string{"COMPONENT", "ENVIRONMENT", "VERSION", "TAG", "COMMIT", "DIGEST", "AGE", "NOTES"}}
	for _, row := range b.Components {
		for _, c := range row.Images {
			t.Add(row.Component, c.Environment, c.Name(), c.Tag, c.ShortCommit(), c.ShortDigest(), c.Age(b.At),
				strings.Join(c.Notes(), "; "))
		}
	}
	return t.Text(w)
}

// markDrift finds what differs within an environment: a component of another version than most, or none at all.
func (b *Board) markDrift() {
	for i, environment := range b.Environments {
		votes := map[string]int{}
		for _, row := range b.Components {
			if row.Images[i].There() {
				votes[row.Images[i].Name()]++
			}
		}
		most, alone := "", true
		for name, n := range votes {
			switch d := cmp.Compare(n, votes[most]); {
			case most == "" || d > 0:
				most, alone = name, true
			case d == 0:
				alone = false
			}
		}
		if !alone {
			continue // no version has more components than another
		}
		for k := range b.Components {
			c := &b.Components[k].Images[i]
			switch {
			case most != "" && !c.There():
				c.Drift = append(c.Drift, "missing")
			case c.There() && c.Name() != most:
				c.Drift = append(c.Drift, fmt.Sprintf("most of %s is %s", environment, most))
			}
		}
	}
}
