package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/berth-sh/berth/pipelines"
	"github.com/berth-sh/berth/pipelines/facts"
)

func versionCommand(a *app) *cobra.Command {
	return group("version", "Compute tags, bump the version and tag releases",
		tagsCommand(a), showVersionCommand(a), nextCommand(a), bumpCommand(a), gitTagCommand(a))
}

func tagsCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "tags",
		Short: "Print the image tags of this commit, the version tag first",
		Example: `  berth version tags
  GIT_BRANCH=develop berth version tags`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := a.open()
			if err != nil {
				return err
			}
			tags, err := p.Tags(cmd.Context(), a.flags.env)
			if err != nil {
				return err
			}
			return a.show(tags, func(w io.Writer) error {
				for _, t := range tags {
					if _, err := fmt.Fprintln(w, t.Name); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
}

func showVersionCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "show",
		Short:   "Print the version of this commit; as JSON also its commit, branch, git tag and pull request",
		Example: `  berth version show`,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := a.open()
			if err != nil {
				return err
			}
			v, err := p.Version(cmd.Context())
			if err != nil {
				return err
			}
			f, err := p.Facts(cmd.Context())
			if err != nil {
				return err
			}
			shown := map[string]string{
				"version": v.String(), "commit": f.Commit, "branch": f.Branch, "tag": f.Tag, "pullRequest": f.PullRequest,
			}
			return a.show(shown, func(w io.Writer) error {
				_, err := fmt.Fprintln(w, v)
				return err
			})
		},
	}
}

func nextCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "next",
		Short: "Propose the next version from the conventional commits since the last release",
		Long: `Propose the next version from the conventional commits since the last release.

A fix asks for a patch, a feature for a minor and a breaking change for a major version; while the major
version is 0, a breaking change asks for a minor one. The version is printed, the reasons go to standard error.`,
		Example: `  berth version next
  berth version bump next`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := a.open()
			if err != nil {
				return err
			}
			proposal, err := p.Next(cmd.Context())
			if err != nil {
				return err
			}
			return a.show(proposal, func(w io.Writer) error {
				for _, reason := range proposal.Reasons {
					if _, err := fmt.Fprintln(a.process.Stderr, reason); err != nil {
						return err
					}
				}
				_, err := fmt.Fprintln(w, proposal.Next)
				return err
			})
		},
	}
}

func bumpCommand(a *app) *cobra.Command {
	var o pipelines.ReleaseOptions
	cmd := &cobra.Command{
		Use:   "bump VERSION|major|minor|patch|next",
		Short: "Rewrite the version, commit it and make the release's git tag",
		Long: `Rewrite the version in the files of version.bump, comments and order kept, commit exactly these files, and
make the annotated git tag of the release on that commit.

Running it again changes nothing. --push pushes the branch and the tag together, or neither.`,
		Example: `  berth version bump 1.1.0
  berth version bump minor --push`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage(cmd, "name one version, or major, minor, patch or next")
			}
			return nil
		},
		ValidArgs: []string{"major", "minor", "patch", "next"},
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := a.open()
			if err != nil {
				return err
			}
			release, err := p.Bump(cmd.Context(), args[0], o)
			if err != nil {
				return err
			}
			return a.show(release, func(w io.Writer) error { return writeRelease(w, release) })
		},
	}
	releaseFlags(cmd, &o)
	return cmd
}

func gitTagCommand(a *app) *cobra.Command {
	var o pipelines.ReleaseOptions
	cmd := &cobra.Command{
		Use:   "tag",
		Short: "Make the release's git tag for the version that this commit holds",
		Example: `  berth version tag
  berth version tag --push`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := a.open()
			if err != nil {
				return err
			}
			release, err := p.Tag(cmd.Context(), o)
			if err != nil {
				return err
			}
			return a.show(release, func(w io.Writer) error { return writeRelease(w, release) })
		},
	}
	releaseFlags(cmd, &o)
	return cmd
}

func releaseFlags(cmd *cobra.Command, o *pipelines.ReleaseOptions) {
	cmd.Flags().BoolVar(&o.Push, "push", false, "push the branch and the git tag to origin")
	cmd.Flags().BoolVar(&o.DryRun, "dry-run", false, "check everything, change nothing, and show what would be done")
}

func writeRelease(w io.Writer, r pipelines.Release) error {
	var b strings.Builder
	if r.DryRun {
		fmt.Fprintf(&b, "would set %s → %s in %s and make git tag %s\n", r.Previous, r.Version, orNone(r.Files), r.Tag)
		_, err := io.WriteString(w, b.String())
		return err
	}
	switch {
	case len(r.Files) > 0:
		fmt.Fprintf(&b, "%s → %s in %s\n", r.Previous, r.Version, strings.Join(r.Files, ", "))
	case r.Previous != r.Version: // with version.file git
		fmt.Fprintf(&b, "%s → %s, by the git tag alone\n", r.Previous, r.Version)
	default:
		fmt.Fprintf(&b, "%s is the version already\n", r.Version)
	}
	state := "is there already"
	if r.Created {
		state = "created"
	}
	fmt.Fprintf(&b, "git tag %s %s on %s\n", r.Tag, state, facts.Short(r.Commit))
	if r.Pushed {
		b.WriteString("pushed to origin\n")
	} else {
		fmt.Fprintf(&b, "to push it: the same command with --push\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func orNone(files []string) string {
	if len(files) == 0 {
		return "no file"
	}
	return strings.Join(files, ", ")
}
