package dockerfile

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/berth-sh/berth/pipelines/fault"
)

// agent starts the SSH agent of this machine with a new key, and returns its socket and the files of the key.
func (l *lab) agent(t *testing.T) (socket, key string) {
	t.Helper()
	for _, program := range []string{"ssh-agent", "ssh-add", "ssh-keygen"} {
		if _, err := exec.LookPath(program); err != nil {
			missing(t, program)
		}
	}
	dir := t.TempDir()
	socket, key = filepath.Join(dir, "s"), filepath.Join(dir, "key")
	l.do(t, dir, nil, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", key)
	ready := func() error {
		_, err := os.Stat(socket)
		return err
	}
	start(t, "ssh-agent", filepath.Join(dir, "log"), socket, ready, "-D", "-a", socket)
	l.do(t, dir, []string{"SSH_AUTH_SOCK=" + socket}, "ssh-add", "-q", key)
	return socket, key
}

// ssh signs with a key in a step, by an agent and by a file, and looks for the key in all that comes out.
func (l *lab) ssh(t *testing.T, setting []string) {
	socket, key := l.agent(t)
	l.push(t, "library/ssh", "1", ocispec.ImageConfig{}, l.box, l.layer(t, "ssh", func(w *writer) {
		w.program(l, "usr/bin/ssh-add", "ssh-add")
		w.file("etc/passwd", "/etc/passwd")
	}))
	dir := l.project(t, map[string]string{
		"berth.yaml": berthYAML("{dockerfile: {ssh: [{}, {id: file, paths: [" + key + "]}]}}"), "VERSION": "1.0.0\n",
		"key.pub": read(key + ".pub"),
		"Dockerfile": "FROM ssh:1 AS build\nCOPY key.pub /\n" +
			"RUN --mount=type=ssh ssh-add -T /key.pub && ssh-add -L > /keys\n" +
			"RUN --mount=type=ssh,id=file ssh-add -T /key.pub && ssh-add -L >> /keys\n" +
			"RUN if ssh-add -L; then exit 1; fi; env > /env\nFROM scratch\nCOPY --from=build /keys /env /\n",
	})
	lines := strings.Split(strings.TrimSpace(read(key)), "\n")
	private := lines[len(lines)/2]
	for _, builder := range []string{"docker", "buildkit"} {
		out := filepath.Join(l.dir, "ssh-"+builder)
		args := []string{"build", "--platform", "linux/amd64", "--builder", builder, "--output", out}
		stdout, stderr, code := l.try(t, dir, l.environment(append(setting, "SSH_AUTH_SOCK="+socket)...), l.berth, args...)
		if code != 0 || strings.Contains(stdout+stderr, private) {
			t.Fatalf("%s: exit code %d\n%s%s", builder, code, stdout, stderr)
		}
		files := l.unpack(t, out, "linux/amd64")
		if public := strings.Fields(read(key + ".pub"))[1]; strings.Count(files["keys"], public) != 2 {
			t.Errorf("%s: the steps saw %q, not twice %s", builder, files["keys"], public)
		}
		for name, content := range files {
			if strings.Contains(content, private) || strings.Contains(content, socket) {
				t.Errorf("%s: %s holds %q", builder, name, content)
			}
		}
		holdsNothing(t, out, private, socket, key)
		_, said, code := l.try(t, dir, l.environment(setting...), l.berth, args...)
		if code != int(fault.Usage) || !strings.Contains(said, "SSH_AUTH_SOCK is not set") || !strings.Contains(said, "next: start an agent") {
			t.Errorf("%s without an agent: exit code %d\n%s", builder, code, said)
		}
	}
}

// holdsNothing looks for words in all files of a folder: manifests, configurations with their histories.
func holdsNothing(t *testing.T, dir string, words ...string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		for _, word := range words {
			if strings.Contains(read(path), word) {
				t.Errorf("%s holds %q", path, word)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
