// Command berth puts container images in the right registry: it builds them from a commit, names them, publishes them
// and promotes them. `berth help` lists its verbs.
package main

import (
	"context"
	"os"
	"time"

	"github.com/berth-sh/berth/internal/cli"
)

func main() {
	ctx, stop := cli.WithSignals(context.Background())
	dir, err := os.Getwd()
	if err != nil {
		dir = "."
	}
	code := cli.Run(ctx, cli.Process{
		Args:    os.Args,
		Stdin:   os.Stdin,
		Stdout:  os.Stdout,
		Stderr:  os.Stderr,
		Environ: os.Environ(),
		Dir:     dir,
		Now:     time.Now,
	})
	stop()
	os.Exit(code)
}
