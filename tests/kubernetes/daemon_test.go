//go:build linux

package kubernetes

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience is how long a daemon may take until it answers, on a machine that is busy.
const patience = 2 * time.Minute

// daemon is a program of the cluster that runs until the test ends.
type daemon struct {
	name  string
	cmd   *exec.Cmd
	log   string
	ended chan struct{}
}

// start starts a program and does not wait for it.
func (c *cluster) start(t *testing.T, env []string, name string, args ...string) *daemon {
	t.Helper()
	d := &daemon{name: name, log: filepath.Join(c.dir, name+".log"), ended: make(chan struct{})}
	file, err := os.Create(d.log)
	must(t, err)
	program := name
	if own := filepath.Join(c.dir, "bin", name); executable(own) {
		program = own
	}
	d.cmd = exec.Command(program, args...)
	d.cmd.Env, d.cmd.Stdout, d.cmd.Stderr = env, file, file
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	must(t, d.cmd.Start())
	go func() {
		_ = d.cmd.Wait()
		_ = file.Close()
		close(d.ended)
	}()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s wrote last:\n%s", name, d.said())
		}
		_ = syscall.Kill(-d.cmd.Process.Pid, syscall.SIGKILL)
		<-d.ended
	})
	return d
}

// wait returns when ready succeeds, and fails the test when the daemon ends before.
func (d *daemon) wait(t *testing.T, ready func() error) {
	t.Helper()
	var err error
	for end := time.Now().Add(patience); time.Now().Before(end); {
		if err = ready(); err == nil {
			return
		}
		select {
		case <-d.ended:
			t.Fatalf("%s ended", d.name)
		case <-time.After(50 * time.Millisecond):
		}
	}
	t.Fatalf("%s does not answer: %v", d.name, err)
}

// said is the end of what the daemon wrote: of a kubelet's log, what is no information.
func (d *daemon) said() string {
	data, _ := os.ReadFile(d.log)
	var lines []string
	for line := range strings.Lines(string(data)) {
		if !strings.HasPrefix(line, "I") && !strings.Contains(line, "level=info") {
			lines = append(lines, fmt.Sprintf("%.300s\n", strings.TrimRight(line, "\n")))
		}
	}
	return strings.Join(lines[max(0, len(lines)-12):], "")
}

// answers asks a URL of this machine, whoever signed its certificate.
func answers(url string) func() error {
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
	}}
	return func() error {
		response, err := client.Get(url)
		if err != nil {
			return err
		}
		_ = response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("GET %s: %s", url, response.Status)
		}
		return nil
	}
}
