package pipelines

import (
	"context"
	"path/filepath"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/diff"

	"github.com/berth-sh/berth/pipelines/chart"
	"github.com/berth-sh/berth/pipelines/chart/wire"
	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/guard"
	"github.com/berth-sh/berth/pipelines/plan"
)

// ChartRequest says what to do with the chart, and for which environment.
type ChartRequest struct {
	// Environment of berth.yaml; empty is that of the git ref.
	Environment string
	// Receipts are what was published or promoted; of an image in several, the last counts. Without any, the values
	// files say which images are deployed.
	Receipts []chart.Receipt
	// Values are further values files, which win over those of berth.yaml, and Set assignments as for helm --set, which
	// win over all.
	Values, Set []string
	// Namespace other than that of berth.yaml.
	Namespace string
	// KubeVersion is the version of Kubernetes to render for; empty is the cluster's, or else that of the Helm library.
	KubeVersion string
	// ShowSecrets leaves the content of Secrets in what is rendered.
	ShowSecrets bool
}

// Rendered is a chart's objects for an environment. Its JSON form is a contract.
type Rendered struct {
	Environment string `json:"environment"`
	Release     string `json:"release"`
	Namespace   string `json:"namespace"`
	Chart       string `json:"chart"`
	Version     string `json:"version"`
	// Images of all containers, and PullSecrets that must be in the namespace before.
	Images      []string `json:"images"`
	PullSecrets []string `json:"pullSecrets"`
	// Manifest holds the objects as YAML documents.
	Manifest string `json:"manifest"`
}

// Linted is what Helm's linter and the rules of berth.yaml say of a chart.
type Linted struct {
	Environment string         `json:"environment"`
	Messages    []wire.Message `json:"messages"`
}

// Deployment is a release that runs. Its JSON form is a contract.
type Deployment struct {
	Environment string   `json:"environment"`
	Release     string   `json:"release"`
	Namespace   string   `json:"namespace"`
	Chart       string   `json:"chart"`
	Version     string   `json:"version"`
	Revision    int      `json:"revision"`
	Images      []string `json:"images"`
	Notes       string   `json:"notes"`
}

// DeployRequest says how a release comes into a cluster.
type DeployRequest struct {
	ChartRequest
	Cluster wire.Cluster
	// Timeout is how long pods may take to get ready.
	Timeout time.Duration
	// KeepFailed leaves a failed release as it is, instead of rolling it back.
	KeepFailed bool
	// CreateNamespace makes a missing namespace.
	CreateNamespace bool
}

func (p *Pipeline) helm() chart.Helm {
	near := []string{p.Project}
	if p.options.Executable != "" {
		near = append([]string{filepath.Dir(resolved(p.options.Executable))}, near...)
	}
	return chart.Helm{
		Lookup: p.options.Lookup, Environ: p.options.Environ, Near: near, Program: p.options.Helm,
		Progress: p.options.Progress,
	}
}

// settle fills in environment and namespace, and decides about values. The receipt is nil when none was given.
func (p *Pipeline) settle(ctx context.Context, r *ChartRequest) (*chart.Receipt, []chart.Setting, error) {
	var receipt *chart.Receipt
	if len(r.Receipts) > 0 {
		merged, err := chart.Merge(r.Receipts)
		if err != nil {
			return nil, nil, err
		}
		receipt = &merged
	}
	switch {
	case r.Environment != "":
	case receipt != nil:
		r.Environment = receipt.Environment
	default:
		chosen, err := p.Choose(ctx, "")
		if err != nil {
			return nil, nil, err
		}
		r.Environment = chosen.Environment
	}
	settings, err := chart.Settings(p.Config, r.Environment, receipt)
	if err == nil && r.Namespace == "" {
		r.Namespace = p.Config.ChartNamespace(r.Environment)
	}
	return receipt, settings, err
}

// chartRequest writes the request for berth-helm.
func (p *Pipeline) chartRequest(
	ctx context.Context, r *ChartRequest, v wire.Verb,
) (wire.Request, *chart.Receipt, error) {
	receipt, settings, err := p.settle(ctx, r)
	if err != nil {
		return wire.Request{}, nil, err
	}
	values, err := chart.Values(settings)
	if err != nil {
		return wire.Request{}, nil, err
	}
	out := wire.Request{
		Verb: v, Chart: p.chartDir(), Release: p.Config.ChartRelease(), Namespace: r.Namespace,
		Values: values, Set: r.Set, ShowSecrets: r.ShowSecrets, KubeVersion: r.KubeVersion,
	}
	for _, name := range p.Config.ChartValues(r.Environment) {
		out.ValueFiles = append(out.ValueFiles, filepath.Join(p.Project, filepath.FromSlash(name)))
	}
	for _, name := range r.Values {
		out.ValueFiles = append(out.ValueFiles, abs(p.options.Dir, name))
	}
	return out, receipt, nil
}

func (p *Pipeline) chartDir() string {
	return filepath.Join(p.Project, filepath.FromSlash(p.Config.Chart.Path))
}

// ChartRender renders the chart's objects without a cluster.
func (p *Pipeline) ChartRender(ctx context.Context, r ChartRequest) (Rendered, error) {
	request, receipt, err := p.chartRequest(ctx, &r, wire.Render)
	if err != nil {
		return Rendered{}, err
	}
	return p.render(ctx, r, request, receipt)
}

func (p *Pipeline) render(
	ctx context.Context, r ChartRequest, request wire.Request, receipt *chart.Receipt,
) (Rendered, error) {
	a, err := p.helm().Do(ctx, request)
	if err != nil {
		return Rendered{}, err
	}
	if err := chart.CheckImages(p.Config, r.Environment, receipt, a.Images); err != nil {
		return Rendered{}, err
	}
	return Rendered{
		Environment: r.Environment, Release: request.Release, Namespace: request.Namespace, Chart: a.Chart,
		Version: a.Version, Images: orEmpty(a.Images), PullSecrets: orEmpty(a.PullSecrets), Manifest: a.Manifest,
	}, nil
}

// orEmpty makes JSON write [] rather than null.
func orEmpty(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

// ChartLint checks chart and values with Helm's linter, and the images that come out against berth.yaml.
func (p *Pipeline) ChartLint(ctx context.Context, r ChartRequest) (Linted, error) {
	request, receipt, err := p.chartRequest(ctx, &r, wire.Lint)
	if err != nil {
		return Linted{}, err
	}
	a, err := p.helm().Do(ctx, request)
	if err != nil {
		return Linted{}, err
	}
	out := Linted{Environment: r.Environment, Messages: a.Messages}
	if out.Messages == nil {
		out.Messages = []wire.Message{}
	}
	return out, chart.CheckImages(p.Config, r.Environment, receipt, a.Images)
}

// ChartDiff compares the release that a cluster runs, or a manifest that was rendered before, with what would be
// deployed. The contents of Secrets are not in it. Empty means equal.
func (p *Pipeline) ChartDiff(ctx context.Context, r DeployRequest, against []byte) (string, error) {
	r.ShowSecrets = false
	request, receipt, err := p.chartRequest(ctx, &r.ChartRequest, wire.Render)
	if err != nil {
		return "", err
	}
	now, err := p.render(ctx, r.ChartRequest, request, receipt)
	if err != nil {
		return "", err
	}
	before, name := string(against), "given"
	if against == nil {
		request.Verb, request.Cluster = wire.Deployed, r.Cluster
		a, err := p.helm().Do(ctx, request)
		if err != nil {
			return "", err
		}
		before, name = a.Manifest, "deployed"
	}
	return string(diff.Diff(name, []byte(canonical(before)), "rendered", []byte(canonical(now.Manifest)))), nil
}

// canonical leaves out blank lines, which Helm writes differently here and there.
func canonical(manifest string) string {
	var out strings.Builder
	for line := range strings.Lines(manifest) {
		if text := strings.TrimRight(line, " \r\n"); text != "" {
			out.WriteString(text + "\n")
		}
	}
	return out.String()
}

// ChartDeploy installs or upgrades the release, waits for its pods, and rolls back what fails.
func (p *Pipeline) ChartDeploy(ctx context.Context, r DeployRequest) (Deployment, error) {
	request, receipt, err := p.chartRequest(ctx, &r.ChartRequest, wire.Render)
	if err != nil {
		return Deployment{}, err
	}
	if _, err := p.render(ctx, r.ChartRequest, request, receipt); err != nil {
		return Deployment{}, err // before the cluster is touched
	}
	request.Verb, request.Cluster = wire.Deploy, r.Cluster
	request.Timeout, request.Atomic = int(r.Timeout.Seconds()), !r.KeepFailed
	request.CreateNamespace = r.CreateNamespace
	a, err := p.helm().Do(ctx, request)
	if err != nil {
		return Deployment{}, p.withPullSecret(err, r.ChartRequest)
	}
	return Deployment{
		Environment: r.Environment, Release: request.Release, Namespace: request.Namespace, Chart: a.Chart,
		Version: a.Version, Revision: a.Revision, Images: orEmpty(a.Images), Notes: a.Notes,
	}, nil
}

// withPullSecret writes how a missing pull secret is made, which only this side knows.
func (p *Pipeline) withPullSecret(err error, r ChartRequest) error {
	if fault.NextOf(err) != wire.PullSecretNext {
		return err
	}
	next := "write it: berth pull-secret --env " + r.Environment + " --namespace " + r.Namespace
	if name := p.Config.Chart.PullSecrets[p.Config.Environments[r.Environment].Registry]; name != "" {
		next += " --name " + name
	}
	return &fault.Error{Err: err, Next: next + " | kubectl apply -f -", Code: fault.CodeOf(err)}
}

// ChartSync writes what berth.yaml says of an environment into its values file: registry, repositories, pull secrets,
// and with receipts also images. With dry it only tells.
func (p *Pipeline) ChartSync(ctx context.Context, r ChartRequest, dry bool) (chart.Synced, error) {
	_, settings, err := p.settle(ctx, &r)
	if err != nil {
		return chart.Synced{}, err
	}
	files := p.Config.ChartValues(r.Environment)
	if len(files) == 0 {
		return chart.Synced{}, p.Config.Fault([]string{"chart"}, `add values: ["overlays/{env}/values-{env}.yaml"]`,
			"the chart has no values file to write")
	}
	out, err := chart.Sync(p.Project, files[len(files)-1], settings, dry)
	out.Environment = r.Environment
	return out, err
}

// ChartPack packages the chart.
func (p *Pipeline) ChartPack(ctx context.Context) (chart.Artifact, error) {
	if p.Config.Chart == nil {
		_, err := chart.Settings(p.Config, "", nil) // says so
		return chart.Artifact{}, err
	}
	a, err := p.helm().Do(ctx, wire.Request{Verb: wire.Package, Chart: p.chartDir()})
	if err != nil {
		return chart.Artifact{}, err
	}
	if err := chart.CheckPortable(p.Config, a.Chart, a.Files); err != nil {
		return chart.Artifact{}, err
	}
	return chart.Pack(ctx, a)
}

// ChartPush publishes the packaged chart to the environment's registry. Git ref and account are held to the rules of
// the environment, as for images.
func (p *Pipeline) ChartPush(ctx context.Context, environment string) (chart.Pushed, error) {
	pl, err := p.Plan(ctx, plan.Request{Environment: environment})
	if err != nil {
		return chart.Pushed{}, err
	}
	if err := pl.Err(); err != nil {
		return chart.Pushed{}, err
	}
	a, err := p.ChartPack(ctx)
	if err != nil {
		return chart.Pushed{}, err
	}
	name := p.Config.ChartRepository(pl.Environment, a.Name)
	target, err := p.client.Repository(name)
	if err != nil {
		return chart.Pushed{}, err
	}
	if len(pl.Writers) > 0 {
		account, err := target.Account(ctx)
		if err != nil {
			return chart.Pushed{}, err
		}
		if err := guard.Writers(pl.Environment, pl.Writers, account); err != nil {
			return chart.Pushed{}, err
		}
	}
	if err := p.createMissing(ctx, p.repositories, pl.Registry, []string{name}); err != nil {
		return chart.Pushed{}, err
	}
	out, err := chart.Push(ctx, guard.New(neverAsked, p.options.Progress), name, target, a, pl.Commit)
	out.Environment = pl.Environment
	return out, err
}

// neverAsked stands for the order of commits, which decides about floating tags only: a chart has none.
func neverAsked(context.Context, string, string) (bool, error) { return false, nil }
