package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/berth-sh/berth/cmd/berth-helm/internal/wire"
)

// write makes the files of a chart, by name.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func pod(image string) string {
	return "apiVersion: v1\nkind: Pod\nmetadata: {name: {{ .Release.Name }}}\n" +
		"spec:\n  containers:\n    - {name: a, image: " + image + "}\n"
}

const chartFile = "apiVersion: v2\nname: shop\nversion: 1.2.3\ndescription: A shop\n"

// TestOtherShapes: charts name their images in other ways, and berth sets whatever value berth.yaml names.
func TestOtherShapes(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		image, values string
		set           []wire.Value
		want          string
	}{
		"global registry, namespace and tag": {
			`"{{ .Values.global.image.registry }}/{{ .Values.global.image.namespace }}/web:{{ .Values.global.image.tag }}"`,
			"global: {image: {registry: quay.io, namespace: jordigilh, tag: dev}}\n",
			[]wire.Value{
				{Path: "global.image.namespace", JSON: `"kubernaut"`}, {Path: "global.image.tag", JSON: `"v1.10"`},
			},
			"quay.io/kubernaut/web:v1.10",
		},
		"a full string": {
			"{{ .Values.image | quote }}", "image: old\n",
			[]wire.Value{{Path: "image", JSON: `"quay.io/kubernaut/web@` + digestA + `"`}},
			"quay.io/kubernaut/web@" + digestA,
		},
		"an item of a list": {
			"{{ (index .Values.images 1).ref | quote }}", "",
			[]wire.Value{{Path: "images[1].ref", JSON: `"quay.io/b:1"`}},
			"quay.io/b:1",
		},
		"a key with a dot": {
			`{{ index .Values "web.image" | quote }}`, "web.image: old\n",
			[]wire.Value{{Path: `web\.image`, JSON: `"quay.io/b:2"`}},
			"quay.io/b:2",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := write(t, map[string]string{
				"Chart.yaml": chartFile, "values.yaml": tt.values, "templates/pod.yaml": pod(tt.image),
				"more.yaml": "images: [{ref: a}, {ref: b}]\n",
			})
			a := askWell(t, wire.Request{
				Version: wire.Version, Verb: wire.Render, Chart: dir, Release: "shop", Namespace: "shop", Values: tt.set,
				ValueFiles: []string{filepath.Join(dir, "more.yaml")},
			})
			if diff := cmp.Diff([]string{tt.want}, a.Images); diff != "" {
				t.Errorf("images (-want +got):\n%s", diff)
			}
		})
	}
}

// TestLinksAndLargeSchemas: a chart may share its files by symbolic links, and describe its values at length.
func TestLinksAndLargeSchemas(t *testing.T) {
	t.Parallel()
	shared := write(t, map[string]string{"templates/pod.yaml": pod(`"{{ .Values.image }}"`)})
	var properties []string
	for i := range 20000 {
		properties = append(properties, fmt.Sprintf(`"value%d": {"type": "string", "description": "Value number %d."}`, i, i))
	}
	dir := write(t, map[string]string{
		"Chart.yaml": chartFile, "values.yaml": "image: quay.io/a:1\n", ".helmignore": "secret*\n", "secret.txt": "no\n",
		"values.schema.json": `{"type": "object", "properties": {"image": {"type": "string"},` +
			strings.Join(properties, ",") + `}, "additionalProperties": false}`,
	})
	if err := os.Symlink(filepath.Join(shared, "templates"), filepath.Join(dir, "templates")); err != nil {
		t.Fatal(err)
	}
	r := wire.Request{Version: wire.Version, Verb: wire.Render, Chart: dir, Release: "shop", Namespace: "shop"}
	if a := askWell(t, r); !slices.Equal(a.Images, []string{"quay.io/a:1"}) {
		t.Errorf("images %v", a.Images)
	}
	r.Set = []string{"value19999=x", "valueX=y"}
	if a := ask(t, r); a.Fault == nil || !strings.Contains(a.Fault.Message, "valueX") {
		t.Errorf("the schema does not count: %+v", a.Fault)
	}
	r.Verb, r.Set = wire.Package, nil
	var names []string
	for _, f := range askWell(t, r).Files {
		names = append(names, f.Name)
	}
	want := []string{"shop/.helmignore", "shop/Chart.yaml", "shop/templates/pod.yaml", "shop/values.schema.json", "shop/values.yaml"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("packaged files (-want +got):\n%s", diff)
	}
}

func TestPackageOfTheRepositorysChart(t *testing.T) {
	t.Parallel()
	first := askWell(t, request(t, wire.Package, ""))
	second := askWell(t, request(t, wire.Package, ""))
	if diff := cmp.Diff(first.Files, second.Files); diff != "" {
		t.Errorf("two runs differ:\n%s", diff)
	}
	for _, f := range first.Files {
		if strings.Contains(f.Name, "overlays") {
			t.Errorf("%s is in the package", f.Name)
		}
	}
}

func TestWhatIsNoChartIsRefused(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		files map[string]string
		says  string
	}{
		"nothing":          {nil, "Chart.yaml"},
		"no version":       {map[string]string{"Chart.yaml": "apiVersion: v2\nname: x\n"}, "version"},
		"broken template":  {map[string]string{"Chart.yaml": chartFile, "templates/a.yaml": "{{ .Values.x"}, "a.yaml"},
		"no YAML":          {map[string]string{"Chart.yaml": chartFile, "templates/a.yaml": "a: [\n"}, "a.yaml"},
		"missing subchart": {map[string]string{"Chart.yaml": chartFile + "dependencies: [{name: db, version: 1.0.0, repository: \"https://x.example\"}]\n"}, "db"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := ask(t, wire.Request{
				Version: wire.Version, Verb: wire.Render, Chart: write(t, tt.files), Release: "shop", Namespace: "shop",
			})
			if a.Fault == nil || a.Fault.Code != codeUsage || !strings.Contains(a.Fault.Message+a.Fault.Subject, tt.says) {
				t.Errorf("got %+v, want code 2 and %q", a.Fault, tt.says)
			}
		})
	}
}

func TestProtocol(t *testing.T) {
	t.Parallel()
	if a := ask(t, wire.Request{Version: wire.Version + 1, Verb: wire.Render}); a.Fault == nil || a.Fault.Code != codeUsage {
		t.Errorf("another version of the protocol: %+v", a.Fault)
	}
	if a := ask(t, wire.Request{Version: wire.Version, Verb: "dance"}); a.Fault == nil {
		t.Error("an unknown verb passes")
	}
	if err := serve(t.Context(), strings.NewReader(""), nil, nil); err == nil {
		t.Error("no request is no error")
	}
}
