package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// versionCases ask for the version of a commit in repositories of several sizes, against `git describe`.
func versionCases() []Case {
	var cases []Case
	for _, commits := range []int{100, 10_000, 100_000} {
		for _, verb := range [][]string{{"version", "tags"}, {"plan"}} {
			target := 0.0
			if commits == 100_000 && verb[0] == "version" { // on small repositories both only start up
				target = 2.0
			}
			cases = append(cases, Case{
				Name: fmt.Sprintf("%s-%d", verb[len(verb)-1], commits),
				What: fmt.Sprintf("berth %s on %d commits with 2,000 tags, beside git describe",
					strings.Join(verb, " "), commits),
				Target: target,
				Rounds: 15,
				Setup: func(ctx context.Context, l *Lab) (Setup, error) {
					dir, err := history(ctx, l, commits)
					if err != nil {
						return Setup{}, err
					}
					return Setup{Sides: []Side{
						{Name: "berth", Run: func(ctx context.Context) *exec.Cmd {
							return l.command(ctx, dir, nil, l.berth, append(verb, "--env", "dev", "--format", "json")...)
						}},
						{Name: "git describe", Run: func(ctx context.Context) *exec.Cmd {
							return l.command(ctx, dir, nil, l.peers["git"], "describe", "--tags", "--dirty")
						}},
					}}, nil
				},
			})
		}
	}
	return cases
}

// history makes a repository of so many commits, made once a run.
func history(ctx context.Context, l *Lab, commits int) (string, error) {
	dir := filepath.Join(l.dir, fmt.Sprintf("history-%d", commits))
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	start := l.command(ctx, l.dir, nil, l.peers["git"], "init", "-q", "-b", "main", dir)
	if out, err := start.CombinedOutput(); err != nil {
		return "", fmt.Errorf("git init: %w\n%s", err, out)
	}
	cmd := l.command(ctx, dir, nil, l.peers["git"], "fast-import", "--quiet")
	in, err := cmd.StdinPipe()
	if err != nil {
		return "", err
	}
	if err := cmd.Start(); err != nil {
		return "", err
	}
	w := bufio.NewWriterSize(in, 1<<20)
	writeHistory(w, commits, l.target.host)
	if err := w.Flush(); err != nil {
		return "", err
	}
	if err := in.Close(); err != nil {
		return "", err
	}
	if err := cmd.Wait(); err != nil {
		return "", fmt.Errorf("git fast-import: %w", err)
	}
	for _, args := range [][]string{{"gc", "-q"}, {"reset", "-q", "--hard", "main"}} {
		if out, err := l.command(ctx, dir, nil, l.peers["git"], args...).CombinedOutput(); err != nil {
			return "", fmt.Errorf("git %v: %w\n%s", args, err, out)
		}
	}
	return dir, nil
}

// writeHistory writes a fast-import stream: one file changed in turn out of 100, and 2,000 tags spread over the
// commits, the last one on the commit before the newest.
func writeHistory(w *bufio.Writer, commits int, host string) {
	berth := fmt.Sprintf(`apiVersion: berth/v1
project: bench
source: https://github.com/example/bench
version: {file: git}
components: {app: {go: {dir: app}}}
registries: {bench: {kind: oci, prefix: %s/history}}
tags: [{branch: "**", set: ["dev-{sha}", dev-latest]}]
environments: {dev: {registry: bench}}
`, host)
	file := func(name, text string) {
		_, _ = fmt.Fprintf(w, "M 100644 inline %s\ndata %d\n%s\n", name, len(text), text)
	}
	const tags = 2000
	tagged := 0
	for i := range commits {
		_, _ = fmt.Fprintf(w, "commit refs/heads/main\nmark :%d\ncommitter bench <bench@example.com> %d +0000\n",
			i+1, 1_600_000_000+i*600)
		subject := fmt.Sprintf("fix: change %d", i)
		_, _ = fmt.Fprintf(w, "data %d\n%s\n", len(subject), subject)
		if i == 0 {
			file("berth.yaml", berth)
			file("app/go.mod", "module example.com/app\n\ngo 1.26.0\n")
			file("app/main.go", "package main\n\nfunc main() {}\n")
		}
		file(fmt.Sprintf("docs/%d.md", i%100), subject)
		_, _ = fmt.Fprintln(w)
		for tagged < tags && tagged*(commits-1)/tags <= i && i < commits-1 {
			_, _ = fmt.Fprintf(w, "reset refs/tags/v1.%d.%d\nfrom :%d\n\n", tagged/100, tagged%100, i+1)
			tagged++
		}
	}
}
