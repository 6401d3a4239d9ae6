package scripts

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// The script is thin: what it hands to berth, from whichever folder it is called, and that berth's exit code is its
// own. What a login does is in tests/acceptance.
func TestDockerLogin(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, calls string
		args        []string
		code        int
	}{
		{name: "the registry of the branch", calls: "registry login\n"},
		{name: "a registry by name", args: []string{"ghcr"}, calls: "registry login ghcr\n"},
		{name: "refused", calls: "registry login\n", code: 4},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			bin := t.TempDir()
			calls := filepath.Join(bin, "calls")
			berth := executable(t, bin, "berth", "#!/bin/sh\nprintf '%s\\n' \"$*\" >>'"+calls+"'; exit "+string(rune('0'+test.code))+"\n")
			script, err := filepath.Abs("docker-login.sh")
			if err != nil {
				t.Fatal(err)
			}
			command := exec.CommandContext(t.Context(), "bash", append([]string{script}, test.args...)...)
			command.Dir = t.TempDir()
			command.Env = append(os.Environ(), "BERTH_BIN="+berth)
			var out bytes.Buffer
			command.Stdout, command.Stderr = &out, &out
			_ = command.Run() // the exit code says it
			if code := command.ProcessState.ExitCode(); code != test.code {
				t.Errorf("exit %d, want %d: %s", code, test.code, out.String())
			}
			got, err := os.ReadFile(calls)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != test.calls {
				t.Errorf("calls:\n%swant:\n%s", got, test.calls)
			}
		})
	}
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
