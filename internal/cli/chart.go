package cli

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/berth-sh/berth/pipelines"
	"github.com/berth-sh/berth/pipelines/chart"
	"github.com/berth-sh/berth/pipelines/chart/wire"
	"github.com/berth-sh/berth/pipelines/fault"
)

func chartCommand(a *app) *cobra.Command {
	g := group("chart", "Render, check, deploy and publish the Helm chart",
		chartRenderCommand(a), chartLintCommand(a), chartDiffCommand(a), chartDeployCommand(a), chartSyncCommand(a),
		chartPushCommand(a))
	g.Long = `Render, check, deploy and publish the Helm chart of berth.yaml (section chart).

Registry, repositories and pull secrets come from berth.yaml, images by digest from the receipt of a publish or
a promotion (--receipt), everything else from the chart and its values files. Helm itself is in the program
berth-helm, which stands beside berth or is built from the checkout in which this runs.`
	return g
}

// chartFlags are those of the verbs that work with values.
type chartFlags struct {
	receipts, values, set  []string
	namespace, kubeVersion string
	showSecrets            bool
}

func (f *chartFlags) add(cmd *cobra.Command) {
	o := cmd.Flags()
	f.addReceipt(cmd)
	o.StringArrayVar(&f.values, "values", nil, "further values file, which wins over those of berth.yaml; repeatable")
	o.StringArrayVar(&f.set, "set", nil, "value as for helm --set, which wins over all; repeatable")
	o.StringVar(&f.namespace, "namespace", "", "namespace; default: that of berth.yaml")
	o.StringVar(&f.kubeVersion, "kube-version", "", "version of Kubernetes to render for")
}

func (f *chartFlags) addReceipt(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&f.receipts, "receipt", nil,
		"JSON of publish or promote (--format json), - for standard input; repeatable, the last counts")
}

// clusterFlags say which cluster.
type clusterFlags struct{ kubeconfig, context string }

func (f *clusterFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.kubeconfig, "kubeconfig", "", "kubeconfig file; default: KUBECONFIG, else ~/.kube/config")
	cmd.Flags().StringVar(&f.context, "context", "", "context of the kubeconfig; default: the current one")
}

func (a *app) cluster(f clusterFlags) wire.Cluster {
	c := wire.Cluster{Context: f.context}
	if f.kubeconfig != "" {
		c.Kubeconfig = a.path(f.kubeconfig)
	}
	return c
}

func (a *app) chartRequest(f chartFlags) (pipelines.ChartRequest, error) {
	r := pipelines.ChartRequest{
		Environment: a.flags.env, Values: f.values, Set: f.set, Namespace: f.namespace, KubeVersion: f.kubeVersion,
		ShowSecrets: f.showSecrets,
	}
	for _, name := range f.receipts {
		content, err := a.readFile(name)
		if err != nil {
			return r, fault.New(fault.Usage, "--receipt "+name,
				"write one: berth publish --format json > receipt.json", "%w", err)
		}
		receipt, err := chart.ReadReceipt("--receipt "+name, content)
		if err != nil {
			return r, err
		}
		r.Receipts = append(r.Receipts, receipt)
	}
	return r, nil
}

// readFile reads a file, or standard input for "-".
func (a *app) readFile(name string) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(a.process.Stdin)
	}
	return os.ReadFile(a.path(name))
}

// openChart opens the project and reads what the flags name.
func (a *app) openChart(f chartFlags) (*pipelines.Pipeline, pipelines.ChartRequest, error) {
	p, err := a.openBuilding()
	if err != nil {
		return nil, pipelines.ChartRequest{}, err
	}
	r, err := a.chartRequest(f)
	return p, r, err
}

func chartRenderCommand(a *app) *cobra.Command {
	var f chartFlags
	cmd := &cobra.Command{
		Use:   "render",
		Short: "Print the objects of an environment as YAML, without a cluster",
		Long: `Print the objects of an environment as YAML, without a cluster.

An image of another environment's registry is refused, and so is one that the receipt does not name. The contents
of Secrets are left out unless --show-secrets asks for them.`,
		Example: `  berth chart render --env dev
  berth chart render --env dev --receipt receipt.json | kubectl diff -f -`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, r, err := a.openChart(f)
			if err != nil {
				return err
			}
			out, err := p.ChartRender(cmd.Context(), r)
			if err != nil {
				return err
			}
			return a.show(out, func(w io.Writer) error {
				_, err := io.WriteString(w, out.Manifest)
				return err
			})
		},
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&f.showSecrets, "show-secrets", false, "print the contents of Secrets")
	return cmd
}

func chartLintCommand(a *app) *cobra.Command {
	var f chartFlags
	cmd := &cobra.Command{
		Use:   "lint",
		Short: "Check the chart with an environment's values, warnings included",
		Long: `Check the chart with an environment's values: Helm's linter, the chart's values.schema.json, a full rendering,
and the images against the registries of berth.yaml. Warnings fail as errors do.`,
		Example: `  berth chart lint --env prd`,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, r, err := a.openChart(f)
			if err != nil {
				return err
			}
			out, err := p.ChartLint(cmd.Context(), r)
			if err != nil {
				return err
			}
			if err := a.show(out, out.Text); err != nil {
				return err
			}
			return out.Err()
		},
	}
	f.add(cmd)
	return cmd
}

func chartDiffCommand(a *app) *cobra.Command {
	var f chartFlags
	var c clusterFlags
	var against string
	cmd := &cobra.Command{
		Use:   "diff",
		Short: "Show what a deploy would change",
		Long: `Show what a deploy would change, as a unified diff between the release that the cluster runs and what would be
rendered. Nothing is printed when they are equal. The contents of Secrets are not compared.`,
		Example: `  berth chart diff --env dev --receipt receipt.json
  berth chart render --env dev > before.yaml
  berth chart diff --env dev --against before.yaml`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, r, err := a.openChart(f)
			if err != nil {
				return err
			}
			var before []byte
			if against != "" {
				if before, err = a.readFile(against); err != nil {
					return fault.New(fault.Usage, "--against "+against, "write one: berth chart render > FILE", "%w", err)
				}
			}
			text, err := p.ChartDiff(cmd.Context(), pipelines.DeployRequest{ChartRequest: r, Cluster: a.cluster(c)}, before)
			if err != nil {
				return err
			}
			return a.show(map[string]string{"diff": text}, func(w io.Writer) error {
				_, err := io.WriteString(w, text)
				return err
			})
		},
	}
	f.add(cmd)
	c.add(cmd)
	cmd.Flags().StringVar(&against, "against", "", "compare with this rendered manifest instead of the cluster")
	return cmd
}

func chartDeployCommand(a *app) *cobra.Command {
	var f chartFlags
	var c clusterFlags
	r := pipelines.DeployRequest{}
	cmd := &cobra.Command{
		Use:   "deploy",
		Short: "Install or upgrade the release in a cluster, and wait until its pods are ready",
		Long: `Install or upgrade the release in a cluster, and wait until its pods are ready.

A missing namespace or pull secret, values that the chart refuses and images that do not fit the environment are
found before anything changes. Pods that do not get ready are named with the reason, the registry's own words where
an image cannot be pulled, and the release is rolled back to what ran before.`,
		Example: `  berth publish --env dev --format json > receipt.json
  berth chart deploy --env dev --receipt receipt.json
  berth chart deploy --env prd --receipt receipt.json --kubeconfig prd.yaml --timeout 10m`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if r.Timeout < time.Second {
				return usage(cmd, "--timeout %s is shorter than a second", r.Timeout)
			}
			p, request, err := a.openChart(f)
			if err != nil {
				return err
			}
			r.ChartRequest, r.Cluster = request, a.cluster(c)
			out, err := p.ChartDeploy(cmd.Context(), r)
			if err != nil {
				return err
			}
			return a.show(out, out.Text)
		},
	}
	f.add(cmd)
	c.add(cmd)
	cmd.Flags().DurationVar(&r.Timeout, "timeout", 5*time.Minute, "how long the pods may take")
	cmd.Flags().BoolVar(&r.KeepFailed, "keep-failed", false, "leave a failed release as it is instead of rolling it back")
	cmd.Flags().BoolVar(&r.CreateNamespace, "create-namespace", false, "make a missing namespace")
	return cmd
}

func chartSyncCommand(a *app) *cobra.Command {
	var f chartFlags
	var check bool
	cmd := &cobra.Command{
		Use:   "sync",
		Short: "Write registry, repositories and pull secrets of berth.yaml into the environment's values file",
		Long: `Write registry, repositories and pull secrets of berth.yaml into the environment's values file, the last one of
chart.values. With --receipt the images are written too, for clusters that deploy from git. Comments, order and
everything else of the file stay as they are.`,
		Example: `  berth chart sync --env prd
  berth chart sync --env prd --check
  berth chart sync --env prd --receipt receipt.json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, r, err := a.openChart(f)
			if err != nil {
				return err
			}
			out, err := p.ChartSync(cmd.Context(), r, check)
			if err != nil {
				return err
			}
			if err := a.show(out, func(w io.Writer) error { return writeSynced(w, out, check) }); err != nil {
				return err
			}
			if check && len(out.Changed) > 0 {
				return fault.New(fault.Refused, out.File, "write it: berth chart sync --env "+out.Environment,
					"it is not what berth.yaml says")
			}
			return nil
		},
	}
	f.addReceipt(cmd)
	cmd.Flags().BoolVar(&check, "check", false, "only compare, and fail when the file would change")
	return cmd
}

func writeSynced(w io.Writer, s chart.Synced, check bool) error {
	verb := "set"
	if check {
		verb = "differs"
	}
	for _, c := range s.Changed {
		if _, err := fmt.Fprintf(w, "%s: %s %s\n", s.File, c.Path, verb); err != nil {
			return err
		}
	}
	if len(s.Changed) > 0 {
		return nil
	}
	_, err := fmt.Fprintf(w, "%s: unchanged\n", s.File)
	return err
}

func chartPushCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "push",
		Short: "Publish the chart to the environment's registry, under the tag of its version",
		Long: `Publish the chart to the environment's registry as an OCI artifact, under the tag of its version. The digest
depends on the chart's files alone. The tag never moves: the same chart again is unchanged, another one is
refused. Git ref and account are held to the rules of the environment, as for images.`,
		Example: `  berth chart push --env dev
  helm pull oci://ghcr.io/OWNER/charts/NAME --version 1.0.0`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := a.openBuilding()
			if err != nil {
				return err
			}
			if err := a.reach(cmd.Context(), p); err != nil {
				return err
			}
			out, err := p.ChartPush(cmd.Context(), a.flags.env)
			if err != nil {
				return err
			}
			return a.show(out, out.Text)
		},
	}
}
