// Command metrics-pusher scrapes one target and pushes what it finds to a Prometheus remote write endpoint: for
// functions that live too short to be scraped from outside.
package main

import (
	"context"
	"os"

	"github.com/berth-sh/berth/examples/knative-lambda/metrics-pusher/internal/service"
)

// Set by the linker.
var version, commit string

func main() {
	world := service.World{Args: os.Args[1:], Lookup: os.LookupEnv, Stdout: os.Stdout, Stderr: os.Stderr}
	os.Exit(program(version, commit).Run(context.Background(), world))
}
