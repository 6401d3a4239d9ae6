//go:build linux

package kubernetes

import (
	"net/http/httputil"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/berth-sh/berth/internal/intercept"
	"github.com/berth-sh/berth/pipelines/registry"
	"github.com/berth-sh/berth/pipelines/sandbox"
)

const (
	username = "brunovlucena"
	// token is the only password that the registries take.
	token = "a-token-of-the-test"
)

// registries are ghcr.io, ECR and gcr.io, each with the login of the real one, behind a proxy that answers in their
// names. ECR has the repositories only that somebody created.
type registries struct {
	proxy *intercept.Proxy
	ca    string
}

func serve(t *testing.T, dir string) *registries {
	t.Helper()
	box, err := sandbox.New(sandbox.Options{
		Dir: dir, Password: token,
		MustCreate: func(host string) bool { return registry.KindOf(host) == registry.ECR },
	})
	must(t, err)
	t.Cleanup(func() { must(t, box.Close()) })
	proxy, err := intercept.New(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = "https", r.In.Host, r.In.Host
		},
		Transport: box.Transport(),
	})
	must(t, err)
	t.Cleanup(func() { must(t, proxy.Close()) })
	r := &registries{proxy: proxy, ca: dir + ".pem"}
	must(t, os.WriteFile(r.ca, proxy.Authority(), 0o600))
	return r
}

// network is what a program needs to meet the registries.
func (r *registries) network() []string {
	return []string{"HTTPS_PROXY=" + r.proxy.URL(), "SSL_CERT_FILE=" + r.ca}
}

// env is the network with the login of a developer who may publish: to GHCR a token, to AWS a key, to Google what its
// helper writes into Docker's configuration.
func (r *registries) env() []string {
	return append(r.network(), "GITHUB_ACTOR="+username, "GITHUB_TOKEN="+token,
		"AWS_ACCESS_KEY_ID=sandbox", "AWS_SECRET_ACCESS_KEY="+token,
		"AWS_EC2_METADATA_DISABLED=true", "GCE_METADATA_HOST=127.0.0.1:1",
		`DOCKER_AUTH_CONFIG={"auths":{"gcr.io":{"username":"oauth2accesstoken","password":"`+token+`"}}}`)
}

// providers writes the credential providers that the nodes of EKS and GKE have, under their names, and the kubelet's
// configuration of them. They answer with what the clouds' metadata services would give.
// Source: https://kubernetes.io/docs/tasks/administer-cluster/kubelet-credential-provider/
func (r *registries) providers(t *testing.T, dir string) (config, plugins string) {
	t.Helper()
	config, plugins = filepath.Join(dir, "providers.yaml"), filepath.Join(dir, "providers")
	must(t, os.MkdirAll(plugins, 0o755))
	var list strings.Builder
	list.WriteString("apiVersion: kubelet.config.k8s.io/v1\nkind: CredentialProviderConfig\nproviders:\n")
	for name, p := range map[string][2]string{
		"ecr-credential-provider": {"*.dkr.ecr.*.amazonaws.com", "AWS"},
		"gcr-credential-provider": {"gcr.io", "oauth2accesstoken"},
	} {
		list.WriteString("- {name: " + name + ", matchImages: [\"" + p[0] + "\"], defaultCacheDuration: 0s, " +
			"apiVersion: credentialprovider.kubelet.k8s.io/v1}\n")
		answer := `{"apiVersion": "credentialprovider.kubelet.k8s.io/v1", "kind": "CredentialProviderResponse",
"cacheKeyType": "Registry", "auth": {"` + p[0] + `": {"username": "` + p[1] + `", "password": "` + token + `"}}}`
		script := "#!/bin/sh\ncat >/dev/null\ncat <<'END'\n" + answer + "\nEND\n"
		must(t, os.WriteFile(filepath.Join(plugins, name), []byte(script), 0o700))
	}
	must(t, os.WriteFile(config, []byte(list.String()), 0o600))
	return config, plugins
}
