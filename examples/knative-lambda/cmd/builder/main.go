// Command builder takes CloudEvents that ask for the build of a function and answers with the image reference that the
// function's source leads to.
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
	os.Exit(program(version, commit).Run(context.Background(), world))
}
