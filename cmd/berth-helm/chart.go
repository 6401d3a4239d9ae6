package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"helm.sh/helm/v4/pkg/action"
	ci "helm.sh/helm/v4/pkg/chart"
	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/loader/archive"
	chart "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/lint"
	"helm.sh/helm/v4/pkg/chart/v2/lint/support"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	chartutil "helm.sh/helm/v4/pkg/chart/v2/util"
	release "helm.sh/helm/v4/pkg/release/v1"
	"helm.sh/helm/v4/pkg/strvals"

	"github.com/berth-sh/berth/cmd/berth-helm/internal/wire"
)

// load reads the chart, with its dependencies in charts/.
func load(r wire.Request) (*chart.Chart, error) {
	c, err := loader.LoadDir(r.Chart)
	if err != nil {
		return nil, &failure{code: codeUsage, subject: r.Chart, next: "name the folder of a Helm chart", err: err}
	}
	if err := c.Validate(); err != nil {
		return nil, &failure{code: codeUsage, subject: filepath.Join(r.Chart, "Chart.yaml"), err: err}
	}
	if missing := action.CheckDependencies(c, dependencies(c)); missing != nil {
		return nil, &failure{
			code: codeUsage, subject: r.Chart, next: "put them there: helm dependency build " + r.Chart, err: missing,
		}
	}
	return c, nil
}

// values merges files, values and assignments; the later win.
func values(r wire.Request) (map[string]any, error) {
	merged := map[string]any{}
	for _, name := range r.ValueFiles {
		f, err := os.Open(name)
		if err != nil {
			return nil, &failure{code: codeUsage, subject: name, next: "name a values file that exists", err: cause(err)}
		}
		one, err := loader.LoadValues(f)
		_ = f.Close() // it was only read
		if err != nil {
			return nil, &failure{code: codeUsage, subject: name, next: "correct the YAML there", err: err}
		}
		merged = loader.MergeMaps(merged, one)
	}
	for _, v := range r.Values {
		if err := strvals.ParseJSON(v.Path+"="+v.JSON, merged); err != nil {
			return nil, &failure{code: codeUsage, subject: v.Path, next: "correct the path in chart of berth.yaml", err: err}
		}
	}
	for _, assignment := range r.Set {
		if err := strvals.ParseInto(assignment, merged); err != nil {
			// The assignment stays out of the message: it may hold a password.
			key, _, _ := strings.Cut(assignment, "=")
			return nil, &failure{code: codeUsage, subject: "--set " + key, next: "write --set path.to.key=value", err: err}
		}
	}
	return merged, nil
}

// cause is a file's error without its name, which stands in the subject.
func cause(err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// newInstall is a Helm action that asks no cluster.
func newInstall(r wire.Request) (*action.Install, error) {
	i := action.NewInstall(action.NewConfiguration(action.ConfigurationSetLogger(slog.DiscardHandler)))
	i.DryRunStrategy = action.DryRunClient
	i.ReleaseName, i.Namespace = r.Release, r.Namespace
	i.Replace = true // nothing is stored, so that no name is taken
	i.IncludeCRDs = true
	i.HideSecret = !r.ShowSecrets
	if r.KubeVersion != "" {
		v, err := common.ParseKubeVersion(r.KubeVersion)
		if err != nil {
			return nil, &failure{code: codeUsage, subject: "--kube-version", next: "write for example 1.34", err: err}
		}
		i.KubeVersion = v
	}
	return i, nil
}

// render renders as `helm template` does.
func render(ctx context.Context, r wire.Request, a *wire.Answer) error {
	c, vals, err := loadAll(r)
	if err != nil {
		return err
	}
	return renderInto(ctx, r, c, vals, a)
}

func loadAll(r wire.Request) (*chart.Chart, map[string]any, error) {
	c, err := load(r)
	if err != nil {
		return nil, nil, err
	}
	vals, err := values(r)
	return c, vals, err
}

func renderInto(ctx context.Context, r wire.Request, c *chart.Chart, vals map[string]any, a *wire.Answer) error {
	open := r
	open.ShowSecrets = true // what the chart writes itself is no missing pull secret
	full, err := dryRun(ctx, open, c, vals)
	if err != nil {
		return err
	}
	describe(c, a)
	if err := inspect(manifestOf(full), a); err != nil {
		return err
	}
	shown := full
	if !r.ShowSecrets {
		if shown, err = dryRun(ctx, r, c, vals); err != nil {
			return err
		}
	}
	a.Manifest, a.Notes = manifestOf(shown), shown.Info.Notes
	return nil
}

func dryRun(ctx context.Context, r wire.Request, c *chart.Chart, vals map[string]any) (*release.Release, error) {
	i, err := newInstall(r)
	if err != nil {
		return nil, err
	}
	out, err := i.RunWithContext(ctx, c, vals)
	if err != nil {
		return nil, &failure{code: codeUsage, subject: "chart " + c.Name(), next: nextOf(err), err: err}
	}
	rel, ok := out.(*release.Release)
	if !ok {
		return nil, fmt.Errorf("helm returned a %T", out)
	}
	return rel, nil
}

// nextOf tells values that the schema refuses from a template that fails.
func nextOf(err error) string {
	switch {
	case strings.Contains(err.Error(), "don't meet the specifications of the schema"):
		return "correct the values: values.schema.json of the chart says what it takes"
	case strings.Contains(err.Error(), "kubeVersion"):
		return "render for another version of Kubernetes: --kube-version"
	default:
		return "correct the values or the template"
	}
}

// manifestOf lists the objects with the hooks, as `helm template` prints them.
func manifestOf(rel *release.Release) string {
	var out strings.Builder
	fmt.Fprintln(&out, strings.TrimSpace(rel.Manifest))
	for _, hook := range rel.Hooks {
		fmt.Fprintf(&out, "---\n# Source: %s\n%s\n", hook.Path, strings.TrimSpace(hook.Manifest))
	}
	return out.String()
}

func describe(c *chart.Chart, a *wire.Answer) {
	a.Chart, a.Version, a.AppVersion = c.Name(), c.Metadata.Version, c.Metadata.AppVersion
}

// check lints. Helm's linter renders with placeholders for missing values, so that a real rendering follows.
func check(ctx context.Context, r wire.Request, a *wire.Answer) error {
	c, vals, err := loadAll(r)
	if err != nil {
		return err
	}
	describe(c, a)
	var options []lint.LinterOption
	if r.KubeVersion != "" {
		v, err := common.ParseKubeVersion(r.KubeVersion)
		if err != nil {
			return &failure{code: codeUsage, subject: "--kube-version", next: "write for example 1.34", err: err}
		}
		options = append(options, lint.WithKubeVersion(v))
	}
	for _, m := range lint.RunAll(r.Chart, vals, r.Namespace, options...).Messages {
		severity := map[int]string{support.InfoSev: "info", support.WarningSev: "warning"}[m.Severity]
		if severity == "" {
			severity = "error"
		}
		text := strings.TrimSpace(m.Err.Error())
		if severity == "info" && text == "icon is recommended" {
			continue // a picture for a catalogue of charts says nothing of what is deployed
		}
		a.Messages = append(a.Messages, wire.Message{Severity: severity, Path: m.Path, Text: text})
	}
	if slices.ContainsFunc(a.Messages, func(m wire.Message) bool { return m.Severity == "error" }) {
		return nil
	}
	return renderInto(ctx, r, c, vals, a)
}

// pack reads the files that `helm package` would put into the archive: .helmignore is obeyed, and a symbolic link is
// read as what it points to.
func pack(r wire.Request, a *wire.Answer) error {
	c, err := load(r)
	if err != nil {
		return err
	}
	describe(c, a)
	if a.Metadata, err = json.Marshal(c.Metadata); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "berth-chart-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	name, err := chartutil.Save(c, dir)
	if err != nil {
		return err
	}
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	files, err := archive.LoadArchiveFiles(f)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	for _, x := range files {
		a.Files = append(a.Files, wire.File{Name: c.Name() + "/" + x.Name, Data: x.Data})
	}
	slices.SortFunc(a.Files, func(x, y wire.File) int { return strings.Compare(x.Name, y.Name) })
	return nil
}

func dependencies(c *chart.Chart) []ci.Dependency {
	var out []ci.Dependency
	for _, d := range c.Metadata.Dependencies {
		out = append(out, d)
	}
	return out
}
