//go:build linux

package kubernetes

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	// nodeAddress is the node's in the network of the namespace.
	nodeAddress = "10.77.0.1"
	// server is the API server's address, which the certificate that it makes itself names.
	server = "https://127.0.0.1:6443"
)

// cluster is a cluster of one node, and the registries that it pulls from.
type cluster struct {
	dir        string // with what was prepared, and the logs
	clone      string // of this repository
	state      string // keys, tokens and kubeconfigs
	registries *registries
	// shell is a user's environment: kubectl, helm and berth, and the logins to the registries.
	shell []string
}

// accounts are the names that the API server knows, with their groups: those that its own rules give rights to.
// Source: https://kubernetes.io/docs/reference/access-authn-authz/rbac/#core-component-roles
func accounts() map[string][2]string {
	return map[string][2]string{
		"admin":                   {"admin", "system:masters"},
		"kube-controller-manager": {"system:kube-controller-manager", ""},
		"kube-scheduler":          {"system:kube-scheduler", ""},
		"kubelet":                 {"system:node:node", "system:nodes"},
	}
}

// newCluster starts everything at once, as each part waits for what it needs, and returns when the node is ready.
func newCluster(t *testing.T, dir string) *cluster {
	t.Helper()
	c := &cluster{dir: dir, clone: filepath.Join(dir, "clone"), state: "/run/kubernetes"}
	must(t, os.MkdirAll(c.state, 0o755))
	c.registries = serve(t, filepath.Join(dir, "registries"))
	c.shell = plain(dir, append(c.registries.env(), "KUBECONFIG="+c.kubeconfig("admin"))...)
	c.writeKeys(t)
	c.start(t, nil, "etcd", "--data-dir=/var/lib/etcd", "--log-level=warn",
		"--listen-client-urls=http://127.0.0.1:2379", "--advertise-client-urls=http://127.0.0.1:2379",
		"--listen-peer-urls=http://127.0.0.1:2380", "--initial-advertise-peer-urls=http://127.0.0.1:2380",
		"--initial-cluster=default=http://127.0.0.1:2380")
	node := c.startRuntime(t)
	api := c.start(t, nil, "kube-apiserver", "--etcd-servers=http://127.0.0.1:2379",
		"--bind-address=127.0.0.1", "--secure-port=6443", "--advertise-address="+nodeAddress,
		"--endpoint-reconciler-type=none", "--cert-dir="+c.state, "--token-auth-file="+c.file("tokens"),
		"--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction",
		"--service-cluster-ip-range=10.78.0.0/24", "--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file="+c.file("accounts.key"), "--service-account-signing-key-file="+c.file("accounts.key"))
	api.wait(t, answers(server+"/readyz"))
	c.start(t, nil, "kube-controller-manager", "--kubeconfig="+c.kubeconfig("kube-controller-manager"),
		"--bind-address=127.0.0.1", "--leader-elect=false", "--use-service-account-credentials",
		"--horizontal-pod-autoscaler-sync-period=1s",
		"--service-account-private-key-file="+c.file("accounts.key"), "--root-ca-file="+c.file("apiserver.crt"))
	c.start(t, nil, "kube-scheduler", "--kubeconfig="+c.kubeconfig("kube-scheduler"),
		"--bind-address=127.0.0.1", "--leader-elect=false")
	node.wait(t, runtimeAnswers)
	c.loadPause(t)
	c.startKubelet(t).wait(t, func() error {
		out, stderr, _ := try(t, dir, c.shell, "", "kubectl", "wait", "--for=condition=Ready", "node/node", "--timeout=20s")
		if !strings.Contains(out, "condition met") {
			return fmt.Errorf("%s%s", out, stderr)
		}
		return nil
	})
	return c
}

func (c *cluster) file(name string) string { return filepath.Join(c.state, name) }

func (c *cluster) kubeconfig(account string) string { return c.file(account + ".kubeconfig") }

// writeKeys writes the key that signs the tokens of service accounts, and for every account a token and a kubeconfig.
// The API server makes its own certificate.
func (c *cluster) writeKeys(t *testing.T) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	der, err := x509.MarshalECPrivateKey(key)
	must(t, err)
	encoded := pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})
	must(t, os.WriteFile(c.file("accounts.key"), encoded, 0o600))
	var tokens strings.Builder
	for name, a := range accounts() {
		token := rand.Text()
		fmt.Fprintf(&tokens, "%s,%s,%s,%q\n", token, a[0], a[0], a[1])
		must(t, os.WriteFile(c.kubeconfig(name), []byte(fmt.Sprintf(`apiVersion: v1
kind: Config
clusters: [{name: e2e, cluster: {server: %q, certificate-authority: %q}}]
users: [{name: e2e, user: {token: %q}}]
contexts: [{name: e2e, context: {cluster: e2e, user: e2e}}]
current-context: e2e
`, server, c.file("apiserver.crt"), token)), 0o600))
	}
	must(t, os.WriteFile(c.file("tokens"), []byte(tokens.String()), 0o600))
}

func (c *cluster) kubectl(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	return run(t, c.clone, c.shell, stdin, "kubectl", args...)
}
