package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"helm.sh/helm/v4/pkg/action"
	chart "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/kube"
	releasecommon "helm.sh/helm/v4/pkg/release/common"
	release "helm.sh/helm/v4/pkg/release/v1"
	"helm.sh/helm/v4/pkg/storage/driver"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/berth-sh/berth/cmd/berth-helm/internal/wire"
)

// history is the number of revisions that are kept, as helm keeps by default.
const history = 10

// cluster is a Kubernetes cluster with the releases in it.
type cluster struct {
	cfg    *action.Configuration
	client kubernetes.Interface
	name   string
}

// connect reads the kubeconfig as kubectl does and asks whether the cluster answers.
func connect(r wire.Request) (*cluster, error) {
	flags, err := getter(r)
	if err != nil {
		return nil, err
	}
	config, err := flags.ToRESTConfig()
	if err != nil {
		return nil, misread(err)
	}
	cfg := action.NewConfiguration(action.ConfigurationSetLogger(slog.DiscardHandler))
	if err := cfg.Init(flags, r.Namespace, ""); err != nil {
		return nil, err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, misread(err)
	}
	c := &cluster{cfg: cfg, client: client, name: "cluster " + config.Host}
	if _, err := client.Discovery().ServerVersion(); err != nil {
		return nil, c.fault(err)
	}
	return c, nil
}

// fault gives an answer of the API server its code.
func (c *cluster) fault(err error) error {
	if apierrors.IsUnauthorized(err) || apierrors.IsForbidden(err) {
		return &failure{
			code: codeCredentials, subject: c.name, next: "use a kubeconfig whose account may do that", err: err,
		}
	}
	return &failure{
		code: codeFailed, subject: c.name, next: "check that it runs and that --kubeconfig and --context name it", err: err,
	}
}

// last is the newest revision of the release; nil when it is not installed.
func (c *cluster) last(name string) (*release.Release, error) {
	all, err := c.cfg.Releases.History(name)
	if errors.Is(err, driver.ErrReleaseNotFound) || err == nil && len(all) == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, c.fault(err)
	}
	var newest *release.Release
	for _, x := range all {
		if one, ok := x.(*release.Release); ok && (newest == nil || one.Version > newest.Version) {
			newest = one
		}
	}
	return newest, nil
}

// deployed reads the objects of the release that runs, Secrets hidden.
func deployed(r wire.Request, a *wire.Answer) error {
	c, err := connect(r)
	if err != nil {
		return err
	}
	stored, err := c.cfg.Releases.Deployed(r.Release)
	if errors.Is(err, driver.ErrReleaseNotFound) || errors.Is(err, driver.ErrNoDeployedReleases) {
		return nil
	}
	if err != nil {
		return c.fault(err)
	}
	rel, ok := stored.(*release.Release)
	if !ok {
		return fmt.Errorf("helm returned a %T", stored)
	}
	a.Revision = rel.Version
	a.Manifest = hidden(manifestOf(rel))
	return inspect(manifestOf(rel), a)
}

// deploy installs or upgrades. What can be found wrong without changing anything is found first.
func deploy(ctx context.Context, r wire.Request, a *wire.Answer, t *teller) error {
	ch, vals, err := loadAll(r)
	if err != nil {
		return err
	}
	c, err := connect(r)
	if err != nil {
		return err
	}
	version, err := c.client.Discovery().ServerVersion()
	if err != nil {
		return c.fault(err)
	}
	if r.KubeVersion == "" {
		r.KubeVersion = version.GitVersion
	}
	if err := renderInto(ctx, r, ch, vals, a); err != nil {
		return err
	}
	before, err := c.last(r.Release)
	if err != nil {
		return err
	}
	if err := c.preflight(ctx, r, a, before); err != nil {
		return err
	}
	w := &watcher{client: c.client, namespace: r.Namespace, release: r.Release, tell: t.tell}
	stop := w.start(ctx)
	rel, err := c.apply(ctx, r, ch, vals, before)
	stop()
	if err != nil {
		return c.explain(r, err, w.problems(), before)
	}
	a.Revision = rel.Version
	return nil
}

// preflight refuses what would leave pods that cannot start: a missing namespace or pull secret, a release that another
// run is changing.
func (c *cluster) preflight(ctx context.Context, r wire.Request, a *wire.Answer, before *release.Release) error {
	if before != nil && before.Info.Status.IsPending() {
		return &failure{
			code: codeFailed, subject: "release " + r.Release,
			next: "wait for the other run; when it was killed: helm rollback " + r.Release + " --namespace " + r.Namespace,
			err:  fmt.Errorf("its revision %d is %s: another run changes it", before.Version, before.Info.Status),
		}
	}
	_, err := c.client.CoreV1().Namespaces().Get(ctx, r.Namespace, metav1.GetOptions{})
	missing := apierrors.IsNotFound(err)
	switch {
	case missing && !r.CreateNamespace:
		return &failure{
			code: codeUsage, subject: "namespace " + r.Namespace,
			next: "create it: kubectl create namespace " + r.Namespace + "; or add --create-namespace",
			err:  errors.New("the cluster does not have it"),
		}
	case err != nil && !missing && !apierrors.IsForbidden(err): // who may not look at namespaces may know it exists
		return c.fault(err)
	}
	var absent []string
	for _, name := range a.PullSecrets {
		if _, err := c.client.CoreV1().Secrets(r.Namespace).Get(ctx, name, metav1.GetOptions{}); apierrors.IsNotFound(err) {
			absent = append(absent, name)
		} else if err != nil && !apierrors.IsForbidden(err) {
			return c.fault(err)
		}
	}
	if len(absent) == 0 {
		return nil
	}
	return &failure{
		code: codeUsage, subject: "namespace " + r.Namespace, next: wire.PullSecretNext,
		err: fmt.Errorf("it lacks the pull secret %s, which the pods name", strings.Join(absent, ", ")),
	}
}

func (c *cluster) apply(
	ctx context.Context, r wire.Request, ch *chart.Chart, vals map[string]any, before *release.Release,
) (*release.Release, error) {
	timeout := time.Duration(r.Timeout) * time.Second
	if before == nil || before.Info.Status == releasecommon.StatusUninstalled {
		i := action.NewInstall(c.cfg)
		i.ReleaseName, i.Namespace, i.CreateNamespace = r.Release, r.Namespace, r.CreateNamespace
		i.WaitStrategy, i.WaitForJobs, i.Timeout = kube.StatusWatcherStrategy, true, timeout
		i.RollbackOnFailure, i.Replace = r.Atomic, before != nil
		return released(i.RunWithContext(ctx, ch, vals))
	}
	u := action.NewUpgrade(c.cfg)
	u.Namespace, u.MaxHistory = r.Namespace, history
	u.WaitStrategy, u.WaitForJobs, u.Timeout = kube.StatusWatcherStrategy, true, timeout
	u.RollbackOnFailure, u.CleanupOnFail = r.Atomic, r.Atomic
	u.ResetValues = true // what a deploy runs is what the files say, not what an earlier one was given
	return released(u.RunWithContext(ctx, r.Release, ch, vals))
}

func released(out any, err error) (*release.Release, error) {
	rel, ok := out.(*release.Release)
	if err == nil && !ok {
		err = fmt.Errorf("helm returned a %T", out)
	}
	return rel, err
}

// explain says why the pods did not get ready, and what became of the release.
func (c *cluster) explain(r wire.Request, err error, problems []string, before *release.Release) error {
	f := &failure{code: codeFailed, subject: "release " + r.Release, err: err}
	if apierrors.IsForbidden(err) {
		f.code = codeCredentials
	}
	now, lookErr := c.last(r.Release)
	switch {
	case lookErr != nil:
		f.next = "look at it: helm status " + r.Release + " --namespace " + r.Namespace
	case now == nil:
		f.next = "nothing is left of it; correct the cause and run the same command again"
	case r.Atomic && before != nil && now.Info.Status == releasecommon.StatusDeployed:
		f.next = fmt.Sprintf("it was rolled back, as revision %d; correct the cause and run the same command again",
			now.Version)
	default:
		f.next = fmt.Sprintf("its revision %d is %s; correct the cause and run the same command again", now.Version,
			now.Info.Status)
	}
	if len(problems) > 0 {
		slices.Sort(problems)
		f.err = fmt.Errorf("%s\n%w", strings.Join(slices.Compact(problems), "\n"), err)
	}
	return f
}
