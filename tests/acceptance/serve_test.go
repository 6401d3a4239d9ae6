package acceptance

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// patience bounds a server that hangs. No test asserts how long something takes.
const patience = 30 * time.Second

// serving is a server that a script has in the background.
type serving struct {
	cmd    *exec.Cmd
	stdout io.ReadCloser
	base   string
}

// runningKey finds the server of a script among its values.
type runningKey struct{}

var address = regexp.MustCompile(`http://[0-9.:]+`)

// serve starts a program in the background and waits until it prints the address that it serves.
//
//	serve berth sandbox serve --addr 127.0.0.1:0
func serve(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: serve PROGRAM ARGUMENT…")
	}
	s := ts.Value(runningKey{}).(*serving)
	path, err := exec.LookPath(args[0])
	ts.Check(err)
	s.cmd = exec.Command(path, args[1:]...)
	s.cmd.Dir = ts.MkAbs(".")
	s.cmd.Env = append(gitEnv(), "PATH="+ts.Getenv("PATH"), "HOME="+ts.Getenv("HOME"))
	s.stdout, err = s.cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(s.cmd.Start())
	ts.Defer(func() {
		if s.cmd.ProcessState == nil {
			_ = s.cmd.Process.Kill()
			_ = s.cmd.Wait()
		}
	})
	line, err := bufio.NewReader(s.stdout).ReadString('\n')
	ts.Check(err)
	ts.Logf("%s", line)
	if s.base = address.FindString(line); s.base == "" {
		ts.Fatalf("no address in %q", line)
	}
}

// get asks the server in the background: the body becomes the standard output, the status the standard error.
//
//	get /v2/ghcr.io/acme/web/tags/list
func get(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: get PATH")
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, ts.Value(runningKey{}).(*serving).base+args[0], nil)
	ts.Check(err)
	request.Header.Set("Accept", "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json")
	response, err := http.DefaultClient.Do(request)
	ts.Check(err)
	body, err := io.ReadAll(response.Body)
	ts.Check(errors.Join(err, response.Body.Close()))
	_, err = ts.Stdout().Write(body)
	ts.Check(err)
	_, err = io.WriteString(ts.Stderr(), response.Status+"\n")
	ts.Check(err)
}

// interrupt stops the server in the background as Ctrl-C does, and wants it to end with code 0.
func interrupt(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 0 {
		ts.Fatalf("usage: interrupt")
	}
	s := ts.Value(runningKey{}).(*serving)
	ts.Check(s.cmd.Process.Signal(os.Interrupt))
	rest, err := io.ReadAll(s.stdout)
	ts.Check(err)
	ts.Logf("%s", rest)
	ts.Check(s.cmd.Wait())
}
