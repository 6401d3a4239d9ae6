package main

import (
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/berth-sh/berth/cmd/berth-helm/internal/wire"
)

// content is a kubeconfig of one context.
func content(cluster, user string) []byte {
	return fmt.Appendf(nil, "apiVersion: v1\nkind: Config\ncurrent-context: c\n"+
		"contexts: [{name: c, context: {cluster: c, user: u}}]\nclusters: [{name: c, cluster: {%s}}]\nusers: [{name: u, user: {%s}}]\n",
		cluster, user)
}

// A kubeconfig that is given by its content reaches the API server at another address, with the token in it, and the
// certificate is checked for the name in it.
func TestAKubeconfigByItsContent(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch {
		case r.Header.Get("Authorization") != "Bearer planted":
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprint(w, `{"kind": "Status", "apiVersion": "v1", "reason": "Unauthorized", "code": 401, "message": "no"}`)
		case strings.HasSuffix(r.URL.Path, "/version"):
			fmt.Fprint(w, `{"major": "1", "minor": "34", "gitVersion": "v1.34.0"}`)
		default:
			asked.Add(1)
			fmt.Fprint(w, `{"kind": "SecretList", "apiVersion": "v1", "items": []}`)
		}
	}))
	t.Cleanup(server.Close)
	authority := base64.StdEncoding.EncodeToString(
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	at := func(name, token string) wire.Request {
		r := request(t, wire.Deployed, "dev")
		r.Cluster = wire.Cluster{
			Config: content(`server: "https://`+name+`:6443", certificate-authority-data: `+authority, "token: "+token),
			// httptest's certificate is for example.com.
			Address: server.Listener.Addr().String(), Kubeconfig: "/nowhere",
		}
		return r
	}
	if a := ask(t, at("example.com", "planted")); a.Fault != nil || asked.Load() == 0 {
		t.Errorf("%+v; asked %d times", a.Fault, asked.Load())
	}
	if a := ask(t, at("example.org", "planted")); a.Fault == nil || !strings.Contains(a.Fault.Message, "example.org") {
		t.Errorf("another name: %+v", a.Fault)
	}
	if a := ask(t, at("example.com", "forged")); a.Fault == nil || a.Fault.Code != codeCredentials {
		t.Errorf("another token: %+v", a.Fault)
	}
}

// What a kubeconfig needs of the machine that it comes from is refused, with the way out and without its content.
func TestAKubeconfigThatNeedsItsMachine(t *testing.T) {
	t.Parallel()
	const server = `server: "https://example.com"`
	for name, tt := range map[string]struct {
		config        []byte
		context       string
		message, next string
	}{
		"no kubeconfig":   {[]byte("planted: ["), "", "it is no kubeconfig", "--kubeconfig"},
		"no context":      {[]byte("apiVersion: v1\nkind: Config\n"), "", `no context ""`, "--context"},
		"unknown context": {content(server, "token: planted"), "x", `no context "x"`, "--context"},
		"program": {
			content(server, "exec: {apiVersion: client.authentication.k8s.io/v1, command: aws, interactiveMode: Never}"), "",
			"user u logs in by the program aws, which is not here", "kubectl create token",
		},
		"authority": {
			content(server+", certificate-authority: ca.pem", "token: planted"), "",
			"cluster c names the file ca.pem", "kubectl config view --minify --flatten --raw",
		},
		"key": {
			content(server, "client-certificate-data: cGxhbnRlZA==, client-key: u.key"), "", "user u names the file u.key", "--flatten",
		},
		"token file": {content(server, "tokenFile: /t"), "", "user u names the file /t", "--flatten"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := request(t, wire.Deploy, "dev")
			r.Cluster = wire.Cluster{Config: tt.config, Context: tt.context}
			a := ask(t, r)
			if a.Fault == nil || a.Fault.Code != codeUsage || !strings.Contains(a.Fault.Message, tt.message) ||
				!strings.Contains(a.Fault.Next, tt.next) {
				t.Fatalf("%+v", a.Fault)
			}
			if strings.Contains(a.Fault.Message+a.Fault.Next, "planted") {
				t.Errorf("it prints the kubeconfig: %+v", a.Fault)
			}
		})
	}
	r := request(t, wire.Deploy, "dev")
	r.Cluster = wire.Cluster{Config: content("server: x", "token: planted"), Address: "127.0.0.1:1"}
	if a := ask(t, r); a.Fault == nil || !strings.Contains(a.Fault.Message, `server "x" is no address`) {
		t.Errorf("%+v", a.Fault)
	}
}
