package main

import (
	"context"
	"errors"
	"io"
	"regexp"
	"time"

	"github.com/berth-sh/berth/.dagger/internal/dagger"
	"github.com/berth-sh/berth/pipelines"
	"github.com/berth-sh/berth/pipelines/fault"
)

// Install or upgrade the chart's release in a cluster, and wait until its pods are ready
//
// A missing namespace or pull secret, values that the chart refuses and images that do not fit the environment are
// found before anything changes. Pods that do not get ready are named with the reason, and the release is rolled back
// to what ran before. The kubeconfig is read in memory alone.
//
// Example: dagger call deploy --env dev --kubeconfig file:$HOME/.kube/config --receipt receipt.json
//
// +cache="never"
func (b *Berth) Deploy(
	ctx context.Context,
	// Kubeconfig with a token or certificates in it: programs that log in do not run here.
	kubeconfig *dagger.Secret,
	// Environment of berth.yaml; default: that of the receipt, or the one whose refs match the git ref best.
	// +optional
	env string,
	// JSON of publish or promote (--format json); of an image in several, the last counts.
	// +optional
	receipt []*dagger.File,
	// Further values files, which win over those of berth.yaml.
	// +optional
	values []*dagger.File,
	// Values as for helm --set, which win over all. They are seen in traces: secrets belong into a cluster's Secret.
	// +optional
	set []string,
	// Namespace; default: that of berth.yaml.
	// +optional
	namespace string,
	// Context of the kubeconfig; default: the current one.
	// +optional
	kubeContext string,
	// The API server as a service, for a cluster on this machine: tcp://localhost:6443.
	// +optional
	clusterService *dagger.Service,
	// How long the pods may take, for example 90s or 10m.
	// +default="5m"
	timeout string,
	// Leave a failed release as it is instead of rolling it back.
	// +optional
	keepFailed bool,
	// Make a missing namespace.
	// +optional
	createNamespace bool,
	// Source of berth-helm, which is built in the engine; default: the module's own.
	// +defaultPath="/cmd/berth-helm"
	// +ignore=["**/*_test.go", "testdata"]
	helm *dagger.Directory,
	// How the result is written.
	// +default="table"
	format Format,
) (string, error) {
	patience, err := time.ParseDuration(timeout)
	if err != nil || patience < time.Second {
		return "", errors.New("--timeout " + timeout + ": it is no time of a second or more\n" +
			"  next: write for example 90s or 10m")
	}
	c := b.Chart(env, receipt, values, set, namespace, "", helm)
	return withChart(ctx, c, func(o *opened, r pipelines.ChartRequest) (string, error) {
		d := pipelines.DeployRequest{
			ChartRequest: r, Timeout: patience, KeepFailed: keepFailed, CreateNamespace: createNamespace,
		}
		if d.Cluster, err = cluster(ctx, kubeconfig, kubeContext, clusterService); err != nil {
			return "", err
		}
		out, err := o.pipeline.ChartDeploy(ctx, d)
		if err != nil {
			return "", here(err, clusterService)
		}
		return write(format, out, func(w io.Writer) error { return out.Text(w) })
	})
}

// loopback is a cluster on the machine of whoever asks.
var loopback = regexp.MustCompile(`^cluster https?://(localhost|127\.[0-9.]+|\[::1\])(:[0-9]+)?`)

// here says how a cluster on the caller's machine is reached from a function.
func here(err error, service *dagger.Service) error {
	f, ok := errors.AsType[*fault.Error](err)
	if !ok || service != nil {
		return err
	}
	at := loopback.FindStringSubmatch(f.Subject)
	if at == nil {
		return err
	}
	port := at[2]
	if port == "" {
		port = ":443"
	}
	out := *f
	out.Next = at[1] + " is the function's own container here: add --cluster-service tcp://localhost" + port
	return &out
}
