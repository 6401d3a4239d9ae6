// Package acceptance is the specification of the command line: one script a promise, run against the real program, real
// git, the real Go toolchain and the embedded registries. Nothing here uses a network beyond loopback.
package acceptance

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/berth-sh/berth/internal/cli"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"berth": berth})
}

// berth is the program's main, in a process of its own.
func berth() {
	ctx, stop := cli.WithSignals(context.Background())
	dir, err := os.Getwd()
	if err != nil {
		dir = "."
	}
	code := cli.Run(ctx, cli.Process{
		Args: os.Args, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		Environ: os.Environ(), Dir: dir, Now: time.Now,
	})
	stop()
	os.Exit(code)
}

// TestScripts runs the scripts. UPDATE=1 writes what a failing cmp got into its script, for a person to
// look at before a commit.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		Setup:               setup,
		Cmds:                commands(),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       os.Getenv("UPDATE") != "",
	})
}

// setup gives a script an empty home, git with fixed names and dates, and Go without a network. No variable of a CI, of
// git or of a registry comes in from outside. Go's caches are shared, so that the standard library is compiled once.
func setup(env *testscript.Env) error {
	local, err := localGo()
	if err != nil {
		return err
	}
	home := filepath.Join(env.WorkDir, ".home")
	if err := os.Mkdir(home, 0o755); err != nil {
		return err
	}
	env.Vars = append(env.Vars, "HOME="+home, "GOPROXY=off", "GOSUMDB=off", "GOTOOLCHAIN=local", "GOENV=off")
	env.Vars = append(env.Vars, "GOCACHE="+local.GOCACHE, "GOMODCACHE="+local.GOMODCACHE)
	env.Vars = append(env.Vars, gitEnv()...)
	env.Values[runningKey{}] = &serving{}
	env.Values[journalKey{}] = new(*journal)
	env.Values[secretsKey{}] = new(*secrets)
	return nil
}

// toolchain is what the go command says of itself.
type toolchain struct{ GOCACHE, GOMODCACHE, GOVERSION string }

// localGo asks the go command once.
var localGo = sync.OnceValues(func() (toolchain, error) {
	var t toolchain
	out, err := exec.Command("go", "env", "-json", "GOCACHE", "GOMODCACHE", "GOVERSION").Output()
	if err == nil {
		err = json.Unmarshal(out, &t)
	}
	if err != nil {
		return t, fmt.Errorf("go env: %w", err)
	}
	return t, nil
})

// gitEnv makes the same commit hashes on every machine.
func gitEnv() []string {
	return []string{
		"GIT_CONFIG_GLOBAL=" + os.DevNull, "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL=ada@example.com", "GIT_AUTHOR_DATE=" + firstDate,
		"GIT_COMMITTER_NAME=Ada", "GIT_COMMITTER_EMAIL=ada@example.com", "GIT_COMMITTER_DATE=" + firstDate,
	}
}

// firstDate is the date of a project's first commit.
const firstDate = "2026-01-02T03:04:05Z"
