package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/berth-sh/berth/.dagger/internal/dagger"
	"github.com/berth-sh/berth/pipelines"
	"github.com/berth-sh/berth/pipelines/chart"
	"github.com/berth-sh/berth/pipelines/chart/wire"
	"github.com/berth-sh/berth/pipelines/fault"
)

// Chart is the Helm chart of a repository, with the values of an environment.
type Chart struct {
	// +private
	Berth *Berth
	// +private
	Env string
	// +private
	Receipt []*dagger.File
	// +private
	Values []*dagger.File
	// +private
	Set []string
	// +private
	Namespace string
	// +private
	KubeVersion string
	// +private
	Helm *dagger.Directory
}

// The Helm chart with an environment's values: render, lint, diff, push
//
// Registry, repositories and pull secrets come from berth.yaml, images by digest from receipts, everything else from
// the chart and its values files.
//
// Example: dagger call chart --env dev render
func (b *Berth) Chart(
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
	// Version of Kubernetes to render for.
	// +optional
	kubeVersion string,
	// Source of berth-helm, which is built in the engine; default: the module's own.
	// +defaultPath="/cmd/berth-helm"
	// +ignore=["**/*_test.go", "testdata"]
	helm *dagger.Directory,
) *Chart {
	return &Chart{
		Berth: b, Env: env, Receipt: receipt, Values: values, Set: set, Namespace: namespace, KubeVersion: kubeVersion,
		Helm: helm,
	}
}

// Print the objects as YAML, without a cluster
//
// The contents of Secrets are left out.
//
// Example: dagger call chart --env dev --receipt receipt.json render
func (c *Chart) Render(
	ctx context.Context,
	// How the result is written: YAML (table), or JSON with the images beside it.
	// +default="table"
	format Format,
) (string, error) {
	return withChart(ctx, c, func(o *opened, r pipelines.ChartRequest) (string, error) {
		out, err := o.pipeline.ChartRender(ctx, r)
		if err != nil {
			return "", err
		}
		return write(format, out, func(w io.Writer) error {
			_, err := io.WriteString(w, out.Manifest)
			return err
		})
	})
}

// Check the chart with the values, warnings included, and its images against berth.yaml
//
// A finding fails the call; the findings are then among the progress on standard error.
//
// Example: dagger call chart --env prd lint
func (c *Chart) Lint(
	ctx context.Context,
	// How the result is written.
	// +default="table"
	format Format,
) (string, error) {
	return withChart(ctx, c, func(o *opened, r pipelines.ChartRequest) (string, error) {
		out, err := o.pipeline.ChartLint(ctx, r)
		if err != nil {
			return "", err
		}
		text, err := write(format, out, out.Text)
		if err == nil && out.Err() != nil {
			fmt.Fprint(os.Stderr, text) // a function that fails returns nothing else
			err = out.Err()
		}
		return text, err
	})
}

// Show what a deploy would change, against the cluster or what was rendered before
//
// Nothing is printed when they are equal. The contents of Secrets are not compared.
//
// Example: dagger call chart --env dev --receipt receipt.json diff --kubeconfig file:$HOME/.kube/config
//
// +cache="never"
func (c *Chart) Diff(
	ctx context.Context,
	// Kubeconfig with a token or certificates in it: programs that log in do not run here.
	// +optional
	kubeconfig *dagger.Secret,
	// Context of the kubeconfig; default: the current one.
	// +optional
	kubeContext string,
	// The API server as a service, for a cluster on this machine: tcp://localhost:6443.
	// +optional
	clusterService *dagger.Service,
	// Compare with this rendered manifest instead of the cluster.
	// +optional
	against *dagger.File,
) (string, error) {
	return withChart(ctx, c, func(o *opened, r pipelines.ChartRequest) (string, error) {
		d := pipelines.DeployRequest{ChartRequest: r}
		var before []byte
		switch {
		case (against == nil) == (kubeconfig == nil):
			return "", fault.New(fault.Usage, "diff", "give --kubeconfig of the cluster, or --against a manifest",
				"it compares with one of the two")
		case against != nil:
			text, err := against.Contents(ctx)
			if err != nil {
				return "", err
			}
			before = []byte(text)
		default:
			var err error
			if d.Cluster, err = cluster(ctx, kubeconfig, kubeContext, clusterService); err != nil {
				return "", err
			}
		}
		text, err := o.pipeline.ChartDiff(ctx, d, before)
		return text, here(err, clusterService)
	})
}

// Publish the chart to the environment's registry, under the tag of its version, which never moves
//
// Example: dagger call --ghcr-token env:GITHUB_TOKEN chart --env dev push
//
// +cache="never"
func (c *Chart) Push(
	ctx context.Context,
	// How the result is written.
	// +default="table"
	format Format,
) (string, error) {
	return withChart(ctx, c, func(o *opened, _ pipelines.ChartRequest) (string, error) {
		out, err := o.pipeline.ChartPush(ctx, c.Env)
		if err != nil {
			return "", err
		}
		return write(format, out, out.Text)
	})
}

// withChart opens the repository and reads the files of the request.
func withChart(
	ctx context.Context, c *Chart, do func(*opened, pipelines.ChartRequest) (string, error),
) (string, error) {
	return with(ctx, c.Berth, c.Env, func(o *opened) (string, error) {
		o.helm = c.Helm
		r, err := c.request(ctx, o)
		if err != nil {
			return "", err
		}
		return do(o, r)
	})
}

func (c *Chart) request(ctx context.Context, o *opened) (pipelines.ChartRequest, error) {
	r := pipelines.ChartRequest{
		Environment: c.Env, Set: c.Set, Namespace: c.Namespace, KubeVersion: c.KubeVersion,
	}
	for _, f := range c.Receipt {
		name, err := f.Name(ctx)
		if err != nil {
			return r, err
		}
		text, err := f.Contents(ctx)
		if err != nil {
			return r, err
		}
		receipt, err := chart.ReadReceipt("--receipt "+name, []byte(text))
		if err != nil {
			return r, err
		}
		r.Receipts = append(r.Receipts, receipt)
	}
	for i, f := range c.Values {
		name, err := f.Name(ctx)
		if err != nil {
			return r, err
		}
		file := filepath.Join(o.beside, fmt.Sprintf("values-%d", i), name)
		if _, err := f.Export(ctx, file); err != nil {
			return r, fmt.Errorf("read --values %s: %w", name, err)
		}
		r.Values = append(r.Values, file)
	}
	return r, nil
}

// cluster is the one of a kubeconfig, which stays in memory.
func cluster(
	ctx context.Context, kubeconfig *dagger.Secret, name string, service *dagger.Service,
) (wire.Cluster, error) {
	content, err := plaintext(ctx, "--kubeconfig", kubeconfig)
	if err != nil {
		return wire.Cluster{}, err
	}
	c := wire.Cluster{Config: []byte(content), Context: name}
	if service == nil {
		return c, nil
	}
	next := "start the cluster, or correct the address, for example --cluster-service tcp://localhost:6443"
	started, err := service.Start(ctx)
	if err != nil {
		return c, fault.New(fault.Unavailable, "--cluster-service", next, "it does not start: %s", err)
	}
	if c.Address, err = started.Endpoint(ctx); err != nil {
		return c, fault.New(fault.Unavailable, "--cluster-service", next, "it has no address: %s", err)
	}
	return c, nil
}
