package cli

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/berth-sh/berth/pipelines"
	"github.com/berth-sh/berth/pipelines/cloud"
	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/registry"
)

// loggedIn is the result of a login. It has no secret.
type loggedIn struct {
	Host     string `json:"host"`
	Username string `json:"username"`
	// Source is where the password came from.
	Source string `json:"source"`
	// Config is the file of Docker's that has the login now, or names the store that has it; empty in a sandbox.
	Config string `json:"config"`
	// Expires is when the login ends, empty when that is not known.
	Expires string `json:"expires"`
}

func loginCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "login [REGISTRY | HOST]",
		Short: "Log in at a registry, for berth and Docker",
		Long: `Log in at a registry of berth.yaml, or at any host, and save the login in Docker's configuration: in the
credential store that it names, else in the file itself.

Without a name it is the registry of --env or of this git ref. Without --username the login is what the kind has
of its own: GITHUB_TOKEN, the job of GitLab CI, a service principal of Azure, the chains of AWS and Google. It is
tried before it is saved; a password comes by standard input only.`,
		Example: `  echo "$TOKEN" | berth registry login quay.io --username acme+ci --password-stdin
  berth registry login gcr.io --username _json_key --password-stdin <key.json
  berth registry login --env prd            # AWS's own chain, for 12 hours`,
		Args: oneRegistry,
		RunE: func(cmd *cobra.Command, args []string) error {
			result, err := a.login(cmd.Context(), args)
			if err != nil {
				return err
			}
			return a.show(result, result.text)
		},
	}
}

func logoutCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "logout [REGISTRY | HOST]",
		Short: "Remove a login from Docker's configuration",
		Long: `Remove the login of a registry from Docker's configuration, or from the credential store that it names.

Without a name it is the registry of --env or of this git ref. Variables such as GITHUB_TOKEN stay as they are.`,
		Example: `  berth registry logout quay.io`,
		Args:    oneRegistry,
		RunE: func(cmd *cobra.Command, args []string) error {
			host, _, err := a.hostOf(cmd.Context(), args)
			if err != nil {
				return err
			}
			logins := registry.NewLogins(a.lookup)
			removed, err := logins.Remove(cmd.Context(), host)
			if err != nil {
				return err
			}
			result := struct {
				Host    string `json:"host"`
				Removed bool   `json:"removed"`
			}{host, removed}
			return a.show(result, func(w io.Writer) error {
				text := "removed the login for %s from %s\n"
				if !removed {
					text = "there is no login for %s in %s\n"
				}
				_, err := fmt.Fprintf(w, text, host, logins.Path())
				return err
			})
		},
	}
}

func oneRegistry(cmd *cobra.Command, args []string) error {
	if len(args) > 1 {
		return usage(cmd, "%s takes one registry, but got %d", cmd.CommandPath(), len(args))
	}
	return nil
}

// hostOf is the host that a command line means: that of a registry of berth.yaml, a host as it is, or the one of the
// environment. Only a host needs no project; the pipeline is nil where there is none.
func (a *app) hostOf(ctx context.Context, args []string) (string, *pipelines.Pipeline, error) {
	p, err := a.open()
	if len(args) > 0 && registry.Host(args[0]) {
		return args[0], p, nil
	}
	if err != nil {
		return "", nil, err
	}
	name := ""
	if len(args) > 0 {
		name = args[0]
	} else {
		chosen, err := p.Choose(ctx, a.flags.env)
		if err != nil {
			return "", nil, err
		}
		name = chosen.Registry
	}
	r, ok := p.Config.Registries[name]
	if !ok {
		return "", nil, fault.New(fault.Usage, name, "name a registry of berth.yaml, or a host such as ghcr.io",
			"it is neither a registry of berth.yaml nor a host")
	}
	if err := p.Config.RequireSet("registries", name); err != nil {
		return "", nil, err
	}
	return r.Host(), p, nil
}

func (a *app) login(ctx context.Context, args []string) (loggedIn, error) {
	host, p, err := a.hostOf(ctx, args)
	if err != nil {
		return loggedIn{}, err
	}
	o := a.registryOptions()
	if p != nil {
		o = p.Configured(o)
	}
	sources := append(registry.OwnChains(a.lookup), cloud.NewECR(cloud.Options{}), cloud.NewGoogle(cloud.Options{}))
	if a.flags.sandbox {
		if p == nil {
			return loggedIn{}, fault.New(fault.Usage, "--sandbox", "call it in a project", "there is no project to keep it in")
		}
		box, err := a.openSandbox(p)
		if err != nil {
			return loggedIn{}, err
		}
		o.Transport, sources = box.Transport(), []registry.Source{pipelines.SandboxAccount(a.boxAccount)}
	}
	if a.flags.passwordStdin {
		password, err := a.password(ctx)
		if err != nil {
			return loggedIn{}, err
		}
		given := registry.Credential{Username: a.flags.username, Password: password, Source: "--password-stdin"}
		sources = []registry.Source{registry.Explicit{host: given}}
	}
	o.Credentials = registry.NewCredentials(sources...)
	client := registry.NewClient(o)
	cred, err := client.Login(ctx, host)
	if err != nil {
		return loggedIn{}, err
	}
	result := loggedIn{Host: host, Username: cred.Username, Source: cred.Source}
	if !cred.Expires.IsZero() {
		result.Expires = cred.Expires.UTC().Format(time.RFC3339)
	}
	if a.flags.sandbox {
		return result, nil
	}
	logins := registry.NewLogins(a.lookup)
	result.Config = logins.Path()
	return result, logins.Save(ctx, host, cred)
}

func (l loggedIn) text(w io.Writer) error {
	text := fmt.Sprintf("logged in at %s as %s (%s)\n", l.Host, l.Username, l.Source)
	if l.Config != "" {
		text += "saved in " + l.Config + ", or in the credential store that it names\n"
	} else {
		text += "nothing was saved: the sandbox is for berth alone\n"
	}
	if l.Expires != "" {
		text += "valid until " + l.Expires + "; log in again then\n"
	}
	_, err := io.WriteString(w, text)
	return err
}
