package scripts

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

const secret = "s3cret"

// The registries themselves are out of reach of a test. So the clients are replaced by recorders, which shows exactly
// what the script hands to them: on the command line, where every user of the machine can read it, and by pipe.
func TestDockerLogin(t *testing.T) {
	t.Parallel()
	const ecr = "339954290315.dkr.ecr.us-west-2.amazonaws.com"
	github := []string{"GITHUB_USERNAME=octocat", "GITHUB_TOKEN=" + secret}
	for _, test := range []struct {
		name         string
		kind, prefix string
		without      string // a client that is not installed
		env          []string
		calls        string // one line a call, its standard input after "<"
		stderr       string
		code         int
	}{
		{
			name: "ghcr", kind: "ghcr", prefix: "ghcr.io/brunovlucena", env: github,
			calls: "docker login ghcr.io --username octocat --password-stdin <" + secret + "\n",
		},
		{
			name: "ecr", kind: "ecr", prefix: ecr + "/knative-lambdas",
			calls: "aws ecr get-login-password --region us-west-2\n" +
				"docker login " + ecr + " --username AWS --password-stdin <" + secret + "\n",
		},
		{
			name: "gcr", kind: "gcr", prefix: "gcr.io/my-project",
			calls: "gcloud auth configure-docker gcr.io --quiet\n",
		},
		{
			name: "ghcr without a token", kind: "ghcr", prefix: "ghcr.io/o", env: github[:1],
			stderr: "GITHUB_TOKEN is not set", code: 4,
		},
		{
			name: "ghcr without a user", kind: "ghcr", prefix: "ghcr.io/o", env: github[1:],
			stderr: "GITHUB_USERNAME is not set", code: 4,
		},
		{
			name: "no docker", kind: "ghcr", prefix: "ghcr.io/o", env: github, without: "docker",
			stderr: "docker is not in PATH", code: 2,
		},
		{
			name: "no aws", kind: "ecr", prefix: ecr, without: "aws",
			stderr: "aws is not in PATH", code: 2,
		},
		{
			name: "no gcloud", kind: "gcr", prefix: "gcr.io/p", without: "gcloud",
			stderr: "gcloud is not in PATH", code: 2,
		},
		{
			name: "another kind", kind: "oci", prefix: "registry.example.com/p",
			stderr: `no login is known for registries of kind "oci"; run docker login registry.example.com`, code: 2,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			bin := clients(t, test.without)
			which := `{"environment":"dev","registry":"r","kind":"` + test.kind + `","prefix":"` + test.prefix +
				`","reason":"branch \"main\" says \"kind\": \"x\""}`
			berth := executable(t, bin, "berth", "#!/bin/sh\necho '"+which+"'\n")
			command := exec.CommandContext(t.Context(), "bash", "docker-login.sh")
			command.Env = append([]string{"PATH=" + bin, "BERTH_BIN=" + berth, "CALLS=" + filepath.Join(bin, "calls")}, test.env...)
			var out bytes.Buffer
			command.Stdout, command.Stderr = &out, &out
			_ = command.Run() // the exit code says it
			if code := command.ProcessState.ExitCode(); code != test.code {
				t.Errorf("exit %d, want %d", code, test.code)
			}
			calls, err := os.ReadFile(filepath.Join(bin, "calls"))
			if err != nil && !os.IsNotExist(err) {
				t.Fatal(err)
			}
			if string(calls) != test.calls {
				t.Errorf("calls:\n%swant:\n%s", calls, test.calls)
			}
			if !strings.Contains(out.String(), test.stderr) || strings.Contains(out.String(), secret) {
				t.Errorf("printed %q, want %q and no secret", out.String(), test.stderr)
			}
		})
	}
}

// clients returns a folder that is the whole PATH: the tools of a shell script, and a recorder for each client.
func clients(t *testing.T, without string) string {
	t.Helper()
	bin := t.TempDir()
	for _, tool := range []string{"bash", "sh", "dirname", "readlink", "sed", "cat"} {
		path, err := exec.LookPath(tool)
		if err != nil {
			t.Skip(tool + " is not installed")
		}
		if err := os.Symlink(path, filepath.Join(bin, tool)); err != nil {
			t.Fatal(err)
		}
	}
	// One write a call: the two ends of a pipe run at the same time. docker writes when its input ended, so it is last.
	for name, script := range map[string]string{
		"docker": `#!/bin/sh` + "\n" + `input=$(cat); printf '%s\n' "docker $* <$input" >>"$CALLS"` + "\n",
		"aws":    `#!/bin/sh` + "\n" + `printf '%s\n' "aws $*" >>"$CALLS"; echo ` + secret + "\n",
		"gcloud": `#!/bin/sh` + "\n" + `printf '%s\n' "gcloud $*" >>"$CALLS"` + "\n",
	} {
		if name != without {
			executable(t, bin, name, script)
		}
	}
	return bin
}

// executable writes a script. No process may start meanwhile: it would inherit the open file, and running the script
// would fail with "text file busy" for as long as it has it.
func executable(t *testing.T, dir, name, script string) string {
	t.Helper()
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}
