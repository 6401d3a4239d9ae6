//go:build !unix

package build

import "os/exec"

// own keeps the default: the go command is killed when the context ends.
func own(*exec.Cmd) {}

func reap(*exec.Cmd) {}
