package dockerfile

import (
	"os/exec"
	"path/filepath"
	"testing"
)

// startDocker starts the Docker daemon of this machine, Debian's.
func (l *lab) startDocker(t *testing.T) *daemon {
	t.Helper()
	return l.startDockerd(t, "dockerd")
}

// startDockerd starts a Docker daemon without networks, which these tests have no need and CI no right to make.
func (l *lab) startDockerd(t *testing.T, program string, args ...string) *daemon {
	t.Helper()
	dir := t.TempDir()
	t.Cleanup(func() { unmount(dir) })
	address := "unix://" + filepath.Join(dir, "s")
	// The socket is there before anybody listens.
	ready := func() error { return exec.CommandContext(t.Context(), "docker", "--host", address, "info").Run() }
	return start(t, program, filepath.Join(dir, "log"), address, ready, append(args,
		"--data-root", filepath.Join(dir, "data"), "--exec-root", filepath.Join(dir, "exec"), "--host", address,
		"--pidfile", filepath.Join(dir, "pid"), "--iptables=false", "--ip6tables=false", "--bridge=none",
		"--registry-mirror", "http://"+l.registry)...)
}

// startStore starts a Docker daemon with containerd's image store, which is newer than Debian's.
func (l *lab) startStore(t *testing.T) *daemon {
	t.Helper()
	// Debian's runc knows no time namespaces.
	return l.startDockerd(t, filepath.Join(l.root, ".bin", "dockerd"), "--feature", "time-namespaces=false")
}
