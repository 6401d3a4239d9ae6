package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/berth-sh/berth/pipelines/fault"
)

// Process is what a command line gets from its operating system.
type Process struct {
	// Args as in os.Args, the program's name first.
	Args    []string
	Stdin   io.Reader
	Stdout  io.Writer
	Stderr  io.Writer
	Environ []string
	// Dir is the working directory.
	Dir string
	// Now is the clock.
	Now func() time.Time
}

// Run executes a command line and returns the exit code of the contract in package fault.
func Run(ctx context.Context, p Process) int {
	a := newApp(p)
	root := newRoot(a) //nolint:contextcheck // cobra hands the context to each command
	root.SetArgs(p.Args[1:])
	strictHelp(root)
	err := root.ExecuteContext(ctx)
	a.close()
	if err == nil {
		return int(fault.Done)
	}
	code := fault.CodeOf(err)
	if by, ok := stopped(ctx); ok {
		code = by // also where a program that was stopped along failed in its own way
	}
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		p.printStopped()
		return int(code)
	}
	printError(p.Stderr, err)
	return int(code)
}

// printError writes the failure and, indented below it, the next step.
func printError(w io.Writer, err error) {
	_, _ = fmt.Fprintf(w, "error: %s\n", strings.ReplaceAll(strings.TrimSpace(err.Error()), "\n", "\n  "))
	if next := fault.NextOf(err); next != "" {
		_, _ = fmt.Fprintf(w, "  next: %s\n", strings.ReplaceAll(next, "\n", "\n        "))
	}
}

// Command returns the tree of commands for the generated reference.
func Command() *cobra.Command { return newRoot(newApp(Process{Args: []string{"berth"}})) }

func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "berth",
		Short: "Put every container image in its right registry",
		Long: `berth puts every container image in its right registry.

It builds the components of berth.yaml for every platform, computes version and tags from git, picks the
registry by environment and publishes: all images first, then the tags. The same commit gives the same
digests on every machine.`,
		Example: `  berth plan --env dev               what would happen, and why
  berth publish --env dev            build, push and tag
  berth publish --env dev --sandbox  the same into registries embedded in berth
  berth version tags                 the tags of this commit`,
		Version:           buildVersion(),
		SilenceErrors:     true,
		SilenceUsage:      true,
		DisableAutoGenTag: true,
		Args:              noArgs,
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetIn(a.process.Stdin)
	root.SetOut(a.process.Stdout)
	root.SetErr(a.process.Stderr)
	root.SetVersionTemplate("berth {{.Version}}\n")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return usage(cmd, "%w", err) })
	root.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveNoFileComp)
	a.globalFlags(root)
	root.AddCommand(
		planCommand(a), buildCommand(a), publishCommand(a), promoteCommand(a), statusCommand(a),
		registryCommand(a), versionCommand(a),
		sandboxCommand(a), demoCommand(a), rehearseCommand(a), configCommand(a), initCommand(a),
		baseCommand(a), keyCommand(a), retentionCommand(a),
		chartCommand(a),
		approveCommand(a), approvalsCommand(a), auditCommand(a), verifyCommand(a),
		pullSecretCommand(a),
	)
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error { return a.checkFlags(cmd) }
	return root
}

// usage is a wrong command line.
func usage(cmd *cobra.Command, format string, args ...any) error {
	return fault.New(fault.Usage, "", "see "+cmd.CommandPath()+" --help", format, args...)
}

func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if cmd.HasSubCommands() {
		next := "see " + cmd.CommandPath() + " --help"
		cmd.SuggestionsMinimumDistance = 2 // cobra's own default, which it sets too late for SuggestionsFor
		if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
			next = "did you mean " + cmd.CommandPath() + " " + near[0] + "?"
		}
		return fault.New(fault.Usage, "", next, "there is no command %q", strings.TrimSpace(cmd.CommandPath()+" "+args[0]))
	}
	return usage(cmd, "%s takes no argument, but got %q", cmd.CommandPath(), args[0])
}

// strictHelp makes the two verbs that cobra adds fail on what does not exist, as all others do: by themselves they
// show a help text and end with 0.
func strictHelp(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		switch cmd.Name() {
		case "help":
			cmd.Args = func(_ *cobra.Command, args []string) error {
				topic, rest, err := root.Find(args)
				if err != nil {
					return usage(root, "%w", err)
				}
				if len(rest) == 0 {
					return nil
				}
				return noArgs(topic, rest)
			}
		case "completion":
			cmd.Args = noArgs
			cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
			for _, shell := range cmd.Commands() {
				shell.Args = noArgs
			}
		}
	}
}

// group is a command that only holds others.
func group(name, short string, commands ...*cobra.Command) *cobra.Command {
	g := &cobra.Command{
		Use:   name,
		Short: short,
		Args:  noArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	g.AddCommand(commands...)
	return g
}
