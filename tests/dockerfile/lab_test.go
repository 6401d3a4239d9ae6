package dockerfile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/olareg/olareg"
	olaregconfig "github.com/olareg/olareg/config"
	"oras.land/oras-go/v2/registry/remote/auth"
)

// lab is a registry with base images and a BuildKit daemon that takes Docker Hub's images from it.
type lab struct {
	root     string // of this repository
	dir      string
	berth    string
	registry string       // host and port
	client   *auth.Client // with the account at the registry; nil is none
	box      layer        // of busybox
	kit      *daemon
}

// newLab skips the test unless it is asked for, and fails it when something is missing that it cannot do without.
func newLab(t *testing.T) *lab {
	t.Helper()
	if os.Getenv("BERTH_DOCKER_TESTS") == "" {
		t.Skip("starts daemons as root, for minutes: make docker-test")
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	l := &lab{root: root, dir: t.TempDir()}
	if runtime.GOOS != "linux" || os.Getuid() != 0 {
		missing(t, "root on Linux")
	}
	for _, program := range []string{"runc", "busybox", "docker"} {
		if _, err := exec.LookPath(program); err != nil {
			missing(t, program)
		}
	}
	for _, tool := range []string{"buildkitd", "buildctl", "docker-buildx", "dockerd"} {
		if _, err := os.Stat(filepath.Join(root, ".bin", tool)); err != nil {
			missing(t, ".bin/"+tool+" (make docker-tools)")
		}
	}
	l.berth = filepath.Join(l.dir, "berth")
	l.do(t, root, nil, "go", "build", "-o", l.berth, ".")
	l.serve(t)
	l.kit = l.startBuildKit(t)
	return l
}

func missing(t *testing.T, what string) {
	t.Helper()
	t.Fatalf("%s is missing; see the package's documentation", what)
}

// unmount removes what a daemon that was killed has left mounted.
func unmount(dir string) {
	data, _ := os.ReadFile("/proc/self/mounts")
	for _, line := range slices.Backward(strings.Split(string(data), "\n")) {
		if f := strings.Fields(line); len(f) > 1 && strings.HasPrefix(f[1], dir+"/") {
			_ = syscall.Unmount(f[1], syscall.MNT_DETACH)
		}
	}
}

// serve starts a registry and fills it.
func (l *lab) serve(t *testing.T) {
	t.Helper()
	store := olareg.New(olaregconfig.Config{Storage: olaregconfig.ConfigStorage{
		StoreType: olaregconfig.StoreDir, RootDir: filepath.Join(l.dir, "registry"),
	}})
	server := httptest.NewServer(store)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	l.registry = strings.TrimPrefix(server.URL, "http://")
	l.box = l.busybox(t)
}

// daemon is a process with a socket.
type daemon struct {
	cmd     *exec.Cmd
	address string
	ended   chan struct{}
	log     string
}

// start runs a daemon until the test ends, and returns when ready succeeds.
func start(t *testing.T, name, log, address string, ready func() error, args ...string) *daemon {
	t.Helper()
	file, err := os.Create(log)
	if err != nil {
		t.Fatal(err)
	}
	d := &daemon{cmd: exec.Command(name, args...), address: address, ended: make(chan struct{}), log: log}
	d.cmd.Stdout, d.cmd.Stderr = file, file
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = d.cmd.Wait()
		_ = file.Close()
		close(d.ended)
	}()
	t.Cleanup(d.stop)
	for range 300 {
		if err = ready(); err == nil {
			return d
		}
		select {
		case <-d.ended:
			t.Fatalf("%s ended: %s", name, d.said())
		case <-time.After(100 * time.Millisecond):
		}
	}
	t.Fatalf("%s does not answer: %v\n%s", name, err, d.said())
	return nil
}

func (d *daemon) said() string {
	data, _ := os.ReadFile(d.log)
	return string(data[max(0, len(data)-2000):])
}

// stop asks the daemon to end, as it unmounts what it mounted then.
func (d *daemon) stop() {
	_ = d.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-d.ended:
	case <-time.After(20 * time.Second):
		d.kill()
	}
}

// kill ends the daemon and what it started, as a crash would.
func (d *daemon) kill() {
	_ = syscall.Kill(-d.cmd.Process.Pid, syscall.SIGKILL)
	<-d.ended
}

func (l *lab) startBuildKit(t *testing.T) *daemon {
	t.Helper()
	dir := t.TempDir()
	t.Cleanup(func() { unmount(dir) })
	socket := filepath.Join(dir, "s") // a socket's path may have 107 bytes only
	config := fmt.Sprintf(`root = %q
[grpc]
  address = ["unix://%s"]
[worker.oci]
  enabled = true
  networkMode = "host"
[worker.containerd]
  enabled = false
`, filepath.Join(dir, "root"), socket) + l.mirrors()
	file := filepath.Join(dir, "buildkitd.toml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	ready := func() error {
		_, err := os.Stat(socket)
		return err
	}
	return start(t, filepath.Join(l.root, ".bin", "buildkitd"), filepath.Join(dir, "log"), "unix://"+socket, ready,
		"--config", file)
}

// mirrors are the settings of BuildKit that take base images from the lab's registry.
func (l *lab) mirrors() string {
	return fmt.Sprintf(`[registry."docker.io"]
  mirrors = [%[1]q]
[registry."registry.access.redhat.com"]
  mirrors = [%[1]q]
[registry.%[1]q]
  http = true
`, l.registry)
}

// environment is that of a build: no variable of a CI, which would name another commit.
func (l *lab) environment(more ...string) []string {
	env := []string{"GIT_CONFIG_NOSYSTEM=1", "NO_COLOR=1", "HOME=" + l.dir, "BUILDKIT_HOST=" + l.kit.address}
	for _, keep := range []string{"PATH", "TMPDIR", "GOPATH", "GOPROXY", "GOFLAGS", "GOTOOLCHAIN"} {
		if v, ok := os.LookupEnv(keep); ok {
			env = append(env, keep+"="+v)
		}
	}
	return slices.Concat(env, goCaches(), more)
}

// goCaches are the settings that let the go command find what it has compiled and downloaded before, which another HOME
// hides from it: it would compile the standard library anew in each test.
var goCaches = sync.OnceValue(func() []string {
	var env []string
	for _, name := range []string{"GOCACHE", "GOMODCACHE"} {
		out, err := exec.CommandContext(context.Background(), "go", "env", name).Output()
		if err == nil {
			env = append(env, name+"="+strings.TrimSpace(string(out)))
		}
	}
	return env
})

// do runs a program that must succeed, and returns what it wrote to standard output.
func (l *lab) do(t *testing.T, dir string, env []string, name string, args ...string) string {
	t.Helper()
	stdout, stderr, code := l.try(t, dir, env, name, args...)
	if code != 0 {
		t.Fatalf("%s %s: exit code %d\n%s%s", name, strings.Join(args, " "), code, stdout, stderr)
	}
	return stdout
}

// try runs a program and returns what it wrote, and its exit code.
func (l *lab) try(t *testing.T, dir string, env []string, name string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, err bytes.Buffer
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, env, &out, &err
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	failed := cmd.Run()
	var exit *exec.ExitError
	if failed != nil && !errors.As(failed, &exit) && !errors.Is(failed, context.Canceled) {
		t.Fatalf("%s: %v", name, failed)
	}
	return out.String(), err.String(), cmd.ProcessState.ExitCode()
}

// clean runs a program after the test, whose own context has ended then.
func (l *lab) clean(t *testing.T, env []string, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = env
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}

// project is a git repository of one version with the files given.
func (l *lab) project(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(strings.ReplaceAll(content, "HOST", l.registry)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	l.commit(t, dir)
	return dir
}

func (l *lab) commit(t *testing.T, dir string) {
	t.Helper()
	git := func(args ...string) {
		l.do(t, dir, l.environment("GIT_AUTHOR_DATE=2026-03-01T12:00:00Z", "GIT_COMMITTER_DATE=2026-03-01T12:00:00Z",
			"GIT_AUTHOR_NAME=Ann", "GIT_AUTHOR_EMAIL=ann@example.com", "GIT_COMMITTER_NAME=Ann", "GIT_COMMITTER_EMAIL=ann@example.com"),
			"git", args...)
	}
	git("init", "--quiet", "--initial-branch=main")
	git("add", "--all")
	git("commit", "--quiet", "--message", "feat: begin")
}

// berthYAML is a project with one component.
func berthYAML(component string, more ...string) string {
	return `apiVersion: berth/v1
project: web
version: {file: VERSION}
platforms: [linux/amd64, linux/arm64]
components:
  web: ` + component + `
registries: {main: {prefix: HOST/acme}}
tags: [{branch: "**", set: ["v{version}", latest]}]
environments: {dev: {registry: main, refs: {branches: ["**"]}}}
` + strings.Join(slices.Concat(more, []string{""}), "\n")
}
