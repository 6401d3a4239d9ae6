//go:build linux

package kubernetes

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	// asked says that the cluster may be started.
	asked = "BERTH_KUBERNETES_TESTS"
	// inside is set for the process that runs in namespaces of its own: the folder with what was prepared.
	inside = "BERTH_KUBERNETES_INSIDE"
	// group is the control group of everything that the cluster starts.
	group = "berth-e2e-kubernetes"
)

// parts are the names that the program of the folder cluster is called by.
func parts() []string {
	return []string{"kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kubectl"}
}

// needed are the programs and where Debian has them.
func needed() map[string]string {
	return map[string]string{
		"etcd": "etcd-server", "containerd": "containerd", "ctr": "containerd", "runc": "runc", "ip": "iproute2",
		"/usr/lib/cni/bridge": "containernetworking-plugins", "git": "git", "tar": "tar",
	}
}

func TestCluster(t *testing.T) {
	t.Parallel()
	if dir := os.Getenv(inside); dir != "" {
		runCases(t, dir)
		return
	}
	if os.Getenv(asked) == "" {
		t.Skip("starts a Kubernetes cluster as root, for minutes: make e2e-kubernetes")
	}
	if os.Getuid() != 0 {
		t.Skip("a cluster can only be started by root: nothing was tested")
	}
	root, err := filepath.Abs("../..")
	must(t, err)
	for program, pkg := range needed() {
		if _, err := exec.LookPath(program); err != nil {
			t.Errorf("%s is missing: apt-get install %s", program, pkg)
		}
	}
	for _, tool := range []string{"cluster", "helm", "berth-helm"} {
		if _, err := os.Stat(filepath.Join(root, ".bin", tool)); err != nil {
			t.Errorf(".bin/%s is missing: make e2e-tools", tool)
		}
	}
	if t.Failed() {
		return
	}
	dir := claim(t)
	prepare(t, root, dir)
	removeGroups(t)
	t.Cleanup(func() { removeGroups(t) })
	enter(t, dir)
}

// claim makes the folder of the run, which has one name so that the next run finds what a killed one left.
func claim(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(os.TempDir(), group)
	lock, err := os.Create(dir + ".lock")
	must(t, err)
	t.Cleanup(func() { _ = lock.Close() })
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		t.Fatalf("%s: another run is at work: %v", lock.Name(), err)
	}
	must(t, os.RemoveAll(dir))
	must(t, os.Mkdir(dir, 0o755))
	t.Cleanup(func() { must(t, errors.Join(os.RemoveAll(dir), os.Remove(lock.Name()))) })
	return dir
}

// prepare makes what needs a network or the machine's own folders: the program under test and a clone of the last
// commit with its dependencies, built once so that the caches are warm.
func prepare(t *testing.T, root, dir string) {
	t.Helper()
	bin := filepath.Join(dir, "bin")
	must(t, os.MkdirAll(bin, 0o755))
	must(t, os.MkdirAll(filepath.Join(dir, "home"), 0o755))
	for _, part := range parts() {
		must(t, os.Symlink(filepath.Join(root, ".bin", "cluster"), filepath.Join(bin, part)))
	}
	for _, tool := range []string{"helm", "berth-helm"} {
		must(t, os.Symlink(filepath.Join(root, ".bin", tool), filepath.Join(bin, tool)))
	}
	run(t, root, nil, "", "go", "build", "-o", filepath.Join(bin, "berth"), ".")
	clone := filepath.Join(dir, "clone")
	run(t, root, plain(dir), "", "git", "clone", "--quiet", "--no-hardlinks", root, clone)
	run(t, clone, nil, "", "git", "switch", "--quiet", "--force-create", "main")
	run(t, clone, plain(dir), "", "berth", "build", "--quiet", "--env", "dev")
}

// enter runs this test again in namespaces of its own, which end with it, and it with this process.
func enter(t *testing.T, dir string) {
	t.Helper()
	runtime.LockOSThread() // the kernel takes the end of the thread that started it for the end of its parent
	defer runtime.UnlockOSThread()
	args := []string{"-test.run=^TestCluster$", "-test.v=" + isVerbose(), "-test.paniconexit0", "-test.parallel=8"}
	if end, ok := t.Deadline(); ok {
		args = append(args, "-test.timeout="+(time.Until(end)-10*time.Second).String())
	}
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Env = append(os.Environ(), inside+"="+dir)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | syscall.CLONE_NEWNET | syscall.CLONE_NEWIPC,
		Pdeathsig:  syscall.SIGKILL,
	}
	if err := cmd.Run(); err != nil {
		t.Errorf("the cluster's tests: %v", err)
	}
}

func isVerbose() string {
	if testing.Verbose() {
		return "true"
	}
	return "false"
}

// isolate gives this process, which is alone in its namespaces, a network and folders for the state of the cluster's
// programs at the places where they expect it.
func isolate(t *testing.T) {
	t.Helper()
	must(t, syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""))
	must(t, syscall.Mount("proc", "/proc", "proc", 0, ""))
	for _, dir := range []string{"/run", "/var/lib", "/var/log"} {
		must(t, syscall.Mount("tmpfs", dir, "tmpfs", 0, "mode=755"))
	}
	for _, args := range [][]string{
		{"link", "set", "lo", "up"},
		{"address", "add", nodeAddress + "/32", "dev", "lo"},
	} {
		run(t, "/", nil, "", "ip", args...)
	}
	for _, dir := range controllers(t) {
		must(t, os.MkdirAll(filepath.Join(dir, group), 0o755))
	}
}

// controllers are the folders where control groups are made: one a controller, or one for all with version 2.
func controllers(t *testing.T) []string {
	t.Helper()
	const root = "/sys/fs/cgroup"
	if _, err := os.Stat(filepath.Join(root, "cgroup.controllers")); err == nil {
		return []string{root}
	}
	entries, err := os.ReadDir(root)
	must(t, err)
	var out []string
	for _, e := range entries {
		if e.IsDir() {
			out = append(out, filepath.Join(root, e.Name()))
		}
	}
	return out
}

// removeGroups removes the control groups of the cluster, whose processes are gone or about to go.
func removeGroups(t *testing.T) {
	t.Helper()
	for _, dir := range controllers(t) {
		top := filepath.Join(dir, group)
		var err error
		for range 50 {
			if err = removeGroup(top); err == nil {
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
		if err != nil {
			t.Errorf("control group: %v", err)
		}
	}
}

// removeGroup removes a group after those below it. Their files go with them.
func removeGroup(top string) error {
	var groups []string
	err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			groups = append(groups, path)
		}
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, dir := range slices.Backward(groups) {
		err = errors.Join(err, syscall.Rmdir(dir))
	}
	return err
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// plain is the environment of a laptop's shell with the programs of dir/bin: no variable of a CI, and Go's caches.
func plain(dir string, more ...string) []string {
	env := []string{
		"PATH=" + filepath.Join(dir, "bin") + ":" + os.Getenv("PATH"), "HOME=" + filepath.Join(dir, "home"),
		"NO_COLOR=1", "GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_NAME=Ann", "GIT_AUTHOR_EMAIL=ann@example.com",
		"GIT_COMMITTER_NAME=Ann", "GIT_COMMITTER_EMAIL=ann@example.com", "GCP_PROJECT=my-project",
	}
	out, _ := exec.Command("go", "env", "GOCACHE", "GOMODCACHE", "GOPROXY", "GOFLAGS", "GOTOOLCHAIN").Output()
	values := strings.Split(string(out), "\n")
	for i, name := range []string{"GOCACHE", "GOMODCACHE", "GOPROXY", "GOFLAGS", "GOTOOLCHAIN"} {
		if i < len(values) {
			env = append(env, name+"="+values[i])
		}
	}
	return append(env, more...)
}

// run runs a program that must succeed, and returns what it wrote to standard output.
func run(t *testing.T, dir string, env []string, stdin, name string, args ...string) string {
	t.Helper()
	stdout, stderr, code := try(t, dir, env, stdin, name, args...)
	if code != 0 {
		t.Fatalf("%s %s: exit code %d\n%s%s", name, strings.Join(args, " "), code, stdout, stderr)
	}
	return stdout
}

// try runs a program and returns what it wrote, and its exit code.
func try(t *testing.T, dir string, env []string, stdin, name string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	for _, v := range env {
		if path, ok := strings.CutPrefix(v, "PATH="); ok {
			if own := filepath.Join(strings.Split(path, ":")[0], name); executable(own) {
				name = own
			}
		}
	}
	var out, err bytes.Buffer
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir, cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = dir, env, strings.NewReader(stdin), &out, &err
	failed := cmd.Run()
	if _, ok := errors.AsType[*exec.ExitError](failed); failed != nil && !ok {
		t.Fatalf("%s: %v", name, failed)
	}
	return out.String(), err.String(), cmd.ProcessState.ExitCode()
}

func executable(file string) bool {
	info, err := os.Stat(file)
	return err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0
}
