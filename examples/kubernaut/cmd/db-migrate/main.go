// Command db-migrate brings a database's schema forward: it prints the SQL of the migrations that are not applied yet,
// for psql to run, and keeps a record of their checksums. It refuses when an applied migration was changed afterwards.
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
	os.Exit(run(context.Background(), service.World{
		Args: os.Args[1:], Lookup: os.LookupEnv, Stdout: os.Stdout, Stderr: os.Stderr, Now: time.Now,
	}))
}
