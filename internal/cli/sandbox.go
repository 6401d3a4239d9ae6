package cli

import (
	"fmt"

	"github.com/spf13/cobra"
)

// defaultSandboxAddress is away from 5000, which registries and macOS use.
const defaultSandboxAddress = "127.0.0.1:5005"

func sandboxCommand(a *app) *cobra.Command {
	var addr string
	serve := &cobra.Command{
		Use:   "serve",
		Short: "Show what was published with --sandbox to docker, crane and skopeo",
		Long: `Serve the registries of the sandbox on loopback, for reading, without login, until interrupted.

An image of ghcr.io/acme/web stands at localhost:PORT/ghcr.io/acme/web. What is published with --sandbox
meanwhile shows up at once.`,
		Example: `  berth sandbox serve
  berth sandbox serve --addr 127.0.0.1:6000
  crane ls localhost:5005/ghcr.io/brunovlucena/knative-lambda-builder`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := a.open()
			if err != nil {
				return err
			}
			box, err := a.openSandbox(p)
			if err != nil {
				return err
			}
			return box.Serve(cmd.Context(), addr, func(listening string) {
				_, _ = fmt.Fprintf(a.process.Stdout, "serving the sandbox at http://%s (read-only; stop with Ctrl-C)\n", listening)
			})
		},
	}
	serve.Flags().StringVar(&addr, "addr", defaultSandboxAddress, "loopback address and port; port 0 picks a free one")
	return group("sandbox", "Look into the embedded registries", serve)
}
