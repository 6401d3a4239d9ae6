//go:build linux

package kubernetes

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/berth-sh/berth/pipelines/publish"
)

// short is how long a deploy that must fail may take to see why.
const short = "20s"

// overlay is an environment and what its values files promise.
type overlay struct {
	environment string
	registry    string
	secret      bool
	pods        int
}

func overlays() []overlay {
	return []overlay{
		{"local", "ghcr.io/brunovlucena", true, 1},
		{"dev", "ghcr.io/brunovlucena", true, 1},
		{"prd", "339954290315.dkr.ecr.us-west-2.amazonaws.com/knative-lambdas", false, 3},
		{"gcp", "gcr.io/my-project", false, 2},
	}
}

func (o overlay) namespace() string { return "knative-lambda-" + o.environment }

// runCases starts the cluster in the namespaces of this process, and deploys to it.
func runCases(t *testing.T, dir string) {
	isolate(t)
	c := newCluster(t, dir)
	t.Log("the cluster:\n" + c.kubectl(t, "", "get", "nodes", "--output=wide"))
	first := c.release(t, c.clone)
	second := c.release(t, c.next(t))
	t.Run("overlays", func(t *testing.T) {
		for _, o := range overlays() {
			t.Run(o.environment, func(t *testing.T) {
				t.Parallel()
				d := deployment{cluster: c, overlay: o}
				if o.environment == "dev" {
					d.refused(t, first)
				}
				d.installed(t, first)
				d.upgraded(t, second)
				switch o.environment {
				case "dev":
					d.mixed(t, second)
				case "local":
					d.rolledBack(t, second)
				}
			})
		}
		t.Run("anonymous", func(t *testing.T) {
			t.Parallel()
			c.anonymous(t, first)
		})
		t.Run("no cluster", func(t *testing.T) {
			t.Parallel()
			c.unreachable(t, first)
		})
		t.Run("test_ghcr_deployment", func(t *testing.T) {
			t.Parallel()
			c.createNamespace(t, "knative-lambda")
			c.seed(t, "test_ghcr_deployment")
			c.takesOver(t, second)
		})
	})
	// These two are for releases that are there.
	t.Run("test_gcr_gke_deployment", func(t *testing.T) { c.seed(t, "test_gcr_gke_deployment") })
	t.Run("test_environment_based_deployment", func(t *testing.T) { c.seed(t, "test_environment_based_deployment") })
}

// release is a version of all images in all registries: the commit, and the receipt of each environment.
type release struct {
	clone    string
	receipts map[string]publish.Receipt
}

func (r release) file(environment string) string { return r.clone + "." + environment + ".json" }

// release publishes a commit to every environment.
func (c *cluster) release(t *testing.T, clone string) release {
	t.Helper()
	r := release{clone: clone, receipts: map[string]publish.Receipt{}}
	for _, o := range overlays() {
		out := run(t, clone, c.shell, "", "berth", "publish", "--quiet", "--env", o.environment, "--format", "json")
		var receipt publish.Receipt
		must(t, json.Unmarshal([]byte(out), &receipt))
		if len(receipt.Images) != 3 {
			t.Fatalf("%d images were published to %s", len(receipt.Images), o.environment)
		}
		r.receipts[o.environment] = receipt
		must(t, os.WriteFile(r.file(o.environment), []byte(out), 0o600))
	}
	return r
}

// next is a clone with the next version.
func (c *cluster) next(t *testing.T) string {
	t.Helper()
	clone := filepath.Join(c.dir, "next")
	run(t, c.dir, c.shell, "", "git", "clone", "--quiet", c.clone, clone)
	run(t, clone, c.shell, "", "berth", "version", "bump", "minor")
	return clone
}

// seed runs a test of DEVOPS-009 in the clone, with kubectl and Helm's own program.
func (c *cluster) seed(t *testing.T, function string) {
	t.Helper()
	seeds := filepath.Join(c.clone, "tests", "seeds")
	t.Log(run(t, c.clone, c.shell, "", "bash", filepath.Join(seeds, "assert.sh"), filepath.Join(seeds, "cluster.sh"), function))
}

func (c *cluster) createNamespace(t *testing.T, name string) {
	t.Helper()
	c.kubectl(t, "", "create", "namespace", name)
}

// deployment is the release of an overlay.
type deployment struct {
	*cluster
	overlay
}

// deploy runs `berth chart deploy`.
func (d deployment) deploy(t *testing.T, r release, more ...string) (stderr string, code int) {
	t.Helper()
	args := []string{"chart", "deploy", "--env", d.environment, "--receipt", r.file(d.environment), "--timeout", "2m"}
	args = append(args, more...)
	stdout, stderr, code := try(t, r.clone, d.shell, "", "berth", args...)
	t.Logf("berth %s\n%s%sexit code %d", strings.Join(args, " "), stderr, stdout, code)
	return stderr, code
}

// fails deploys what must not come up, with that exit code and these words.
func (d deployment) fails(t *testing.T, r release, code int, words []string, more ...string) {
	t.Helper()
	stderr, got := d.deploy(t, r, more...)
	if got != code {
		t.Fatalf("exit code %d, want %d", got, code)
	}
	for _, want := range words {
		if !strings.Contains(stderr, want) {
			t.Errorf("it does not say %q", want)
		}
	}
}

// nothing checks that no object of the chart is left.
func (d deployment) nothing(t *testing.T, namespace string) {
	t.Helper()
	out := d.kubectl(t, "", "get", "deployments,services,secrets,serviceaccounts", "--namespace", namespace,
		"--selector=app.kubernetes.io/instance=knative-lambda-builder", "--output=name")
	if out != "" {
		t.Errorf("the refused deploy left:\n%s", out)
	}
}

// secret writes the pull secret of the environment, as docs/pull-secrets.md says.
func (d deployment) pullSecret(t *testing.T) {
	t.Helper()
	object := run(t, d.clone, d.shell, "", "berth", "pull-secret", "--env", d.environment, "--namespace", d.namespace())
	d.kubectl(t, object, "apply", "--filename=-")
}

// refused deploys without a pull secret, which is seen before anything changes, and with one that the registry does
// not take, which only the node can see.
func (d deployment) refused(t *testing.T, r release) {
	t.Helper()
	d.fails(t, r, 2, []string{"namespace " + d.namespace(), "kubectl create namespace"})
	d.createNamespace(t, d.namespace())
	d.fails(t, r, 2, []string{"lacks the pull secret ghcr-secret", "berth pull-secret"})
	d.nothing(t, d.namespace())
	d.kubectl(t, "", "create", "secret", "docker-registry", "ghcr-secret", "--namespace", d.namespace(),
		"--docker-server=ghcr.io", "--docker-username="+username, "--docker-password=a-wrong-one")
	d.fails(t, r, 1, []string{
		"container builder: ", "ErrImagePull ghcr.io/brunovlucena/knative-lambda-builder@",
		"failed to fetch oauth token: unexpected status: 403 Forbidden",
	},
		"--timeout", short)
	d.pullEvents(t, d.namespace())
	d.nothing(t, d.namespace())
}

// pullEvents prints what the kubelet said of pulls that failed.
func (c *cluster) pullEvents(t *testing.T, namespace string) {
	t.Helper()
	t.Log("events of the refused pull:\n" + c.kubectl(t, "", "get", "events", "--namespace", namespace,
		"--field-selector=reason=Failed", "--output=custom-columns=OBJECT:.involvedObject.name,MESSAGE:.message"))
}

// installed deploys for the first time.
func (d deployment) installed(t *testing.T, r release) {
	t.Helper()
	var more []string
	switch {
	case !d.secret:
		more = []string{"--create-namespace"}
	case d.environment != "dev":
		d.createNamespace(t, d.namespace())
		d.pullSecret(t)
	default:
		d.pullSecret(t)
	}
	if _, code := d.deploy(t, r, more...); code != 0 {
		t.Fatal("the first deploy failed")
	}
	d.runs(t, r, 1)
	d.pulled(t, r)
}

func (d deployment) upgraded(t *testing.T, r release) {
	t.Helper()
	if _, code := d.deploy(t, r); code != 0 {
		t.Fatal("the upgrade failed")
	}
	d.runs(t, r, 2)
	changes := run(t, r.clone, d.shell, "", "berth", "chart", "diff", "--env", d.environment, "--receipt", r.file(d.environment))
	if changes != "" {
		t.Errorf("after the upgrade there is still something to change:\n%s", changes)
	}
}

// mixed deploys the image of one component as another's, which is seen before anything changes.
func (d deployment) mixed(t *testing.T, r release) {
	t.Helper()
	other := r.receipts[d.environment].Images[0]
	if other.Component != "knative-lambda-builder" {
		t.Fatalf("the first image is %s", other.Component)
	}
	d.fails(t, r, 3, []string{"knative-lambda-sidecar", other.Digest, "its digest is that of component knative-lambda-builder"},
		"--set", "sidecar.image.digest="+other.Digest)
	d.runs(t, r, 2)
}

// rolledBack deploys what starts and ends at once.
func (d deployment) rolledBack(t *testing.T, r release) {
	t.Helper()
	d.fails(t, r, 1, []string{"container builder: ", "ended with exit code 2 (Error): ", "DRAIN_DELAY", "it was rolled back"},
		"--set", "builder.env.DRAIN_DELAY=none", "--timeout", short)
	d.runs(t, r, 4)
}

// anonymous deploys pods that bring no pull secret, and shows what the registry says to the node.
func (c *cluster) anonymous(t *testing.T, r release) {
	d := deployment{cluster: c, overlay: overlays()[1]}
	const namespace = "knative-lambda-anonymous"
	d.fails(t, r, 1, []string{
		"container builder: ", "ErrImagePull ghcr.io/brunovlucena/knative-lambda-builder@",
		"failed to fetch anonymous token: unexpected status: 403 Forbidden",
	},
		"--namespace", namespace, "--create-namespace", "--set", "imagePullSecrets=null", "--timeout", short)
	c.pullEvents(t, namespace)
	d.nothing(t, namespace)
}

// takesOver upgrades with berth what helm deployed.
func (c *cluster) takesOver(t *testing.T, r release) {
	t.Helper()
	d := deployment{cluster: c, overlay: overlays()[1]}
	if _, code := d.deploy(t, r, "--namespace", "knative-lambda"); code != 0 {
		t.Error("berth cannot upgrade what helm deployed")
	}
}

// unreachable deploys to a cluster that does not answer, and to one that does not know the account.
func (c *cluster) unreachable(t *testing.T, r release) {
	d := deployment{cluster: c, overlay: overlays()[1]}
	for name, text := range map[string]string{
		"nobody": "clusters: [{name: x, cluster: {server: 'https://127.0.0.1:1'}}]\nusers: [{name: x, user: {token: x}}]\n",
		"wrong": fmt.Sprintf("clusters: [{name: x, cluster: {server: %q, certificate-authority: %q}}]\n"+
			"users: [{name: x, user: {token: wrong}}]\n", server, c.file("apiserver.crt")),
	} {
		file := c.file(name)
		text = "apiVersion: v1\nkind: Config\n" + text + "contexts: [{name: x, context: {cluster: x, user: x}}]\ncurrent-context: x\n"
		must(t, os.WriteFile(file, []byte(text), 0o600))
	}
	d.fails(t, r, 1, []string{"cluster https://127.0.0.1:1", "connection refused"}, "--kubeconfig", c.file("nobody"))
	d.fails(t, r, 4, []string{"cluster " + server, "use a kubeconfig whose account may do that"}, "--kubeconfig", c.file("wrong"))
}
