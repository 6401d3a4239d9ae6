package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// daggerCases time the same verb through both doors: the CLI, and a function of the Dagger module where an engine
// answers.
func daggerCases() []Case {
	plan := func(name, what string, rounds int, prepare func(dir string, round int) error) Case {
		return Case{
			Name: "dagger-" + name, What: "berth plan beside dagger call plan, " + what, Rounds: rounds,
			Setup: func(ctx context.Context, l *Lab) (Setup, error) {
				dir, err := daggerModule(ctx, l)
				if err != nil {
					return Setup{}, err
				}
				round := 0
				return Setup{Sides: []Side{
					{Name: "berth", Run: func(ctx context.Context) *exec.Cmd {
						return l.command(ctx, dir, nil, l.berth, "plan", "--env", "local", "--format", "json")
					}},
					{
						Name: "dagger call",
						Prepare: func(context.Context) error {
							round++
							return prepare(dir, round)
						},
						Run: func(ctx context.Context) *exec.Cmd {
							return l.command(ctx, dir, nil, l.peers["dagger"], "--silent", "call", "plan", "--env", "local")
						},
					},
				}}, nil
			},
		}
	}
	return []Case{
		// The module's code is another one each time: it is compiled and loaded anew, as after an update.
		plan("cold", "whose module the engine has not seen yet", 1, func(dir string, round int) error {
			text := fmt.Sprintf("package main\n\n// %s, round %d.\n", filepath.Base(filepath.Dir(dir)), round)
			return os.WriteFile(filepath.Join(dir, ".dagger", "round.go"), []byte(text), 0o644)
		}),
		plan("warm", "whose module the engine has loaded before", 3, func(string, int) error { return nil }),
	}
}

// daggerModule is a clone of this repository, when there is an engine that can call its module.
func daggerModule(ctx context.Context, l *Lab) (string, error) {
	if l.peers["dagger"] == "" {
		return "", errSkip("there is no dagger program in PATH")
	}
	ask, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	if os.Getenv("_EXPERIMENTAL_DAGGER_RUNNER_HOST") == "" {
		// Without an address the program starts an engine in Docker, which is not what is measured.
		if err := exec.CommandContext(ask, "docker", "info").Run(); err != nil {
			return "", errSkip("no Dagger engine answers")
		}
	}
	if err := l.command(ask, l.dir, nil, l.peers["dagger"], "--silent", "core", "version").Run(); err != nil {
		return "", errSkip("no Dagger engine answers")
	}
	dir := filepath.Join(l.dir, "module")
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	clone := l.command(ctx, l.dir, nil, l.peers["git"], "clone", "-q", "--no-hardlinks", l.root, dir)
	if out, err := clone.CombinedOutput(); err != nil {
		return "", fmt.Errorf("git clone: %w\n%s", err, out)
	}
	return dir, nil
}
