package main

import (
	"context"
	"os/exec"
)

// startupCases time what a person types most.
func startupCases() []Case {
	side := func(l *Lab, name string, dir func(*Lab) string, program string, args ...string) Side {
		return Side{Name: name, Run: func(ctx context.Context) *exec.Cmd {
			return l.command(ctx, dir(l), nil, program, args...)
		}}
	}
	here := func(l *Lab) string { return l.root }
	return []Case{
		{
			Name: "start-help", What: "berth --help, beside the peers' help", Rounds: 15, Limit: Limit{Seconds: 0.05},
			Setup: func(_ context.Context, l *Lab) (Setup, error) {
				s := Setup{Sides: []Side{side(l, "berth", here, l.berth, "--help")}}
				for _, name := range []string{"ko", "crane", "regctl", "skopeo"} {
					if file := l.peers[name]; file != "" {
						s.Sides = append(s.Sides, side(l, name, here, file, "--help"))
					}
				}
				return s, nil
			},
		},
		{
			Name: "start-which", What: "berth registry which on this repository, beside git status",
			Rounds: 15, Limit: Limit{Seconds: 0.05},
			Setup: func(_ context.Context, l *Lab) (Setup, error) {
				return Setup{Sides: []Side{
					side(l, "berth", here, l.berth, "registry", "which", "--env", "local"),
					side(l, "git status", here, l.peers["git"], "status", "--porcelain"),
				}}, nil
			},
		},
		{
			Name: "start-tags", What: "berth version tags on this repository, beside git describe",
			Rounds: 15, Limit: Limit{Seconds: 0.05},
			Setup: func(_ context.Context, l *Lab) (Setup, error) {
				return Setup{Sides: []Side{
					side(l, "berth", here, l.berth, "version", "tags", "--env", "local"),
					side(l, "git describe", here, l.peers["git"], "describe", "--always", "--dirty"),
				}}, nil
			},
		},
	}
}
