// Command sidecar stands beside a function: it copies the lines of the function's log files to its own output as JSON
// and ends when the function leaves a termination message.
package main

import (
	"context"
	"os"

	"github.com/berth-sh/berth/examples/knative-lambda/internal/service"
)

// Set by the linker.
var version, commit string

func main() {
	world := service.World{Args: os.Args[1:], Lookup: os.LookupEnv, Stdout: os.Stdout, Stderr: os.Stderr}
	os.Exit(program(version, commit, os.Stdout).Run(context.Background(), world))
}
