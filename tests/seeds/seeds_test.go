// Package seeds holds berth to the two documents that it started from: the test functions of DEVOPS-009 through the real
// scripts and the real CLI, on a repository made of this one's files, and every row of DD-REGISTRY-001 on
// examples/kubernaut.
package seeds

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// cannotRun is the exit code of a function that needs something that is not here.
const cannotRun = 3

// repository copies the files of the work tree, those not yet committed included, into a new repository with one commit
// on main. Tags and history of the real one stay out, and the version is the seeds' 1.0.0, whatever was released since.
func repository(t *testing.T) (dir string, env []string) {
	t.Helper()
	for _, tool := range []string{"bash", "git", "make"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(tool + " is not installed")
		}
	}
	top := strings.TrimSpace(output(t, ".", nil, "git", "rev-parse", "--show-toplevel"))
	dir = t.TempDir()
	files := output(t, top, nil, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	for name := range strings.SplitSeq(strings.TrimRight(files, "\x00"), "\x00") {
		copyFile(t, filepath.Join(top, name), filepath.Join(dir, name))
	}
	rewrite(t, filepath.Join(dir, "VERSION"), `\S+`, "1.0.0")
	rewrite(t, filepath.Join(dir, "deploy/Chart.yaml"), `(?m)^version: .*$`, "version: 1.0.0")
	rewrite(t, filepath.Join(dir, "deploy/Chart.yaml"), `(?m)^appVersion: .*$`, `appVersion: "1.0.0"`)

	env = environment(t)
	output(t, dir, env, "git", "init", "--quiet", "--initial-branch=main")
	output(t, dir, env, "git", "add", "--all")
	output(t, dir, env, "git", "commit", "--quiet", "--message=Everything")
	return dir, env
}

// environment is what a shell on a laptop has: no CI's variables, no git settings of this machine, Go's caches kept.
func environment(t *testing.T) []string {
	t.Helper()
	home := t.TempDir()
	env := []string{
		"HOME=" + home, "PATH=" + os.Getenv("PATH"), "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=Seeds", "GIT_AUTHOR_EMAIL=seeds@example.com",
		"GIT_COMMITTER_NAME=Seeds", "GIT_COMMITTER_EMAIL=seeds@example.com",
	}
	for _, name := range []string{"GOCACHE", "GOMODCACHE", "GOPROXY", "GOSUMDB", "GOTOOLCHAIN"} {
		env = append(env, name+"="+strings.TrimSpace(output(t, ".", nil, "go", "env", name)))
	}
	for _, name := range []string{"DOCKER_HOST", "TMPDIR", "GOFLAGS"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// berthHelm builds the program that renders charts, in the work tree, where it is built anyway.
func berthHelm(t *testing.T) string {
	t.Helper()
	top := strings.TrimSpace(output(t, ".", nil, "git", "rev-parse", "--show-toplevel"))
	output(t, top, nil, "make", "--no-print-directory", "build-helm")
	return filepath.Join(top, ".bin", "berth-helm")
}

func output(t *testing.T, dir string, env []string, name string, arguments ...string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), name, arguments...)
	command.Dir, command.Env = dir, env
	var stderr bytes.Buffer
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(arguments, " "), err, stderr.String())
	}
	return string(out)
}

// copyFile leaves out what is listed but deleted, and what is no regular file.
func copyFile(t *testing.T, from, to string) {
	t.Helper()
	info, err := os.Lstat(from)
	if errors.Is(err, os.ErrNotExist) || err == nil && !info.Mode().IsRegular() {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, content, info.Mode().Perm()); err != nil {
		t.Fatal(err)
	}
}

func rewrite(t *testing.T, path, pattern, replacement string) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	content = regexp.MustCompile(pattern).ReplaceAll(content, []byte(replacement))
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestSeeds(t *testing.T) {
	t.Parallel()
	dir, env := repository(t)
	env = append(env, "BERTH_HELM="+berthHelm(t))
	here, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	// In the document's order; the last one commits and tags.
	for _, seed := range []struct{ file, function string }{
		{"story2.sh", "test_local_uses_ghcr"},
		{"story2.sh", "test_prd_uses_ecr"},
		{"story2.sh", "test_image_pull_secrets"},
		{"story2.sh", "test_cicd_registry_selection"},
		{"story2.sh", "test_environment_based_deployment"},
		{"story3.sh", "test_main_branch_tagging"},
		{"story3.sh", "test_develop_branch_tagging"},
		{"story3.sh", "test_feature_branch_tagging"},
		{"story3.sh", "test_multiple_tags"},
		{"story3.sh", "test_git_tag_creation"},
	} {
		t.Run(seed.function, func(t *testing.T) {
			command := exec.CommandContext(t.Context(),
				"bash", filepath.Join(here, "assert.sh"), filepath.Join(here, seed.file), seed.function)
			command.Dir, command.Env = dir, env
			out, err := command.CombinedOutput()
			if command.ProcessState.ExitCode() == cannotRun {
				t.Skip(strings.TrimSpace(string(out)))
			}
			if err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}
