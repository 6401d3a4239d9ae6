package acceptance

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

type command = func(ts *testscript.TestScript, neg bool, args []string)

// commands are what the scripts can say beside testscript's own words. Except for seen, none can be negated.
func commands() map[string]command {
	all := map[string]command{
		"project": project, "commit": commit, "exits": exits, "json": jsonEquals, "untouched": untouched,
		"serve": serve, "get": get, "interrupt": interrupt,
		"plant": plant, "quietly": quietly, "clean": clean,
		"registries": registries, "requests": requests,
		"helm": helm,
	}
	for name, run := range all {
		all[name] = func(ts *testscript.TestScript, neg bool, args []string) {
			if neg {
				ts.Fatalf("! %s has no meaning", name)
			}
			run(ts, neg, args)
		}
	}
	all["seen"] = seen
	return all
}

// project makes a git repository in a new folder and goes there: the files of testdata/project, over them those that
// the script itself has in that folder, in one commit on main. web/go.mod pins this
// machine's Go. $COMMIT, $COMMIT12 and $SHA are the commit's hash, whole and cut.
//
//	project DIR
func project(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: project DIR")
	}
	dir := ts.MkAbs(args[0])
	ts.Check(copyProject(dir))
	ts.Check(pinGo(filepath.Join(dir, "web", "go.mod")))
	ts.Check(ts.Chdir(dir))
	git(ts, "init", "--quiet", "--initial-branch=main")
	git(ts, "add", "--all")
	git(ts, "commit", "--quiet", "--message=feat: open the shop")
	setHash(ts)
}

// copyProject copies testdata/project, but for files that exist already.
func copyProject(dir string) error {
	const from = "testdata/project"
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		to := filepath.Join(dir, rel)
		if entry.IsDir() {
			return os.MkdirAll(to, 0o755)
		}
		if _, err := os.Stat(to); err == nil {
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(to, data, 0o644)
	})
}

// pinGo names the Go release of this machine, so that nothing is downloaded and nothing is warned about.
func pinGo(file string) error {
	local, err := localGo()
	if err != nil {
		return err
	}
	data, err := os.ReadFile(file)
	if err != nil || bytes.Contains(data, []byte("\ntoolchain ")) {
		return err
	}
	return os.WriteFile(file, append(data, "\ntoolchain "+local.GOVERSION+"\n"...), 0o644)
}

// commit commits everything in the work tree at a given time and sets the hashes as project does.
//
//	commit 2026-01-03T00:00:00Z 'fix: a message'
func commit(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: commit DATE MESSAGE")
	}
	ts.Setenv("GIT_AUTHOR_DATE", args[0])
	ts.Setenv("GIT_COMMITTER_DATE", args[0])
	git(ts, "add", "--all")
	git(ts, "commit", "--quiet", "--allow-empty", "--message="+args[1])
	setHash(ts)
}

func setHash(ts *testscript.TestScript) {
	git(ts, "rev-parse", "HEAD")
	hash := strings.TrimSpace(ts.ReadFile("stdout"))
	ts.Setenv("COMMIT", hash)
	ts.Setenv("COMMIT12", hash[:12])
	ts.Setenv("SHA", hash[:7])
}

func git(ts *testscript.TestScript, args ...string) {
	if err := ts.Exec("git", args...); err != nil {
		ts.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, ts.ReadFile("stderr"))
	}
}

// exits runs a program and wants exactly this exit code, which `! exec` cannot tell.
//
//	exits CODE PROGRAM ARGUMENT…
func exits(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARGUMENT…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// untouched wants a repository in which nothing was written: git sees no change, and no state was left.
func untouched(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 0 {
		ts.Fatalf("usage: untouched")
	}
	if _, err := os.Lstat(ts.MkAbs(".berth")); err == nil {
		ts.Fatalf(".berth was written")
	}
	cmd := exec.Command("git", "status", "--porcelain", "--ignored")
	cmd.Dir = ts.MkAbs(".")
	cmd.Env = append(os.Environ(), gitEnv()...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		ts.Fatalf("git status: %v\n%s", err, out)
	}
	if len(out) > 0 {
		ts.Fatalf("the work tree changed:\n%s", out)
	}
}

// seen wants a text in the last command's output or in a file below the folders, names included. With ! it wants the
// text nowhere there: so a planted secret is looked for.
//
//	! seen TEXT FOLDER…
func seen(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 1 {
		ts.Fatalf("usage: seen TEXT FOLDER…")
	}
	text := []byte(args[0])
	var places []string
	for _, stream := range []string{"stdout", "stderr"} {
		if bytes.Contains([]byte(ts.ReadFile(stream)), text) {
			places = append(places, stream)
		}
	}
	for _, folder := range args[1:] {
		ts.Check(filepath.WalkDir(ts.MkAbs(folder), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			data, err := os.ReadFile(path)
			if bytes.Contains(data, text) || bytes.Contains([]byte(path), text) {
				places = append(places, path)
			}
			return err
		}))
	}
	switch {
	case neg && len(places) > 0:
		ts.Fatalf("%s is in %s", text, strings.Join(places, ", "))
	case !neg && len(places) == 0:
		ts.Fatalf("%s is nowhere", text)
	}
}
