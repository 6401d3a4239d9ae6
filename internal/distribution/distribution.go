// Package distribution starts Debian's docker-registry, the reference implementation, for tests: on loopback, in a
// folder of the test, with TLS and passwords when asked for. It ends with the test.
package distribution

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The account of a server with passwords.
const (
	Username = "harbour"
	Password = "master"
	// htpasswd is that account in the format of Apache's htpasswd, with bcrypt, the only hash that the server takes.
	htpasswd = "harbour:$2a$05$M8oChMdHakT1RW00si6toOGcbvjPOrQ5b7luhL56tyG.FaWX9qko.\n"
)

// Options describe a server. The zero value is plain HTTP, without passwords, and deletes nothing.
type Options struct {
	// TLS serves HTTPS with a certificate for localhost of an authority of its own.
	TLS bool
	// Login wants [Username] and [Password] for everything.
	Login bool
	// Delete allows deleting.
	Delete bool
}

// Server is a server that runs.
type Server struct {
	// Host is localhost with the port.
	Host string
	// CA is the file of the authority's certificate, "" without TLS.
	CA string
}

// Start starts a server. It skips the test when the program is not installed.
func Start(t *testing.T, o Options) Server {
	t.Helper()
	program, err := exec.LookPath("docker-registry")
	if err != nil {
		t.Skip("docker-registry is not installed (Debian: apt-get install docker-registry)")
	}
	dir := t.TempDir()
	s := Server{}
	config := fmt.Sprintf("version: 0.1\nlog: {level: info, accesslog: {disabled: true}}\n"+
		"storage: {filesystem: {rootdirectory: %q}, delete: {enabled: %t}}\nhttp:\n  addr: 127.0.0.1:0\n",
		filepath.Join(dir, "data"), o.Delete)
	if o.TLS {
		certificate, key := write(t, dir)
		s.CA = certificate
		config += fmt.Sprintf("  tls: {certificate: %q, key: %q}\n", certificate, key)
	}
	if o.Login {
		file := filepath.Join(dir, "htpasswd")
		must(t, os.WriteFile(file, []byte(htpasswd), 0o600))
		config += fmt.Sprintf("auth: {htpasswd: {realm: harbour, path: %q}}\n", file)
	}
	file := filepath.Join(dir, "config.yml")
	must(t, os.WriteFile(file, []byte(config), 0o600))
	// Without the environment: REGISTRY_… would change the configuration.
	cmd := exec.Command(program, "serve", file) //nolint:noctx // it ends with the test, in the clean-up below
	cmd.Env, cmd.Dir = []string{"OTEL_TRACES_EXPORTER=none"}, dir
	logs, err := cmd.StderrPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	port, err := listening(logs)
	must(t, err)
	s.Host = "localhost:" + port
	return s
}

// listening reads the log up to the port that the server got, and the rest in the background.
func listening(logs io.Reader) (string, error) {
	lines, seen := bufio.NewScanner(logs), ""
	for lines.Scan() {
		seen += lines.Text() + "\n"
		if _, rest, ok := strings.Cut(lines.Text(), "listening on 127.0.0.1:"); ok {
			go func() { _, _ = io.Copy(io.Discard, logs) }()
			port, _, _ := strings.Cut(rest, `"`)
			port, _, _ = strings.Cut(port, ",")
			return port, nil
		}
	}
	return "", errors.Join(fmt.Errorf("docker-registry did not start:\n%s", seen), lines.Err())
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
