package dockerfile

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/berth-sh/berth/internal/distribution"
	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/publish"
)

const sailor = `package main

var version, commit = "none", "none"

func main() { println("web " + version + " " + commit) }
`

// A registry as people run their own, with TLS by an authority of its own and passwords: berth logs in, publishes and
// publishes again; a Docker daemon that knows nothing of berth pulls the image with the login that berth left, and runs
// it. The name is short, because it is part of the paths of sockets.
func TestDockerAndLogin(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts daemons and builds programs")
	}
	for _, program := range []string{"docker", "dockerd", "runc"} {
		if _, err := exec.LookPath(program); err != nil || os.Getuid() != 0 {
			missing(t, "root, or "+program)
		}
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	server := distribution.Start(t, distribution.Options{TLS: true, Login: true})
	l := &lab{root: root, dir: t.TempDir(), registry: server.Host, kit: &daemon{address: "unix:///nowhere"}}
	l.berth = filepath.Join(l.dir, "berth")
	l.do(t, root, nil, "go", "build", "-o", l.berth, ".")
	yaml := strings.Replace(berthYAML("{go: {dir: .}}"), "{prefix: HOST/acme}", `{prefix: HOST/acme, ca: "`+server.CA+`"}`, 1)
	dir := l.project(t, map[string]string{
		"berth.yaml": yaml, "VERSION": "1.0.0\n", "main.go": sailor,
		"go.mod": "module example.com/acme/web\n\ngo " + strings.TrimPrefix(runtime.Version(), "go") + "\n",
	})
	env := l.environment("DOCKER_CONFIG=" + filepath.Join(l.dir, "docker"))
	login := func(password string) int {
		cmd := exec.Command(l.berth, "registry", "login", "main", "--username", distribution.Username, "--password-stdin")
		cmd.Dir, cmd.Env, cmd.Stdin = dir, env, strings.NewReader(password)
		out, err := cmd.CombinedOutput()
		t.Logf("%s%v", out, err)
		return cmd.ProcessState.ExitCode()
	}
	if _, _, code := l.try(t, dir, env, l.berth, "publish"); code != int(fault.Credentials) {
		t.Errorf("publish without a login: exit code %d", code)
	}
	if code := login("not-" + distribution.Password); code != int(fault.Credentials) {
		t.Errorf("login with a wrong password: exit code %d", code)
	}
	if code := login(distribution.Password); code != 0 {
		t.Fatalf("login: exit code %d", code)
	}
	var first, again publish.Receipt
	for _, receipt := range []*publish.Receipt{&first, &again} {
		if err := json.Unmarshal([]byte(l.do(t, dir, env, l.berth, "publish", "--format", "json")), receipt); err != nil {
			t.Fatal(err)
		}
	}
	if up := again.Uploaded(); first.Uploaded().Blobs == 0 || up.Blobs+up.Manifests != 0 {
		t.Errorf("sent %+v, again %+v", first.Uploaded(), up)
	}
	// Docker takes any certificate on loopback.
	env = append(env, "DOCKER_HOST="+l.startDocker(t).address)
	reference := server.Host + "/acme/web:v1.0.0"
	l.do(t, dir, env, "docker", "pull", "--quiet", "--platform", "linux/amd64", reference)
	digests := l.do(t, dir, env, "docker", "image", "inspect", "--format", "{{.RepoDigests}}", reference)
	if !strings.Contains(digests, first.Images[0].Digest) {
		t.Errorf("docker pulled %s, not %s", digests, first.Images[0].Digest)
	}
	_, said, code := l.try(t, dir, env, "docker", "run", "--rm", "--network", "none", reference)
	if want := "web 1.0.0 " + first.Commit; code != 0 || !strings.Contains(said, want) {
		t.Errorf("the program said %q with exit code %d, want %q", said, code, want)
	}
}
