//go:build unix

package build

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
)

// own puts the command and what it starts into a process group of their own, which is interrupted as a whole: the go
// command alone would leave compilers running.
func own(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error {
		err := syscall.Kill(-cmd.Process.Pid, syscall.SIGINT)
		if errors.Is(err, syscall.ESRCH) {
			return os.ErrProcessDone
		}
		return err
	}
}

// reap kills what is left of the group after the command itself has ended.
func reap(cmd *exec.Cmd) {
	if cmd.Process != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // mostly there is nobody left
	}
}
