package chart

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/berth-sh/berth/pipelines/config"
	"github.com/berth-sh/berth/pipelines/fault"
)

const shop = `
apiVersion: berth/v1
project: shop
platforms: [linux/amd64]
components: {web: {go: {}}, api: {go: {}, repository: shop-api}}
registries:
  dev: {prefix: quay.io/jordigilh}
  prod: {prefix: quay.io/kubernaut}
  gcr: {prefix: "gcr.io/${GCP_PROJECT}"}
tags: [{branch: "**", set: ["{sha}"]}]
environments: {dev: {registry: dev}, prd: {registry: prod}, gcp: {registry: gcr}}
`

const (
	digestWeb = "sha256:1111111111111111111111111111111111111111111111111111111111111111"
	digestAPI = "sha256:2222222222222222222222222222222222222222222222222222222222222222"
)

func load(t *testing.T, section string) *config.Config {
	t.Helper()
	c, err := config.Parse("berth.yaml", []byte(shop+section), func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func receiptOf(webTag, apiTag string) *Receipt {
	image := func(component, repository, digest, tag string) Image {
		return Image{
			Component: component, Repository: "quay.io/kubernaut/" + repository, Digest: digest, Version: "1.2.3",
			Tags: []Tag{{Name: "latest", Class: "floating", Action: "moved"}, {Name: tag, Class: "version", Action: "created"}},
		}
	}
	return &Receipt{Environment: "prd", Images: []Image{image("web", "web", digestWeb, webTag), image("api", "shop-api", digestAPI, apiTag)}}
}

const everyShape = `
chart:
  path: deploy
  pullSecrets: {prod: robot}
  set:
    image.registry: "{registry}"
    global.image.registry: "{host}"
    global.image.namespace: "{namespace}"
    global.image.tag: "{tag}"
    global.env: "{env}-{version}"
    imagePullSecrets: "{pullSecrets}"
    pullSecretNames: "{pullSecretNames}"
  components:
    web: {web.image: "{image}", web.repository: "{repository}"}
    api: {"images[0].digest": "{digest}", api.name: "{name}"}
`

func TestSettings(t *testing.T) {
	t.Parallel()
	c := load(t, everyShape)
	always := []Setting{
		{"api.name", "quay.io/kubernaut/shop-api"},
		{"global.image.namespace", "kubernaut"},
		{"global.image.registry", "quay.io"},
		{"image.registry", "quay.io/kubernaut"},
		{"imagePullSecrets", []map[string]string{{"name": "robot"}}},
		{"pullSecretNames", []string{"robot"}},
		{"web.repository", "web"},
	}
	got, err := Settings(c, "prd", nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(always, got); diff != "" {
		t.Errorf("without a receipt (-want +got):\n%s", diff)
	}
	got, err = Settings(c, "prd", receiptOf("v1.2.3", "v1.2.3"))
	if err != nil {
		t.Fatal(err)
	}
	with := []Setting{
		always[0],
		{"global.env", "prd-1.2.3"},
		always[1], always[2],
		{"global.image.tag", "v1.2.3"},
		always[3], always[4],
		{"images[0].digest", digestAPI},
		always[5],
		{"web.image", "quay.io/kubernaut/web@" + digestWeb},
		always[6],
	}
	if diff := cmp.Diff(with, got); diff != "" {
		t.Errorf("with a receipt (-want +got):\n%s", diff)
	}
	got, err = Settings(c, "dev", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range got {
		if s.Path == "imagePullSecrets" && len(s.Value.([]map[string]string)) != 0 {
			t.Errorf("dev has pull secrets: %v", s.Value)
		}
	}
}

func TestSettingsRefuse(t *testing.T) {
	t.Parallel()
	alter := func(change func(*Receipt)) *Receipt {
		r := receiptOf("v1.2.3", "v1.2.3")
		change(r)
		return r
	}
	for name, tt := range map[string]struct {
		section, env string
		receipt      *Receipt
		says         string
	}{
		"no chart":            {"", "dev", nil, "has no chart"},
		"unknown environment": {everyShape, "nope", nil, "no such environment"},
		"unset variable":      {everyShape, "gcp", nil, "GCP_PROJECT is not set"},
		"other environment":   {everyShape, "dev", receiptOf("v1", "v1"), "receipt of environment prd"},
		"other tags":          {everyShape, "prd", receiptOf("v1.2.3", "v1.2.4"), "one tag is set for all components"},
		"missing component":   {everyShape, "prd", alter(func(r *Receipt) { r.Images = r.Images[:1] }), "no image of component api"},
		"unknown component":   {everyShape, "prd", alter(func(r *Receipt) { r.Images[0].Component = "x" }), `no component "x"`},
		"other registry":      {everyShape, "prd", alter(func(r *Receipt) { r.Images[0].Repository = "quay.io/jordigilh/web" }), "takes it from quay.io/kubernaut/web"},
		"no digest":           {everyShape, "prd", alter(func(r *Receipt) { r.Images[0].Digest = "sha256:12" }), "is no digest"},
		"another's digest":    {everyShape, "prd", alter(func(r *Receipt) { r.Images[0].Digest = digestAPI }), "have the same digest"},
		"set twice":           {"\nchart: {path: d, set: {a: \"{env}\"}, components: {web: {a: \"{name}\"}}}\n", "dev", nil, "set twice"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Settings(load(t, tt.section), tt.env, tt.receipt)
			if err == nil || fault.CodeOf(err) != fault.Usage || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v, want code 2 and %q", err, tt.says)
			}
		})
	}
}

func TestBadChartSections(t *testing.T) {
	t.Parallel()
	for section, says := range map[string]string{
		"chart: {path: ../x}":                                "berth.yaml:12:15",
		"chart: {path: d, set: {\"a b\": x}}":                "no path of a value",
		"chart: {path: d, set: {a: \"{digest}\"}}":           `no field "{digest}"`,
		"chart: {path: d, set: {a: \"x{pullSecrets}\"}}":     "text around a list",
		"chart: {path: d, components: {webb: {}}}":           `no component "webb"`,
		"chart: {path: d, pullSecrets: {nope: s}}":           `no registry "nope"`,
		"chart: {path: d, values: [\"{environment}.yaml\"]}": "no field",
		"chart: {path: d, repository: Charts}":               "no path of a repository",
		"chart: {path: d, component: {}}":                    `unknown key "component"`,
	} {
		_, err := config.Parse("berth.yaml", []byte(shop+section+"\n"), func(string) (string, bool) { return "", false })
		if err == nil || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), "berth.yaml:") {
			t.Errorf("%s: got %v, want %q", section, err, says)
		}
	}
}

func TestReadReceipt(t *testing.T) {
	t.Parallel()
	publish := `{"environment":"prd","version":"1.2.3","images":[{"component":"web","repository":"r","digest":"d","tags":[` +
		`{"name":"latest","class":"floating","action":"kept"},{"name":"abc","class":"floating","action":"created"}]}]}`
	r, err := ReadReceipt("x", []byte(publish))
	if err != nil || r.Images[0].Version != "1.2.3" || r.Images[0].tag() != "abc" {
		t.Errorf("%+v, %v", r, err)
	}
	promote := `{"from":"dev","environment":"prd","images":[{"component":"web","repository":"r","digest":"e","version":"2.0.0","tags":[]}]}`
	p, err := ReadReceipt("x", []byte(promote))
	if err != nil || p.Images[0].Version != "2.0.0" {
		t.Errorf("%+v, %v", p, err)
	}
	merged, err := Merge([]Receipt{r, p})
	if err != nil || len(merged.Images) != 1 || merged.Images[0].Digest != "e" {
		t.Errorf("the last receipt counts: %+v, %v", merged, err)
	}
	p.Environment = "dev"
	if _, err := Merge([]Receipt{r, p}); err == nil {
		t.Error("receipts of two environments were merged")
	}
	for _, text := range []string{"", "{}", "[]", "no JSON", `{"environment":"x","images":[]}`} {
		if _, err := ReadReceipt("x", []byte(text)); fault.CodeOf(err) != fault.Usage {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestCheckImages(t *testing.T) {
	t.Parallel()
	c := load(t, everyShape)
	receipt := receiptOf("v1", "v1")
	for name, tt := range map[string]struct {
		receipt *Receipt
		images  []string
		says    string
	}{
		"as published":          {receipt, []string{"quay.io/kubernaut/web@" + digestWeb, "quay.io/kubernaut/shop-api@" + digestAPI}, ""},
		"with a tag as well":    {receipt, []string{"quay.io/kubernaut/web:v1@" + digestWeb}, ""},
		"somebody else's image": {receipt, []string{"docker.io/library/redis:7"}, ""},
		"no receipt":            {nil, []string{"quay.io/kubernaut/web:v1"}, ""},
		"another environment's": {nil, []string{"quay.io/jordigilh/web:v1"}, "is from registry dev"},
		"tag only":              {receipt, []string{"quay.io/kubernaut/web:v1"}, "does not render that"},
		"another's digest":      {receipt, []string{"quay.io/kubernaut/web@" + digestAPI}, "that of component api"},
		"an older digest":       {receipt, []string{"quay.io/kubernaut/web@sha256:00"}, "does not render that"},
	} {
		err := CheckImages(c, "prd", tt.receipt, tt.images)
		if (tt.says == "") != (err == nil) || err != nil && (fault.CodeOf(err) != fault.Refused || !strings.Contains(err.Error(), tt.says)) {
			t.Errorf("%s: got %v, want %q", name, err, tt.says)
		}
	}
}
