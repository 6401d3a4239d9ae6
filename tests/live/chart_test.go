package live

import (
	"net/http"
	"strings"
	"testing"
)

const chartYAML = `apiVersion: berth/v1
project: shop
version: {file: VERSION}
platforms: [linux/amd64]
components:
  web: {go: {dir: web}}
registries:
  hub: {kind: oci, prefix: hub.example.com/shop}
environments:
  dev: {registry: hub}
tags:
  - {branch: "**", set: ["v{version}", latest]}
chart:
  path: deploy
  namespace: "shop-{env}"
  set: {image.registry: "{registry}"}
  components: {web: {image.digest: "{digest}"}}
`

// A suspended job is stored and runs nothing, so that it is ready where there are no nodes.
const jobYAML = `apiVersion: batch/v1
kind: CronJob
metadata: {name: web}
spec:
  schedule: "0 0 1 1 *"
  suspend: true
  jobTemplate:
    spec:
      template:
        spec:
          restartPolicy: Never
          containers:
            - name: web
              image: "{{ .Values.image.registry }}/web{{ with .Values.image.digest }}@{{ . }}{{ else }}:{{ .Values.image.tag }}{{ end }}"
`

// newChart is a shop with a chart.
func newChart(t *testing.T) shop {
	t.Helper()
	s := newShop(t)
	s.write("svc/berth.yaml", chartYAML)
	s.write("svc/deploy/Chart.yaml", "apiVersion: v2\nname: shop\nversion: 0.1.0\nicon: https://example.com/icon.png\n")
	s.write("svc/deploy/values.yaml", "image: {registry: \"\", tag: latest, digest: \"\"}\n")
	s.write("svc/deploy/templates/web.yaml", jobYAML)
	s.commit("feat: add a chart")
	return s
}

// The chart takes the images of a receipt, is checked, compared, and published under a tag that never moves.
func TestChart(t *testing.T) {
	t.Parallel()
	s, h := newChart(t), newHub(t, nil)
	s.write("receipt.json", call(t, s.project(), h.service, "publish", "--env", "dev", "--format", "json").ok(t))
	digest := decode[receipt](t, s.read("receipt.json")).Images[0].Digest

	chart := func(args ...string) result {
		t.Helper()
		return call(t, s.project(), append([]string{h.service, "chart", "--env", "dev", "--receipt", "../receipt.json"}, args...)...)
	}
	rendered := chart("render").ok(t)
	if !strings.Contains(rendered, `image: "hub.example.com/shop/web@`+digest+`"`) {
		t.Errorf("rendered without the receipt's image:\n%s", rendered)
	}
	helm := run(t, module(t), nil, "make", "--no-print-directory", "build-helm")
	helm.ok(t)
	program, err := berth()
	if err != nil {
		t.Fatal(err)
	}
	same := run(t, s.project(), []string{"BERTH_HELM=" + module(t) + "/.bin/berth-helm"}, program, "chart", "render", "--env",
		"dev", "--receipt", "../receipt.json").ok(t)
	if rendered != same {
		t.Errorf("the module renders:\n%s\nthe command line:\n%s", rendered, same)
	}
	if text := chart("lint").ok(t); !strings.Contains(text, "environment dev: 0 findings") {
		t.Errorf("lint: %s", text)
	}
	s.write("before.yaml", rendered)
	if text := chart("diff", "--against", "../before.yaml").ok(t); text != "" {
		t.Errorf("differs from itself:\n%s", text)
	}
	without := call(t, s.project(), "chart", "--env", "dev", "diff", "--against", "../before.yaml").ok(t)
	if !strings.Contains(without, "\n-") || !strings.Contains(without, "shop/web:latest") {
		t.Errorf("no difference without the receipt:\n%s", without)
	}

	push := []string{h.service, "chart", "--env", "dev", "push", "--format", "json"}
	type pushed struct {
		Tag struct{ Action string } `json:"tag"`
	}
	for _, want := range []string{"created", "unchanged"} {
		if got := decode[pushed](t, call(t, s.project(), push...).ok(t)).Tag.Action; got != want {
			t.Errorf("push: %s, want %s", got, want)
		}
	}
	puts := 0
	for _, line := range h.Log() {
		if strings.HasPrefix(line, http.MethodPut) && strings.Contains(line, "shop/charts/shop/manifests/0.1.0") {
			puts++
		}
	}
	if puts != 1 {
		t.Errorf("the tag was put %d times: %v", puts, h.Log())
	}

	// What is wrong is one line of cause and one of what to do.
	chart("--env", "nowhere", "render").refused(t, "there is no such environment", "next: known: dev")
	call(t, s.project(), "chart", "--env", "dev", "--set", "image.registry=other.example.com/x", "--receipt", "../receipt.json",
		"diff").refused(t, "it compares with one of the two", "next: give --kubeconfig of the cluster, or --against a manifest")
	call(t, s.project(), "chart", "--env", "dev", "--receipt", "VERSION", "render").refused(t, "it is no receipt",
		"next: give the JSON that `berth publish --format json`")
	s.write("svc/deploy/templates/web.yaml", strings.Replace(jobYAML, "name: web}", "name: Web_}", 1))
	call(t, s.project(), "chart", "--env", "dev", "lint").refused(t, "the linter found problems", "next: correct what stands above")
}

// What a kubeconfig lacks is told before anything is asked of a cluster, and its content is in no log.
func TestDeployNowhere(t *testing.T) {
	t.Parallel()
	s := newChart(t)
	deploy := func(config string, args ...string) result {
		t.Helper()
		r := callWith(t, s.project(), []string{"KUBE=" + config}, append([]string{
			"deploy", "--env", "dev", "--kubeconfig", "env:KUBE",
		}, args...)...)
		if strings.Contains(r.stdout+r.stderr, token) {
			t.Error("the token was printed")
		}
		return r
	}
	const user = "token: " + token
	closed := free(t)
	deploy(kubeconfig("https://localhost:"+closed, "", user)).refused(t, "connection refused",
		"next: localhost is the function's own container here: add --cluster-service tcp://localhost:"+closed)
	deploy(kubeconfig("https://localhost:"+closed, "", user), "--cluster-service", "tcp://localhost:"+closed).refused(t,
		"cluster https://", "next: check that it runs")
	deploy(kubeconfig("https://x", "", "exec: {apiVersion: client.authentication.k8s.io/v1, command: aws}")).refused(t,
		"user u logs in by the program aws, which is not here", "next: give a kubeconfig with a token")
	deploy(kubeconfig("https://x", "certificate-authority: ca.pem", user)).refused(t,
		"cluster c names the file ca.pem, which is not here", "next: write what is in it into the kubeconfig")
	deploy(token).refused(t, "it is no kubeconfig", "next: name one")
	deploy(kubeconfig("https://x", "", user), "--timeout", "1").refused(t, "--timeout 1", "next: write for example 90s")
}

// A release comes into a real API server, again as the next revision, and what is missing there is found before.
func TestDeploy(t *testing.T) {
	t.Parallel()
	s, h := newChart(t), newHub(t, nil)
	a := newAPIServer(t)
	s.write("receipt.json", call(t, s.project(), h.service, "publish", "--env", "dev", "--format", "json").ok(t))
	digest := decode[receipt](t, s.read("receipt.json")).Images[0].Digest
	deploy := func(args ...string) result {
		t.Helper()
		r := callWith(t, s.project(), []string{"KUBE=" + a.config}, append([]string{
			"deploy", "--env", "dev", "--kubeconfig", "env:KUBE", "--cluster-service", "tcp://127.0.0.1:" + a.port,
			"--receipt", "../receipt.json",
		}, args...)...)
		if strings.Contains(r.stdout+r.stderr, token) {
			t.Error("the token was printed")
		}
		return r
	}
	deploy().refused(t, "namespace shop-dev: the cluster does not have it", "next: create it: kubectl create namespace shop-dev")
	if text := deploy("--create-namespace").ok(t); !strings.Contains(text, "release shop, revision 1, in namespace shop-dev") {
		t.Errorf("deployed:\n%s", text)
	}
	code, stored := a.get(t, "/apis/batch/v1/namespaces/shop-dev/cronjobs/web")
	if code != http.StatusOK || !strings.Contains(stored, "hub.example.com/shop/web@"+digest) {
		t.Errorf("the API server has: %d %s", code, stored)
	}
	diff := callWith(t, s.project(), []string{"KUBE=" + a.config}, "chart", "--env", "dev", "--receipt", "../receipt.json", "diff",
		"--kubeconfig", "env:KUBE", "--cluster-service", "tcp://127.0.0.1:"+a.port)
	if text := diff.ok(t); text != "" {
		t.Errorf("what runs differs:\n%s", text)
	}
	again := decode[struct{ Revision int }](t, deploy("--format", "json").ok(t))
	if again.Revision != 2 {
		t.Errorf("revision %d, want 2", again.Revision)
	}
}
