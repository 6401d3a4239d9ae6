package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/berth-sh/berth/pipelines/config"
	"github.com/berth-sh/berth/pipelines/facts"
	"github.com/berth-sh/berth/pipelines/fault"
)

func initCommand(a *app) *cobra.Command {
	var force bool
	var prefix string
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Write a first berth.yaml: finds Go programs and Dockerfiles",
		Long: `Write a first berth.yaml for a repository: Go main packages and Dockerfiles become components, the registry
comes from the remote "origin". An existing file is kept unless --force is given.`,
		Example: `  berth init
  berth init --registry quay.io/acme`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			dir := a.process.Dir
			if a.flags.project != "" {
				dir = a.path(a.flags.project)
			}
			file := filepath.Join(dir, config.FileName)
			if a.flags.config != "" {
				file = a.path(a.flags.config)
			}
			return a.initialise(dir, file, prefix, force)
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "replace an existing file")
	cmd.Flags().StringVar(&prefix, "registry", "", "registry and owner, for example ghcr.io/acme")
	return cmd
}

func (a *app) initialise(dir, file, prefix string, force bool) error {
	if _, err := os.Stat(file); err == nil && !force {
		return fault.New(fault.Usage, file, "edit it, or replace it with --force", "the file exists already")
	}
	repository, err := facts.Open(dir)
	if err != nil {
		return err
	}
	source, err := repository.Source()
	if err != nil {
		return err
	}
	if prefix == "" {
		prefix = registryOf(source)
	}
	if prefix == "" {
		return fault.New(fault.Usage, "berth init", "name it: berth init --registry ghcr.io/OWNER",
			"the remote \"origin\" does not tell which registry to use")
	}
	text, err := config.Scaffold(os.DirFS(dir), config.ScaffoldOptions{
		Project: projectOf(source, dir), Prefix: prefix, Source: source,
	})
	if err != nil {
		return err
	}
	flag := os.O_WRONLY | os.O_CREATE | os.O_EXCL
	if force {
		flag = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	}
	f, err := os.OpenFile(file, flag, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return fault.New(fault.Usage, file, "edit it, or replace it with --force", "the file exists already")
	}
	if err != nil {
		return fault.New(fault.Usage, file, "", "cannot write it: %w", err)
	}
	if _, err := f.Write(text); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := f.Close(); err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.process.Stdout, "wrote %s; next: berth plan\n", file)
	return err
}

// projectOf names a project after its source repository, or else its folder.
func projectOf(source, dir string) string {
	if source != "" {
		return path.Base(source)
	}
	return filepath.Base(dir)
}

// registryOf guesses the registry of a source repository's host.
func registryOf(source string) string {
	rest, ok := strings.CutPrefix(source, "https://")
	if !ok {
		return ""
	}
	host, path, _ := strings.Cut(rest, "/")
	owner, _, _ := strings.Cut(path, "/")
	switch {
	case owner == "":
		return ""
	case host == "github.com":
		return "ghcr.io/" + strings.ToLower(owner)
	case host == "gitlab.com":
		return "registry.gitlab.com/" + strings.ToLower(path)
	default:
		return ""
	}
}
