// Command remediationorchestrator leads each remediation through its phases.
package main

import (
	"context"
	"os"
	"time"

	"github.com/berth-sh/berth/examples/kubernaut/internal/service"
)

// Set by the linker.
var version, commit string

func main() {
	os.Exit(program().Run(context.Background(), service.World{
		Args: os.Args[1:], Lookup: os.LookupEnv, Stdout: os.Stdout, Stderr: os.Stderr, Now: time.Now,
	}))
}
