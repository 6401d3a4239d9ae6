package clients

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/berth-sh/berth/pipelines/publish"
)

// harbour is a clone of this repository, published into its sandbox, which is being served.
type harbour struct {
	t       *testing.T
	root    string // of this repository
	berth   string
	clone   string
	address string
	receipt publish.Receipt
}

func newHarbour(t *testing.T) *harbour {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	h := &harbour{t: t, root: root, berth: filepath.Join(t.TempDir(), "berth"), clone: filepath.Join(t.TempDir(), "clone")}
	h.run(root, "go", "build", "-o", h.berth, ".")
	h.run(root, "git", "clone", "--quiet", "--no-hardlinks", root, h.clone)
	h.run(h.clone, "git", "switch", "--quiet", "--create", "feature/test-feature")
	out := h.run(h.clone, h.berth, "publish", "--env", "dev", "--sandbox", "--format", "json")
	if err := json.Unmarshal(out, &h.receipt); err != nil {
		t.Fatal(err)
	}
	h.serve()
	return h
}

// serve starts `berth sandbox serve` on a free port, until the test ends.
func (h *harbour) serve() {
	h.t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, h.berth, "sandbox", "serve", "--addr", "127.0.0.1:0")
	cmd.Dir = h.clone
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		h.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() {
		stop()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		h.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(line, "http://127.0.0.1:")
	port, _, _ := strings.Cut(rest, " ")
	h.address = "localhost:" + port
}

// run runs a program without the variables of a CI, which would name another commit than the clone's.
func (h *harbour) run(dir, name string, args ...string) []byte {
	h.t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &stdout, &stderr
	cmd.Env = []string{"GIT_CONFIG_NOSYSTEM=1", "NO_COLOR=1", "BERTH_CACHE=off"}
	for _, keep := range []string{
		"PATH", "HOME", "TMPDIR", "GOCACHE", "GOMODCACHE", "GOPATH", "GOPROXY", "GOFLAGS", "GOTOOLCHAIN", "DOCKER_HOST",
		"XDG_RUNTIME_DIR",
	} {
		if v, ok := os.LookupEnv(keep); ok {
			cmd.Env = append(cmd.Env, keep+"="+v)
		}
	}
	if err := cmd.Run(); err != nil {
		h.t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, stderr.Bytes())
	}
	return stdout.Bytes()
}

// client finds a program in .bin or PATH, or skips the test.
func (h *harbour) client(name string) string {
	h.t.Helper()
	if built := filepath.Join(h.root, ".bin", name); executable(built) {
		return built
	}
	path, err := exec.LookPath(name)
	if err != nil {
		h.t.Skipf("%s is not installed", name)
	}
	return path
}

func executable(file string) bool {
	info, err := os.Stat(file)
	return err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0
}

// reference is where a client finds an image of the receipt under its version tag.
func (h *harbour) reference(x publish.Image) string {
	return h.address + "/" + x.Repository + ":" + x.Tags[0].Name
}

func TestClients(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("builds six programs")
	}
	h := newHarbour(t)
	if len(h.receipt.Images) != 3 {
		t.Fatalf("%d images", len(h.receipt.Images))
	}
	t.Run("crane", func(t *testing.T) { h.at(t).crane() })
	t.Run("skopeo", func(t *testing.T) { h.at(t).skopeo() })
	t.Run("docker", func(t *testing.T) { h.at(t).docker() })
}

func (h *harbour) at(t *testing.T) *harbour {
	sub := *h
	sub.t = t
	return &sub
}

// crane validates every blob, manifest and index, and the program of the amd64 image runs.
func (h *harbour) crane() {
	crane := h.client("crane")
	for _, x := range h.receipt.Images {
		if got := strings.TrimSpace(string(h.run(h.clone, crane, "digest", h.reference(x)))); got != x.Digest {
			h.t.Errorf("%s: digest %s, want %s", x.Component, got, x.Digest)
		}
		h.run(h.clone, crane, "validate", "--remote", h.reference(x))
		tags := strings.Fields(string(h.run(h.clone, crane, "ls", h.address+"/"+x.Repository)))
		if len(tags) != len(x.Tags) {
			h.t.Errorf("%s has tags %v", x.Component, tags)
		}
	}
	x := h.receipt.Images[0]
	files := h.t.TempDir()
	archive := filepath.Join(files, "image.tar")
	h.run(files, crane, "export", "--platform", "linux/amd64", h.reference(x), archive)
	h.run(files, "tar", "-xf", archive, "app/"+x.Component)
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		h.t.Skip("the amd64 image runs on linux/amd64 only")
	}
	h.checkVersion(h.run(files, filepath.Join(files, "app", x.Component), "--version"), x)
}

// checkVersion compares what a program says of itself with the receipt.
func (h *harbour) checkVersion(said []byte, x publish.Image) {
	h.t.Helper()
	for _, want := range []string{x.Component, h.receipt.Version, h.receipt.Commit, "linux/amd64"} {
		if !bytes.Contains(said, []byte(want)) {
			h.t.Errorf("the program says %q, without %s", said, want)
		}
	}
}

// skopeo reads the very bytes of the index.
func (h *harbour) skopeo() {
	skopeo := h.client("skopeo")
	for _, x := range h.receipt.Images {
		raw := h.run(h.clone, skopeo, "inspect", "--tls-verify=false", "--raw", "docker://"+h.reference(x))
		sum := sha256.Sum256(raw)
		if got := "sha256:" + hex.EncodeToString(sum[:]); got != x.Digest {
			h.t.Errorf("%s: the bytes have digest %s, want %s", x.Component, got, x.Digest)
		}
	}
}

// docker pulls an image by tag, gets the digest of the receipt, and runs it.
func (h *harbour) docker() {
	docker := h.client("docker")
	if exec.Command(docker, "info").Run() != nil {
		h.t.Skip("no Docker daemon answers")
	}
	x := h.receipt.Images[0]
	reference := h.reference(x)
	h.run(h.clone, docker, "pull", "--quiet", "--platform", "linux/amd64", reference)
	h.t.Cleanup(func() { _ = exec.Command(docker, "image", "rm", "--force", reference).Run() })
	digests := h.run(h.clone, docker, "image", "inspect", "--format", "{{.RepoDigests}}", reference)
	if !bytes.Contains(digests, []byte(x.Digest)) {
		h.t.Errorf("docker pulled %s, not %s", digests, x.Digest)
	}
	h.checkVersion(h.run(h.clone, docker, "run", "--rm", "--network", "none", reference, "--version"), x)
}
