package main

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/berth-sh/berth/cmd/berth-helm/internal/wire"
)

const digestA = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

func environments() []string { return []string{"local", "dev", "prd", "gcp"} }

// request is for the repository's own chart, with the values files of an environment; "" is none.
func request(t *testing.T, verb wire.Verb, env string, set ...string) wire.Request {
	t.Helper()
	dir, err := filepath.Abs("../../deploy")
	if err != nil {
		t.Fatal(err)
	}
	r := wire.Request{
		Version: wire.Version, Verb: verb, Chart: dir, Release: "knative-lambda-builder", Namespace: "knative-lambda",
		Set: set, KubeVersion: "1.34.0",
	}
	if env != "" {
		r.ValueFiles = []string{filepath.Join(dir, "overlays", env, "values-"+env+".yaml")}
	}
	return r
}

// ask goes through the program's own door.
func ask(t *testing.T, r wire.Request) wire.Answer {
	t.Helper()
	in, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var out, events bytes.Buffer
	if err := serve(t.Context(), bytes.NewReader(in), &out, &events); err != nil {
		t.Fatal(err)
	}
	var a wire.Answer
	if err := json.Unmarshal(out.Bytes(), &a); err != nil {
		t.Fatal(err)
	}
	return a
}

func askWell(t *testing.T, r wire.Request) wire.Answer {
	t.Helper()
	a := ask(t, r)
	if a.Fault != nil {
		t.Fatalf("%+v", *a.Fault)
	}
	return a
}

// valid checks every object against the types of Kubernetes.
func valid(t *testing.T, manifest string) []object {
	t.Helper()
	schema, err := jsonschema.NewCompiler().Compile("testdata/kubernetes-1.34.json")
	if err != nil {
		t.Fatal(err)
	}
	all, err := objects(manifest)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range all {
		text, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		instance, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(instance); err != nil {
			t.Errorf("%s %s is not what Kubernetes 1.34 takes: %v", o.kind(), o.name(), err)
		}
	}
	return all
}

func kinds(all []object) []string {
	found := map[string]bool{}
	for _, o := range all {
		found[o.kind()] = true
	}
	return slices.Sorted(maps.Keys(found))
}

func TestValidFindsWhatIsWrong(t *testing.T) {
	t.Parallel()
	schema, err := jsonschema.NewCompiler().Compile("testdata/kubernetes-1.34.json")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"unknown field": `{"apiVersion":"v1","kind":"Service","metadata":{"name":"x"},"spec":{"portz":[]}}`,
		"wrong type":    `{"apiVersion":"v1","kind":"Service","metadata":{"name":"x"},"spec":{"ports":[{"port":"80"}]}}`,
		"missing field": `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"x"},"spec":{}}`,
		"unknown kind":  `{"apiVersion":"v1","kind":"Servize","metadata":{"name":"x"}}`,
	} {
		instance, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if schema.Validate(instance) == nil {
			t.Errorf("%s passes", name)
		}
	}
}

// TestOverlays renders every environment, validates each object, and compares with the golden files; UPDATE=1 writes
// them, for a person to look at before a commit.
func TestOverlays(t *testing.T) {
	t.Parallel()
	for _, env := range environments() {
		t.Run(env, func(t *testing.T) {
			t.Parallel()
			a := askWell(t, request(t, wire.Render, env))
			valid(t, a.Manifest)
			golden := filepath.Join("testdata", "golden", env+".yaml")
			if os.Getenv("UPDATE") != "" {
				if err := os.MkdirAll(filepath.Dir(golden), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(golden, []byte(a.Manifest), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			// The chart's version moves with every release, and says nothing here.
			if diff := cmp.Diff(string(want), unversioned(a)); diff != "" {
				t.Errorf("(-golden +rendered):\n%s", diff)
			}
			if linted := askWell(t, request(t, wire.Lint, env)); len(linted.Messages) > 0 {
				t.Errorf("lint --strict: %+v", linted.Messages)
			}
		})
	}
}

// unversioned writes the golden files' version for that of the chart.
func unversioned(a wire.Answer) string {
	return strings.NewReplacer(
		"knative-lambda-builder-"+a.Version, "knative-lambda-builder-1.0.0",
		`version: "`+a.AppVersion+`"`, `version: "1.0.0"`, ":v"+a.AppVersion+`"`, `:v1.0.0"`,
	).Replace(a.Manifest)
}

// TestOneValueMovesAllImages is the promise of the document that the chart comes from: one --set, and no other
// registry is left anywhere, environment variables included.
func TestOneValueMovesAllImages(t *testing.T) {
	t.Parallel()
	for _, env := range environments() {
		for _, registry := range []string{"ghcr.io/brunovlucena", "localhost:5000/functions"} {
			a := askWell(t, request(t, wire.Render, env, "image.registry="+registry))
			valid(t, a.Manifest)
			for _, image := range a.Images {
				if !strings.HasPrefix(image, registry+"/knative-lambda-") {
					t.Errorf("%s: %s is not from %s", env, image, registry)
				}
			}
			if len(a.Images) != 3 {
				t.Errorf("%s: images %v", env, a.Images)
			}
			rest := strings.ReplaceAll(a.Manifest, registry, "")
			for _, host := range []string{"ghcr.io", "amazonaws.com", "gcr.io/", "docker.io", "quay.io"} {
				if strings.Contains(rest, host) {
					t.Errorf("%s with %s still names %s", env, registry, host)
				}
			}
		}
	}
}

// TestTemplateBranches turns each option of the chart, and says what must come out.
func TestTemplateBranches(t *testing.T) {
	t.Parallel()
	base := []string{"Deployment", "Service", "ServiceAccount"}
	with := func(more ...string) []string { return slices.Sorted(slices.Values(append(more, base...))) }
	for name, tt := range map[string]struct {
		set   []string
		kinds []string
		has   []string
		lacks []string
	}{
		"defaults":               {nil, base, []string{"replicas: 1", "knative-lambda-builder:v", "automountServiceAccountToken: false"}, []string{"imagePullSecrets"}},
		"digest before tag":      {[]string{"builder.image.digest=" + digestA, "builder.image.tag=v9", "image.tag=v8"}, base, []string{"knative-lambda-builder@" + digestA, "knative-lambda-sidecar:v8"}, []string{"builder:v9"}},
		"own tag before shared":  {[]string{"builder.image.tag=v9", "image.tag=v8"}, base, []string{"builder:v9", "sidecar:v8", "pusher:v8"}, nil},
		"own registry":           {[]string{"sidecar.image.registry=quay.io/x"}, base, []string{"quay.io/x/knative-lambda-sidecar:", "ghcr.io/brunovlucena/knative-lambda-builder:"}, nil},
		"own pull policy":        {[]string{"sidecar.image.pullPolicy=Never"}, base, []string{"imagePullPolicy: Never", "imagePullPolicy: IfNotPresent"}, nil},
		"builder's own registry": {[]string{"builder.imageRegistry=quay.io/f"}, base, []string{`value: "quay.io/f"`}, nil},
		"existing secret":        {[]string{"imagePullSecrets[0].name=s1"}, base, []string{"- name: s1"}, []string{"kind: Secret"}},
		"secret of the chart": {
			[]string{"pullSecret.create=true", "pullSecret.username=u", "pullSecret.password=p", "imagePullSecrets[0].name=s1"},
			with("Secret"),
			[]string{"- name: s1", "- name: knative-lambda-builder-pull", "type: kubernetes.io/dockerconfigjson"},
			nil,
		},
		"named secret of the chart": {
			[]string{"pullSecret.create=true", "pullSecret.username=u", "pullSecret.password=p", "pullSecret.name=mine", "imagePullSecrets[0].name=mine"},
			with("Secret"),
			[]string{"name: mine"},
			[]string{"builder-pull"},
		},
		"no sidecar":               {[]string{"sidecar.enabled=false"}, base, nil, []string{"knative-lambda-sidecar", "volumes:"}},
		"no pusher":                {[]string{"metricsPusher.enabled=false"}, base, nil, []string{"metrics-pusher"}},
		"token of the pusher":      {[]string{"metricsPusher.tokenSecret.name=tok"}, base, []string{"secretName: tok", "/var/run/remote-write/token"}, nil},
		"token, no sidecar":        {[]string{"metricsPusher.tokenSecret.name=tok", "sidecar.enabled=false"}, base, []string{"secretName: tok"}, []string{"emptyDir"}},
		"token, no pusher":         {[]string{"metricsPusher.tokenSecret.name=tok", "metricsPusher.enabled=false"}, base, nil, []string{"secretName: tok"}},
		"environment":              {[]string{"builder.env.DRAIN_DELAY=5s", "builder.env.IMAGE_REGISTRY=x.io/y"}, base, []string{"DRAIN_DELAY", `value: "x.io/y"`}, nil},
		"account that exists":      {[]string{"serviceAccount.create=false", "serviceAccount.name=me"}, []string{"Deployment", "Service"}, []string{"serviceAccountName: me"}, nil},
		"account of the namespace": {[]string{"serviceAccount.create=false"}, []string{"Deployment", "Service"}, []string{"serviceAccountName: default"}, nil},
		"account with annotations": {[]string{`serviceAccount.annotations.eks\.amazonaws\.com/role-arn=arn`}, base, []string{"eks.amazonaws.com/role-arn: arn"}, nil},
		"service":                  {[]string{"service.type=NodePort", "service.port=8080", "service.annotations.a=b"}, base, []string{"type: NodePort", "port: 8080", "a: b"}, nil},
		"autoscaling":              {[]string{"autoscaling.enabled=true"}, with("HorizontalPodAutoscaler"), []string{"averageUtilization: 80"}, []string{"replicas: 1\n"}},
		"disruption budget":        {[]string{"podDisruptionBudget.enabled=true", "podDisruptionBudget.maxUnavailable=50%"}, with("PodDisruptionBudget"), []string{"maxUnavailable: 50%"}, nil},
		"network policy":           {[]string{"networkPolicy.enabled=true", "networkPolicy.namespaceSelector.matchLabels.team=a"}, with("NetworkPolicy"), []string{"team: a", "port: http"}, nil},
		"names":                    {[]string{"nameOverride=kl"}, base, []string{"app: kl\n", "name: knative-lambda-builder-kl", "app.kubernetes.io/name: kl"}, nil},
		"full name":                {[]string{"fullnameOverride=kl"}, base, []string{"name: kl\n"}, nil},
		"pods": {
			[]string{"podAnnotations.a=b", "podLabels.c=d", "nodeSelector.e=f", "tolerations[0].operator=Exists", "affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchFields[0].key=metadata.name", "affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchFields[0].operator=Exists", "priorityClassName=high"},
			base,
			[]string{"a: b", "c: d", "e: f", "operator: Exists", "nodeAffinity", "priorityClassName: high"},
			nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := request(t, wire.Render, "", tt.set...)
			r.ShowSecrets = true
			a := askWell(t, r)
			if diff := cmp.Diff(tt.kinds, kinds(valid(t, a.Manifest))); diff != "" {
				t.Errorf("kinds (-want +got):\n%s", diff)
			}
			for _, text := range tt.has {
				if !strings.Contains(a.Manifest, text) {
					t.Errorf("lacks %q", text)
				}
			}
			for _, text := range tt.lacks {
				if strings.Contains(a.Manifest, text) {
					t.Errorf("has %q", text)
				}
			}
			r.Verb = wire.Lint
			if linted := askWell(t, r); len(linted.Messages) > 0 {
				t.Errorf("lint: %+v", linted.Messages)
			}
		})
	}
}

func TestPodsAreRestricted(t *testing.T) {
	t.Parallel()
	a := askWell(t, request(t, wire.Render, "prd"))
	for text, times := range map[string]int{
		"runAsNonRoot: true": 1, "seccompProfile: {type: RuntimeDefault}": 1, "allowPrivilegeEscalation: false": 3,
		"capabilities: {drop: [ALL]}": 3, "readOnlyRootFilesystem: true": 3, "path: /readyz": 3, "path: /healthz": 6,
	} {
		if got := strings.Count(a.Manifest, text); got != times {
			t.Errorf("%q is there %d times, want %d", text, got, times)
		}
	}
}

// TestSecretsStayHidden: nothing of a secret leaves the program unless it is asked for.
func TestSecretsStayHidden(t *testing.T) {
	t.Parallel()
	set := []string{"pullSecret.create=true", "pullSecret.username=robot", "pullSecret.password=planted-7f3a"}
	hidden := askWell(t, request(t, wire.Render, "dev", set...))
	text, err := json.Marshal(hidden)
	if err != nil {
		t.Fatal(err)
	}
	r := request(t, wire.Render, "dev", set...)
	r.ShowSecrets = true
	shown := askWell(t, r)
	encoded := ""
	for line := range strings.Lines(shown.Manifest) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), ".dockerconfigjson: "); ok {
			encoded = value
		}
	}
	if len(encoded) < 40 {
		t.Fatalf("--show-secrets shows %q", encoded)
	}
	for _, secret := range []string{"planted-7f3a", encoded} {
		if bytes.Contains(text, []byte(secret)) {
			t.Error("the answer holds the secret")
		}
	}
	bad := ask(t, request(t, wire.Render, "dev", "pullSecret.create=true", "pullSecret.password[=planted-7f3a"))
	if bad.Fault == nil || strings.Contains(bad.Fault.Message+bad.Fault.Subject, "planted-7f3a") {
		t.Errorf("a broken --set: %+v", bad.Fault)
	}
}

func TestBadValuesAreRefused(t *testing.T) {
	t.Parallel()
	for set, says := range map[string]string{
		"image.tagg=x":                         "'tagg' not allowed",
		"imagee.registry=x":                    "'imagee' not allowed",
		"image.digest=" + digestA:              "'digest' not allowed",
		"replicas=two":                         "/replicas",
		"replicas=-1":                          "/replicas",
		"image.registry=https://ghcr.io/x":     "/image/registry",
		"image.registry=ghcr.io/x/":            "/image/registry",
		"builder.image.digest=sha256:12":       "/builder/image/digest",
		"builder.image.pullPolicy=Sometimes":   "/builder/image/pullPolicy",
		"image.tag=a b":                        "/image/tag",
		"builder.env.PORT=9090":                "/builder/env/PORT",
		"sidecar.env.PORT=9090":                "/sidecar/env/PORT",
		"metricsPusher.env.PORT=9090":          "/metricsPusher/env/PORT",
		"pullSecret.create=true":               "pullSecret.username is empty",
		"metricsPusher.remoteWriteUrl=nowhere": "/metricsPusher/remoteWriteUrl",
		"service.port=99999":                   "/service/port",
	} {
		t.Run(set, func(t *testing.T) {
			t.Parallel()
			a := ask(t, request(t, wire.Render, "dev", set))
			if a.Fault == nil || a.Fault.Code != codeUsage || !strings.Contains(a.Fault.Message, says) || a.Fault.Next == "" {
				t.Errorf("got %+v, want code 2 and %q", a.Fault, says)
			}
			if a.Manifest != "" {
				t.Error("something was rendered all the same")
			}
		})
	}
}
