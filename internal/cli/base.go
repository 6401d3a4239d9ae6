package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/berth-sh/berth/pipelines"
	"github.com/berth-sh/berth/pipelines/dockerfile"

	"github.com/berth-sh/berth/pipelines/report"
)

func baseCommand(a *app) *cobra.Command {
	return group("base", "List the images that components are built on, and bring their digests up to date",
		listBasesCommand(a), updateBasesCommand(a))
}

// listedBase is one line of `berth base list`.
type listedBase struct {
	Component   string `json:"component"`
	File        string `json:"file"`
	Line        int    `json:"line"`
	Instruction string `json:"instruction"`
	Image       string `json:"image"`
	Repository  string `json:"repository"`
	Tag         string `json:"tag"`
	Digest      string `json:"digest"`
}

func listBasesCommand(a *app) *cobra.Command {
	var components []string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the images that components are built on and copy from, with file and line",
		Example: `  berth base list
  berth base list --component web --format json`,
		Args: noArgs,
	}
	a.componentFlag(cmd, &components)
	cmd.RunE = func(*cobra.Command, []string) error {
		p, err := a.open()
		if err != nil {
			return err
		}
		bases, err := p.Bases(components)
		if err != nil {
			return err
		}
		listed := make([]listedBase, 0, len(bases))
		for _, b := range bases {
			listed = append(listed, listedBase{
				b.Component, b.File, b.Line, b.Instruction, b.Image, b.Repository, b.Tag, b.Digest,
			})
		}
		return a.show(listed, func(w io.Writer) error { return writeBases(w, bases) })
	}
	return cmd
}

func writeBases(w io.Writer, bases []dockerfile.Base) error {
	t := &report.Table{Head: []string{"COMPONENT", "PLACE", "INSTRUCTION", "IMAGE"}}
	for _, b := range bases {
		t.Add(b.Component, fmt.Sprintf("%s:%d", b.File, b.Line), b.Instruction, b.Image)
	}
	return t.Text(w)
}

func updateBasesCommand(a *app) *cobra.Command {
	var components []string
	var pin, write bool
	cmd := &cobra.Command{
		Use:   "update",
		Short: "Ask the registries for newer digests of base images",
		Long: `Ask the registries which digests the tags of base images have now, and propose what changed.

A base that is pinned as NAME:TAG@DIGEST gets the digest that TAG has now. --pin adds a digest to those that have none.
Nothing is changed without --write, which puts the digests where the old ones stand: in the instruction, in the ARG
that it is read from, or in berth.yaml. Every other byte of the files stays.`,
		Example: `  berth base update
  berth base update --write
  berth base update --component web --pin --write`,
		Args: noArgs,
	}
	a.componentFlag(cmd, &components)
	cmd.Flags().BoolVar(&pin, "pin", false, "also add digests to base images that have none")
	cmd.Flags().BoolVar(&write, "write", false, "write the digests into the Dockerfiles and berth.yaml")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		p, err := a.open()
		if err != nil {
			return err
		}
		if _, err := p.Bases(components); err != nil {
			return err
		}
		if err := a.reach(cmd.Context(), p); err != nil {
			return err
		}
		proposed, err := p.Rebases(cmd.Context(), components, pin, write)
		if err != nil {
			return err
		}
		return a.show(proposed, func(w io.Writer) error { return writeRebases(w, proposed, write) })
	}
	return cmd
}

func (a *app) componentFlag(cmd *cobra.Command, components *[]string) {
	cmd.Flags().StringSliceVar(components, "component", nil, "component, repeatable; default: all")
	a.complete(cmd, "component", func(p *pipelines.Pipeline) []string { return p.Config.ComponentNames() })
}

func writeRebases(w io.Writer, proposed []pipelines.Rebase, write bool) error {
	t := &report.Table{Head: []string{"PLACE", "IMAGE", "ACTION", "DIGEST"}}
	changes := 0
	for _, r := range proposed {
		image, _, _ := strings.Cut(r.Image, "@")
		digest := r.To
		switch r.Action {
		case pipelines.BaseSkip:
			digest = r.Reason
		case pipelines.BaseUpdate, pipelines.BasePin:
			changes++
		}
		t.Add(fmt.Sprintf("%s:%d", r.File, r.Line), image, r.Action, digest)
	}
	if err := t.Text(w); err != nil {
		return err
	}
	summary := "nothing to write"
	switch {
	case changes > 0 && write:
		summary = "written: " + report.Plural(changes, "digest")
	case changes > 0:
		summary = "to write " + report.Plural(changes, "digest") + ": the same command with --write"
	}
	_, err := fmt.Fprintf(w, "\n%s\n", summary)
	return err
}
