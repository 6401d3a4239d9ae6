package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/berth-sh/berth/pipelines"
	"github.com/berth-sh/berth/pipelines/cache"
	"github.com/berth-sh/berth/pipelines/cloud"
	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/plan"
	"github.com/berth-sh/berth/pipelines/registry"
	"github.com/berth-sh/berth/pipelines/report"
	"github.com/berth-sh/berth/pipelines/sandbox"
)

// app is one run of the command line: the process it runs in, the global flags, and what must be closed at the end.
type app struct {
	process Process
	flags   flags
	closers []func()
	// box is the folder of the sandbox below .berth, and boxAccount who berth is there.
	box, boxAccount string
	// tracing keeps the lines of --debug apart.
	tracing sync.Mutex
}

// flags are those that every verb takes.
type flags struct {
	env, project, repo, config string
	format                     string
	quiet, sandbox, debug      bool
	username                   string
	passwordStdin              bool
	builder, goImage           string
	// outputs are the files and folders that this command line names for reading or writing images and plans.
	outputs []string
}

const (
	formatTable = "table"
	formatJSON  = "json"
)

func newApp(p Process) *app { return &app{process: p, box: "sandbox", boxAccount: sandbox.Username} }

func (a *app) close() {
	for _, c := range slices.Backward(a.closers) {
		c()
	}
	a.closers = nil
}

func (a *app) globalFlags(root *cobra.Command) {
	f := root.PersistentFlags()
	f.StringVar(&a.flags.env, "env", "", "environment of berth.yaml; default: the one whose refs match best")
	f.StringVar(&a.flags.project, "project", "", "folder with berth.yaml; default: the nearest one upwards")
	f.StringVar(&a.flags.repo, "repo", "", "folder of the git repository; default: the one that holds the project")
	f.StringVar(&a.flags.config, "config", "", "configuration file; default: berth.yaml in the project")
	f.StringVar(&a.flags.format, "format", formatTable, "output format: table or json")
	f.BoolVarP(&a.flags.quiet, "quiet", "q", false, "no progress")
	f.BoolVar(&a.flags.debug, "debug", false, "write each request to a registry to standard error, without secrets")
	f.BoolVar(&a.flags.sandbox, "sandbox", false, "answer every registry from embedded ones (state in .berth/sandbox)")
	f.StringVar(&a.flags.username, "username", "", "user name at the registry, with --password-stdin")
	f.BoolVar(&a.flags.passwordStdin, "password-stdin", false, "read the registry's password or token from standard input")
	a.complete(root, "env", func(p *pipelines.Pipeline) []string { return p.Config.EnvironmentNames() })
	_ = root.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{formatTable, formatJSON},
		cobra.ShellCompDirectiveNoFileComp))
}

// complete offers values of the configuration to the shell. An error offers nothing, as a shell has no place for it.
func (a *app) complete(cmd *cobra.Command, flag string, values func(*pipelines.Pipeline) []string) {
	_ = cmd.RegisterFlagCompletionFunc(flag,
		func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			p, err := a.open()
			if err != nil {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return values(p), cobra.ShellCompDirectiveNoFileComp
		})
}

func (a *app) checkFlags(cmd *cobra.Command) error {
	switch {
	case !slices.Contains(formats(cmd), a.flags.format):
		return usage(cmd, "--format %q is none of %s", a.flags.format, strings.Join(formats(cmd), ", "))
	case a.flags.passwordStdin && a.flags.username == "":
		return usage(cmd, "--password-stdin needs --username")
	case !a.knownBuilder():
		return usage(cmd, "--builder %q is none of %s", a.flags.builder, strings.Join(builders(), ", "))
	case a.flags.goImage != "" && a.flags.builder != builderDagger:
		return usage(cmd, "--go-image is for --builder dagger")
	case a.flags.username != "" && !a.flags.passwordStdin:
		return usage(cmd, "--username needs --password-stdin")
	}
	for _, name := range []string{"output", "from", "plan", "plan-out"} {
		if f := cmd.Flags().Lookup(name); f != nil && f.Value.String() != "" {
			a.flags.outputs = append(a.flags.outputs, f.Value.String())
		}
	}
	// A flag that is given from an unset variable must not mean that it was not given.
	var empty error
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if v := f.Value.String(); empty == nil && (v == "" || v == "[]") {
			empty = usage(cmd, "--%s is empty", f.Name)
		}
	})
	return empty
}

func (a *app) lookup(name string) (string, bool) {
	// The last one wins, as in the operating system's own lookup.
	for _, kv := range slices.Backward(a.process.Environ) {
		if k, v, ok := strings.Cut(kv, "="); ok && k == name {
			return v, true
		}
	}
	return "", false
}

// options are those of a pipeline without credentials.
func (a *app) options() pipelines.Options {
	executable, _ := os.Executable() // without it, only PATH and the project are searched for berth-helm
	return pipelines.Options{
		Executable: executable,
		Project:    a.flags.project,
		Config:     a.flags.config,
		Repo:       a.flags.repo,
		Outputs:    a.flags.outputs,
		Dir:        a.process.Dir,
		Lookup:     a.lookup,
		Environ:    a.process.Environ,
		Now:        a.process.Now,
		Registry:   a.registryOptions(),
	}
}

// open opens the project for verbs that ask no registry.
func (a *app) open() (*pipelines.Pipeline, error) {
	return pipelines.Open(a.options())
}

// openBuilding opens the project for verbs that build, and show it.
func (a *app) openBuilding() (*pipelines.Pipeline, error) {
	o := a.options()
	o.Progress, o.Warn = a.screen()
	a.build(&o)
	var err error
	if o.Cache, err = cache.Folder(a.lookup); err != nil {
		return nil, err
	}
	return pipelines.Open(o)
}

// reach lets the pipeline talk to registries, or to the sandbox. It comes after what can be refused without: a password
// is read here, and the sandbox's state made.
func (a *app) reach(ctx context.Context, p *pipelines.Pipeline) error {
	explicit, err := a.explicit(ctx, p)
	if err != nil {
		return err
	}
	o := a.registryOptions()
	ecr := cloud.NewECR(cloud.Options{})
	sources := a.sources(explicit, ecr)
	p.Manage(ecr)
	if a.flags.sandbox {
		box, err := a.openSandbox(p)
		if err != nil {
			return err
		}
		o.Transport = box.Transport()
		p.Manage(pipelines.SandboxRepositories(box))
		// Real secrets have no business in a sandbox: its own account stands in unless one was given.
		sources = []registry.Source{explicit, pipelines.SandboxAccount(a.boxAccount)}
	}
	o.Credentials = registry.NewCredentials(sources...)
	p.Reach(o)
	return nil
}

// sources are all that may know a login, in berth's order.
func (a *app) sources(explicit registry.Explicit, ecr *cloud.ECR) []registry.Source {
	return append(registry.DefaultSources(explicit, a.lookup), ecr, cloud.NewGoogle(cloud.Options{}))
}

// registryOptions reach registries anonymously.
func (a *app) registryOptions() registry.Options {
	o := registry.Options{UserAgent: "berth/" + buildVersion()}
	if a.flags.debug {
		o.Trace = a.trace
	}
	return o
}

// trace writes a request to standard error.
func (a *app) trace(x registry.Exchange) {
	outcome := fmt.Sprint(x.Status)
	if x.Err != nil {
		outcome = x.Err.Error()
	}
	a.tracing.Lock()
	defer a.tracing.Unlock()
	_, _ = fmt.Fprintf(a.process.Stderr, "debug: %4d ms  %s %s: %s\n", x.Took.Milliseconds(), x.Method, x.URL, outcome)
}

// openSandbox opens the embedded registries of a project.
func (a *app) openSandbox(p *pipelines.Pipeline) (*sandbox.Sandbox, error) {
	box, err := p.Sandbox(filepath.Join(p.Project, ".berth", a.box))
	if err != nil {
		return nil, err
	}
	a.closers = append(a.closers, func() { _ = box.Close() })
	return box, nil
}

// explicit reads --password-stdin. The password is for the registry of the chosen environment and for no other.
func (a *app) explicit(ctx context.Context, p *pipelines.Pipeline) (registry.Explicit, error) {
	if !a.flags.passwordStdin {
		return registry.Explicit{}, nil
	}
	chosen, err := p.Choose(ctx, a.flags.env)
	if err != nil {
		return nil, err
	}
	password, err := a.password(ctx)
	if err != nil {
		return nil, err
	}
	if err := plan.RequireSet(p.Config, chosen); err != nil {
		return nil, err
	}
	host := p.Config.Registries[chosen.Registry].Host()
	return registry.Explicit{host: {Username: a.flags.username, Password: password, Source: "--password-stdin"}}, nil
}

// maxPassword is more than any password, token or key has, in bytes.
const maxPassword = 1 << 20

// password reads --password-stdin to its end, as a key of Google's is a file of many lines.
func (a *app) password(ctx context.Context) (string, error) {
	type input struct {
		text []byte
		err  error
	}
	got := make(chan input, 1)
	// A terminal may never end its input, and Ctrl-C must.
	go func() {
		text, err := io.ReadAll(io.LimitReader(a.process.Stdin, maxPassword))
		got <- input{text, err}
	}()
	var in input
	select {
	case in = <-got:
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
	if in.err != nil {
		return "", fault.New(fault.Usage, "--password-stdin", "", "cannot read standard input: %w", in.err)
	}
	password := strings.TrimRight(string(in.text), "\r\n")
	if password == "" {
		return "", fault.New(fault.Usage, "--password-stdin", "echo $TOKEN | berth … --username NAME --password-stdin",
			"standard input is empty")
	}
	return password, nil
}

// screen shows progress on standard error: one living line on a terminal, plain lines elsewhere, nothing with --quiet
// or JSON.
func (a *app) screen() (report.Progress, func(string)) {
	warn := func(text string) { _, _ = fmt.Fprintln(a.process.Stderr, "warning: "+text) }
	if a.flags.quiet || a.flags.format == formatJSON {
		return nil, warn
	}
	file, ok := a.process.Stderr.(*os.File)
	if !ok || a.flags.debug || !term.IsTerminal(int(file.Fd())) {
		return report.Lines(a.process.Stderr, a.process.Now), warn
	}
	progress, wipe := report.Live(a.process.Stderr, a.process.Now)
	a.closers = append(a.closers, wipe)
	return progress, func(text string) {
		wipe()
		warn(text)
	}
}

// show writes a result: JSON, or what table writes.
func (a *app) show(v any, table func(io.Writer) error) error {
	a.close()
	if a.flags.format == formatJSON {
		return report.JSON(a.process.Stdout, v)
	}
	return table(a.process.Stdout)
}

// buildVersion is the version that the Go toolchain recorded, "devel" for a build from a checkout.
func buildVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" || info.Main.Version == "(devel)" {
		return "devel"
	}
	return strings.TrimPrefix(info.Main.Version, "v")
}
