package chart_test

import (
	"strings"
	"testing"

	"github.com/berth-sh/berth/pipelines/chart"
	"github.com/berth-sh/berth/pipelines/chart/wire"
	"github.com/berth-sh/berth/pipelines/config"
	"github.com/berth-sh/berth/pipelines/fault"
)

func TestReadMeta(t *testing.T) {
	t.Parallel()
	m, err := chart.ReadMeta("Chart.yaml", []byte("apiVersion: v2\nname: shop # the shop\nversion: \"1.4.0+a\"\nappVersion: 9\n"))
	if err != nil || m.Name != "shop" || m.Version.String() != "1.4.0+a" {
		t.Errorf("%+v, %v", m, err)
	}
	for text, want := range map[string]string{
		"version: 1.4.0":             "it names no chart",
		"name: shop":                 `version ""`,
		"name: shop\nversion: 1.4":   `version "1.4"`,
		"name: [shop\nversion: 1":    "Chart.yaml: ",
		"name: {a: b}\nversion: 1.0": "Chart.yaml: ",
		"":                           "it names no chart",
	} {
		_, err := chart.ReadMeta("Chart.yaml", []byte(text))
		if fault.CodeOf(err) != fault.Usage || !strings.Contains(err.Error(), want) || fault.NextOf(err) == "" {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

func TestCheckPortable(t *testing.T) {
	t.Parallel()
	const project = `
apiVersion: berth/v1
project: shop
components: {web: {go: {}}}
registries:
  dev: {prefix: quay.io/jordan}
  prd: {prefix: quay.io/acme}
  mirror: {prefix: quay.io/mirror}
environments:
  dev: {registry: dev, tags: [{branch: "**", set: ["{sha}"]}]}
  prd: {registry: prd, promote: {from: dev, set: ["v{version}"]}}
chart: {path: deploy, promote: PROMOTE}
`
	parse := func(promote string) *config.Config {
		t.Helper()
		c, err := config.Parse("berth.yaml", []byte(strings.Replace(project, "PROMOTE", promote, 1)),
			func(string) (string, bool) { return "", false })
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	for values, want := range map[string]string{
		"image: {registry: \"\"}":           "",
		"image: {registry: quay.io/jordan}": "deploy/values.yaml:1:19: the chart is promoted, but its values name registry dev",
		"a:\n  - quay.io/acme/web:v1":       "deploy/values.yaml:2:5: ",
		"a: quay.io/mirror/x":               "environment dev has dev",
		"a: quay.io/jordans/web":            "",
		"# quay.io/jordan":                  "",
		"a: docker.io/library/busybox":      "",
		"a: [":                              "",
	} {
		files := []wire.File{{Name: "shop/values.yaml", Data: []byte(values)}, {Name: "shop/x/values.yaml", Data: []byte("a: quay.io/acme")}}
		err := chart.CheckPortable(parse("true"), "shop", files)
		switch {
		case want == "" && err != nil:
			t.Errorf("%q: %v", values, err)
		case want != "" && (fault.CodeOf(err) != fault.Refused || !strings.Contains(err.Error(), want)):
			t.Errorf("%q: %v, want %s", values, err, want)
		}
		if err := chart.CheckPortable(parse("false"), "shop", files); err != nil {
			t.Errorf("%q of a chart that stays: %v", values, err)
		}
	}
}
