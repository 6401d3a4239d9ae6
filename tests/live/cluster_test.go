package live

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// token is what the API server takes. It must be in no log.
const token = "planted-token-4711"

// apiServer is a real API server on loopback, without nodes and controllers: objects are stored and nothing runs.
type apiServer struct {
	port   string
	config string // the kubeconfig
}

// newAPIServer starts etcd and an API server, or skips the test where one is missing.
func newAPIServer(t *testing.T) apiServer {
	t.Helper()
	etcd, err := exec.LookPath("etcd")
	if err != nil {
		t.Skip("live: no etcd in PATH (Debian: etcd-server)")
	}
	cluster, err := filepath.Abs("../../.bin/cluster")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(cluster); err != nil {
		t.Skip("live: no API server: make .bin/cluster builds it, in minutes")
	}
	dir := t.TempDir()
	store, peers, port := free(t), free(t), free(t)
	background(t, etcd, "--data-dir="+filepath.Join(dir, "etcd"), "--log-level=error",
		"--listen-client-urls=http://127.0.0.1:"+store, "--advertise-client-urls=http://127.0.0.1:"+store,
		"--listen-peer-urls=http://127.0.0.1:"+peers, "--initial-advertise-peer-urls=http://127.0.0.1:"+peers,
		"--initial-cluster=default=http://127.0.0.1:"+peers)
	program := filepath.Join(dir, "kube-apiserver") // the name says which part of a cluster it is
	if err := os.Symlink(cluster, program); err != nil {
		t.Fatal(err)
	}
	keys := filepath.Join(dir, "accounts.key")
	writeKey(t, keys)
	tokens := filepath.Join(dir, "tokens")
	if err := os.WriteFile(tokens, []byte(token+",admin,admin,system:masters\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	background(t, program, "--etcd-servers=http://127.0.0.1:"+store, "--bind-address=127.0.0.1", "--secure-port="+port,
		"--cert-dir="+dir, "--token-auth-file="+tokens, "--authorization-mode=RBAC", "--endpoint-reconciler-type=none",
		"--service-cluster-ip-range=10.78.0.0/24", "--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file="+keys, "--service-account-signing-key-file="+keys)
	await(t, "https://127.0.0.1:"+port+"/readyz")
	authority, err := os.ReadFile(filepath.Join(dir, "apiserver.crt"))
	if err != nil {
		t.Fatal(err)
	}
	return apiServer{port: port, config: kubeconfig("https://127.0.0.1:"+port,
		"certificate-authority-data: "+base64.StdEncoding.EncodeToString(authority), "token: "+token)}
}

func kubeconfig(server, cluster, user string) string {
	return "apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts: [{name: c, context: {cluster: c, user: u}}]\n" +
		"clusters: [{name: c, cluster: {server: \"" + server + "\", " + cluster + "}}]\nusers: [{name: u, user: {" + user + "}}]\n"
}

// get asks the API server for an object.
func (a apiServer) get(t *testing.T, path string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://127.0.0.1:"+a.port+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	answer, err := trusting().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(answer.Body)
	if err := errors.Join(err, answer.Body.Close()); err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(body)
}

// trusting takes any certificate: the server is the test's own.
func trusting() *http.Client {
	return &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true,
	}}
}

func await(t *testing.T, url string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+token)
		answer, err := trusting().Do(request)
		if err == nil {
			_ = answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return
			}
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s does not answer: %v", url, err)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// background runs a program until the end of the test.
func background(t *testing.T, program string, args ...string) {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	log, err := os.Create(filepath.Join(t.TempDir(), filepath.Base(program)+".log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		_ = log.Close()
		if content, err := os.ReadFile(log.Name()); err == nil && t.Failed() {
			t.Logf("%s:\n%s", program, content[max(0, len(content)-4000):])
		}
	})
}

// free is a port that nobody listens on.
func free(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(ln.Addr().String())
	if err := errors.Join(err, ln.Close()); err != nil {
		t.Fatal(err)
	}
	return port
}

func writeKey(t *testing.T, file string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}
