package main

import (
	"errors"
	"fmt"
	"net/url"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/clientcmd"
	api "k8s.io/client-go/tools/clientcmd/api"

	"github.com/berth-sh/berth/cmd/berth-helm/internal/wire"
)

const kubeconfigNext = "name one with --kubeconfig FILE and --context NAME; `kubectl config get-contexts` lists them"

// getter says how Helm reaches the cluster: as kubectl does, or by a kubeconfig that is no file.
func getter(r wire.Request) (genericclioptions.RESTClientGetter, error) {
	if len(r.Cluster.Config) > 0 {
		return given(r)
	}
	flags := genericclioptions.NewConfigFlags(true)
	flags.Namespace = &r.Namespace
	if r.Cluster.Kubeconfig != "" {
		flags.KubeConfig = &r.Cluster.Kubeconfig
	}
	if r.Cluster.Context != "" {
		flags.Context = &r.Cluster.Context
	}
	return flags, nil
}

// contentConfig is a kubeconfig that was given by its content.
type contentConfig struct{ loader clientcmd.ClientConfig }

// given reads a kubeconfig that was given by its content, and refuses one that needs what is not there: it comes from
// another machine.
func given(r wire.Request) (*contentConfig, error) {
	raw, err := clientcmd.Load(r.Cluster.Config)
	if err != nil {
		// The parser's words may hold a part of the content.
		return nil, misread(errors.New("it is no kubeconfig"))
	}
	name := r.Cluster.Context
	if name == "" {
		name = raw.CurrentContext
	}
	context, ok := raw.Contexts[name]
	if !ok {
		return nil, misread(fmt.Errorf("it has no context %q", name))
	}
	over := &clientcmd.ConfigOverrides{CurrentContext: name, Context: api.Context{Namespace: r.Namespace}}
	if cluster := raw.Clusters[context.Cluster]; cluster != nil {
		if err := selfContained("cluster "+context.Cluster, cluster.CertificateAuthority); err != nil {
			return nil, err
		}
		if over.ClusterInfo, err = readdressed(*cluster, r.Cluster.Address); err != nil {
			return nil, err
		}
	}
	if user := raw.AuthInfos[context.AuthInfo]; user != nil {
		err := selfContained("user "+context.AuthInfo, user.ClientCertificate, user.ClientKey, user.TokenFile)
		if err != nil {
			return nil, err
		}
		if user.Exec != nil {
			return nil, &failure{
				code: codeUsage, subject: "kubeconfig", err: fmt.Errorf("user %s logs in by the program %s, which is not here",
					context.AuthInfo, user.Exec.Command),
				next: "give a kubeconfig with a token, for example of a service account: kubectl create token NAME",
			}
		}
	}
	return &contentConfig{clientcmd.NewDefaultClientConfig(*raw, over)}, nil
}

// misread is the failure of what is no kubeconfig, or not the one that is meant.
func misread(err error) error {
	return &failure{code: codeUsage, subject: "kubeconfig", next: kubeconfigNext, err: err}
}

// selfContained refuses files of another machine.
func selfContained(of string, files ...string) error {
	for _, name := range files {
		if name == "" {
			continue
		}
		return &failure{
			code: codeUsage, subject: "kubeconfig", err: fmt.Errorf("%s names the file %s, which is not here", of, name),
			next: "write what is in it into the kubeconfig: kubectl config view --minify --flatten --raw",
		}
	}
	return nil
}

// readdressed overrides where the API server is, and keeps the name for which its certificate is checked.
func readdressed(cluster api.Cluster, address string) (api.Cluster, error) {
	if address == "" {
		return api.Cluster{}, nil
	}
	server, err := url.Parse(cluster.Server)
	if err != nil || server.Host == "" {
		return api.Cluster{}, misread(fmt.Errorf("server %q is no address", cluster.Server))
	}
	out := api.Cluster{TLSServerName: cluster.TLSServerName}
	if out.TLSServerName == "" && server.Scheme == "https" {
		out.TLSServerName = server.Hostname()
	}
	server.Host = address
	out.Server = server.String()
	return out, nil
}

// ToRawKubeConfigLoader implements genericclioptions.RESTClientGetter.
func (k *contentConfig) ToRawKubeConfigLoader() clientcmd.ClientConfig { return k.loader }

// ToRESTConfig implements genericclioptions.RESTClientGetter.
func (k *contentConfig) ToRESTConfig() (*rest.Config, error) { return k.loader.ClientConfig() }

// ToDiscoveryClient implements genericclioptions.RESTClientGetter.
func (k *contentConfig) ToDiscoveryClient() (discovery.CachedDiscoveryInterface, error) {
	config, err := k.ToRESTConfig()
	if err != nil {
		return nil, err
	}
	client, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, err
	}
	return memory.NewMemCacheClient(client), nil
}

// ToRESTMapper implements genericclioptions.RESTClientGetter.
func (k *contentConfig) ToRESTMapper() (meta.RESTMapper, error) {
	client, err := k.ToDiscoveryClient()
	if err != nil {
		return nil, err
	}
	return restmapper.NewDeferredDiscoveryRESTMapper(client), nil
}
