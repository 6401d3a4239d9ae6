package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// undo brings one side back to the start of a round.
type undo func(ctx context.Context) error

// preparation makes the undo of a side.
type preparation func(p *project, l *Lab) undo

// publishCases build and publish the three components of knative-lambda for two platforms, against ko.
func publishCases() []Case {
	publish := func(name, what string, target float64, rounds int, prepare preparation) Case {
		return Case{
			Name: "publish-" + name, What: "build and publish 3 components for 2 platforms, " + what,
			Target: target, Rounds: rounds,
			Setup: func(ctx context.Context, l *Lab) (Setup, error) { return publishSetup(ctx, l, prepare, name != "cold") },
		}
	}
	return []Case{
		publish("cold", "empty caches, empty registry", 1.0, 2, func(p *project, l *Lab) undo {
			return func(ctx context.Context) error {
				return errors.Join(removeAll(p.cache), removeAll(p.own), l.target.wipe(ctx))
			}
		}),
		publish("warm", "warm Go build cache and no other, empty registry", 1.0, 5, func(p *project, l *Lab) undo {
			return func(ctx context.Context) error { return errors.Join(removeAll(p.own), l.target.wipe(ctx)) }
		}),
		publish("unchanged", "everything is there already", 0.3, 7, func(*project, *Lab) undo {
			return nil
		}),
		publish("one-changed", "one component changed by a commit", 1.0, 5, func(p *project, l *Lab) undo {
			return func(ctx context.Context) error { return p.change(ctx, l) }
		}),
	}
}

// project is a copy of the example that one side works in.
type project struct {
	dir   string
	cache string // of Go
	own   string // berth's cache; ko has none
	round int
}

func newProject(ctx context.Context, l *Lab, name string) (*project, error) {
	p := &project{
		dir: filepath.Join(l.dir, "project-"+name), cache: filepath.Join(l.dir, "cache-"+name),
		own: filepath.Join(l.dir, "own-"+name),
	}
	if err := removeAll(p.dir); err != nil {
		return nil, err
	}
	if err := os.CopyFS(p.dir, os.DirFS(filepath.Join(l.root, "examples", "knative-lambda"))); err != nil {
		return nil, err
	}
	files := map[string]string{
		"berth.yaml": fmt.Sprintf(`apiVersion: berth/v1
project: bench
source: https://github.com/example/bench
version: {file: VERSION, gitTag: "v{version}"}
platforms: [linux/amd64, linux/arm64]
components:
  builder: {go: {dir: ., package: ./cmd/builder}}
  sidecar: {go: {dir: ., package: ./cmd/sidecar}}
  metrics-pusher: {go: {dir: metrics-pusher}}
registries: {bench: {kind: oci, prefix: %s/berth}}
tags: [{branch: "**", set: ["dev-{sha}", dev-latest, "{sha}"]}]
environments: {dev: {registry: bench}}
`, l.target.host),
		"VERSION":                 "1.2.3\n",
		".ko.yaml":                koConfig("builder", "./cmd/builder") + koBuild("sidecar", "./cmd/sidecar"),
		"metrics-pusher/.ko.yaml": koConfig("metrics-pusher", "."),
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(p.dir, name), []byte(text), 0o644); err != nil {
			return nil, err
		}
	}
	for _, args := range [][]string{{"init", "-q", "-b", "main"}, {"add", "-A"}, {"commit", "-q", "-m", "Start"}} {
		if out, err := l.command(ctx, p.dir, nil, l.peers["git"], args...).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("git %v: %w\n%s", args, err, out)
		}
	}
	return p, nil
}

// ko links the commit in, as berth does and as most of its users have it.
func koConfig(id, main string) string { return "builds:\n" + koBuild(id, main) }

func koBuild(id, main string) string {
	return fmt.Sprintf("- id: %s\n  main: %s\n  ldflags: [-s, -w, \"-X main.version=1.2.3\", "+
		"\"-X main.commit={{.Git.FullCommit}}\"]\n", id, main)
}

// change commits a source file that alters one binary.
func (p *project) change(ctx context.Context, l *Lab) error {
	p.round++
	text := fmt.Sprintf("package main\n\nimport \"os\"\n\nfunc init() { _ = os.Setenv(\"ROUND\", \"%d\") }\n", p.round)
	if err := os.WriteFile(filepath.Join(p.dir, "cmd", "builder", "round.go"), []byte(text), 0o644); err != nil {
		return err
	}
	for _, args := range [][]string{{"add", "-A"}, {"commit", "-q", "-m", fmt.Sprintf("Round %d", p.round)}} {
		if out, err := l.command(ctx, p.dir, nil, l.peers["git"], args...).CombinedOutput(); err != nil {
			return fmt.Errorf("git %v: %w\n%s", args, err, out)
		}
	}
	return nil
}

// koScript publishes what berth does: three components, two platforms, three tags.
const koScript = `ko() {
  "$KO" build --base-import-paths --platform=linux/amd64,linux/arm64 --sbom=none -t dev-1 -t dev-latest -t sha "$@"
}
ko ./cmd/builder ./cmd/sidecar && cd metrics-pusher && ko .
`

func publishSetup(ctx context.Context, l *Lab, prepare preparation, fill bool) (Setup, error) {
	ko := l.peers["ko"]
	if ko == "" {
		return Setup{}, fmt.Errorf("ko is missing: make bench")
	}
	base, err := uploader{l.source.host, "base"}.image(ctx, map[string][]noise{
		"amd64": {{seed: 1, size: 300 << 10}}, "arm64": {{seed: 2, size: 300 << 10}},
	}, nil, "latest")
	if err != nil {
		return Setup{}, err
	}
	ours, err := newProject(ctx, l, "berth")
	if err != nil {
		return Setup{}, err
	}
	theirs, err := newProject(ctx, l, "ko")
	if err != nil {
		return Setup{}, err
	}
	sides := []Side{
		{
			Name:    "berth",
			Prepare: prepare(ours, l),
			Run: func(ctx context.Context) *exec.Cmd {
				return l.command(ctx, ours.dir, []string{"GOCACHE=" + ours.cache, "BERTH_CACHE=" + ours.own},
					l.berth, "publish", "--env", "dev", "--format", "json")
			},
			Check: func(ctx context.Context) error { return has(ctx, l.target.host, "berth/metrics-pusher", "dev-latest") },
		},
		{
			Name:    "ko",
			Prepare: prepare(theirs, l),
			Run: func(ctx context.Context) *exec.Cmd {
				return l.command(ctx, theirs.dir, []string{
					"GOCACHE=" + theirs.cache, "KO=" + ko, "KO_DOCKER_REPO=" + l.target.host + "/ko",
					"KO_DEFAULTBASEIMAGE=" + l.source.host + "/base@" + base, "SOURCE_DATE_EPOCH=1767323045",
				}, "sh", "-c", koScript)
			},
			Check: func(ctx context.Context) error { return has(ctx, l.target.host, "ko/metrics-pusher", "dev-latest") },
		},
	}
	// A run that is not measured fills the caches, unless the case empties them: that would only take time.
	for _, s := range sides {
		if !fill {
			break
		}
		if _, err := once(ctx, l, s, 0); err != nil {
			return Setup{}, fmt.Errorf("%s: %w", s.Name, err)
		}
	}
	return Setup{Sides: sides, Latency: 20 * time.Millisecond}, nil
}
