package version

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/Masterminds/semver/v3"
	"github.com/google/go-cmp/cmp"

	"github.com/berth-sh/berth/pipelines/fault"
)

const chart = `# A chart; version: 9.9.9 in a comment stays
apiVersion: v2
name: "knative-lambda"   # odd   spacing
version: 1.0.0           # the chart's
dependencies:
  - name: redis
    version: 17.0.0
appVersion: "1.0.0" # the images'
`

func TestRewrite(t *testing.T) {
	t.Parallel()
	tests := []struct{ label, name, in, want string }{
		{"chart", "deploy/Chart.yaml", chart, strings.NewReplacer(
			"version: 1.0.0 ", "version: 1.1.0-rc.1 ", `"1.0.0"`, `"1.1.0-rc.1"`).Replace(chart)},
		{
			"chart with Windows line ends", "Chart.yaml", "name: a\r\nversion: 1.0.0\r\nappVersion: '1.0.0'\r\n",
			"name: a\r\nversion: 1.1.0-rc.1\r\nappVersion: '1.1.0-rc.1'\r\n",
		},
		{
			"chart with a byte order mark", "Chart.yaml", "\ufeffversion: 1.0.0\nname: ä\n",
			"\ufeffversion: 1.1.0-rc.1\nname: ä\n",
		},
		{"app version first", "Chart.yaml", "appVersion: 0.9\nversion: 1.0.0", "appVersion: 1.1.0-rc.1\nversion: 1.1.0-rc.1"},
		{
			"app version only in a chart", "other.yml", "version: 1.0.0\nappVersion: 1.0.0\n",
			"version: 1.1.0-rc.1\nappVersion: 1.0.0\n",
		},
		{
			"characters before", "a.yaml", "title: äöü 世界\n\"ä\": {x: 世}\nversion: 'v1.0.0'\n",
			"title: äöü 世界\n\"ä\": {x: 世}\nversion: 'v1.1.0-rc.1'\n",
		},
		{"flow", "a.yaml", "{a: 世, version: 1.0.0}\n", "{a: 世, version: 1.1.0-rc.1}\n"},
		{
			"document marker and block text", "a.yaml", "---\ntext: |\n  version: 2.0.0\nversion: 1.0.0\n",
			"---\ntext: |\n  version: 2.0.0\nversion: 1.1.0-rc.1\n",
		},
		{"other keys twice", "a.yaml", "a: 1\na: 2\nversion: 1.0.0\n", "a: 1\na: 2\nversion: 1.1.0-rc.1\n"},
		{"anchor", "a.yaml", "version: &v 1.0.0\nother: *v\n", "version: &v 1.1.0-rc.1\nother: *v\n"},
		{"tag", "a.yaml", "version: !!str 1.0.0\n", "version: !!str 1.1.0-rc.1\n"},
		{"quoted key", "a.yaml", "\"version\": 1.0.0\n", "\"version\": 1.1.0-rc.1\n"},
		{
			"package.json", "web/package.json",
			"{\n\t\"dependencies\": {\"version\": \"^3\"},\n\t\"version\" : \"1.0.0\",\n\t\"x\": \"\\u00e4\"\n}",
			"{\n\t\"dependencies\": {\"version\": \"^3\"},\n\t\"version\" : \"1.1.0-rc.1\",\n\t\"x\": \"\\u00e4\"\n}",
		},
		{"plain", "VERSION", "1.0.0\n", "1.1.0-rc.1\n"},
		{"plain without an end", "sub/VERSION", "v1.0.0", "v1.1.0-rc.1"},
		{"plain with Windows line end", "VERSION", "\ufeff1.0.0\r\n", "\ufeff1.1.0-rc.1\r\n"},
	}
	for _, tt := range tests {
		t.Run(tt.label, func(t *testing.T) {
			t.Parallel()
			old, err := ReadVersion(tt.name, []byte(tt.in))
			if err != nil {
				t.Fatal(err)
			}
			if old != "1.0.0" {
				t.Errorf("ReadVersion before = %q, want 1.0.0", old)
			}
			got, err := Rewrite(tt.name, []byte(tt.in), "1.1.0-rc.1")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, string(got)); diff != "" {
				t.Errorf("Rewrite (-want +got):\n%s", diff)
			}
			if again, err := Rewrite(tt.name, got, "1.1.0-rc.1"); err != nil || !bytes.Equal(again, got) {
				t.Errorf("the second rewrite changed the file: %q, %v", again, err)
			}
		})
	}
}

func TestRewriteRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		label, name, in string
		want            error
	}{
		{"no field", "Chart.yaml", "name: a\n", errNoVersion},
		{"only an app version", "Chart.yaml", "appVersion: 1.0.0\n", errNoVersion},
		{"nested only", "a.yaml", "chart:\n  version: 1.0.0\n", errNoVersion},
		{"list", "a.yaml", "- version: 1.0.0\n", errNoVersion},
		{"empty file", "a.yaml", "", errNoVersion},
		{"twice", "a.yaml", "version: 1.0.0\nversion: 2.0.0\n", errTwice},
		{"in two documents", "a.yaml", "version: 1.0.0\n---\nversion: 2.0.0\n", errTwice},
		{"twice in JSON", "a.json", `{"version": "1.0.0", "version": "2.0.0"}`, errTwice},
		{"number in JSON", "a.json", `{"version": 1}`, errNotSimple},
		{"escape in JSON", "a.json", `{"version": "1.\u0030.0"}`, errNotSimple},
		{"escape in YAML", "a.yaml", `version: "1.\x30.0"`, errNotSimple},
		{"block text", "a.yaml", "version: |\n  1.0.0\n", errNotSimple},
		{"alias", "a.yaml", "a: &v 1.0.0\nversion: *v\n", errNotSimple},
		{"mapping", "a.yaml", "version: {major: 1}\n", errNotSimple},
		{"no value", "a.yaml", "version:\nname: a\n", errNotSimple},
		{"empty value", "a.yaml", "version: \"\"\n", errNotSimple},
		{"list in JSON", "a.json", `["version"]`, errNoVersion},
		{"nothing plain", "VERSION", " \n", errNotOneLine},
		{"two lines plain", "VERSION", "1.0.0\n1.0.1\n", errNotOneLine},
		{"unknown kind", "pyproject.toml", "version = \"1.0.0\"\n", errUnknownKind},
	}
	for _, tt := range tests {
		t.Run(tt.label, func(t *testing.T) {
			t.Parallel()
			_, err := Rewrite(tt.name, []byte(tt.in), "1.1.0")
			if !errors.Is(err, tt.want) || fault.CodeOf(err) != fault.Usage || fault.NextOf(err) == "" {
				t.Errorf("Rewrite = %v (code %d, next %q), want %v", err, fault.CodeOf(err), fault.NextOf(err), tt.want)
			}
			if _, err := ReadVersion(tt.name, []byte(tt.in)); !errors.Is(err, tt.want) {
				t.Errorf("ReadVersion = %v, want %v", err, tt.want)
			}
		})
	}
	for _, broken := range []struct{ name, in string }{
		{"a.json", `{"version": "1.0.0"`},
		{"a.json", `{"version": "1.0.0"} x`},
		{"a.json", ""},
		{"a.yaml", "a: [\nversion: 1.0.0"},
	} {
		if _, err := Rewrite(broken.name, []byte(broken.in), "1.1.0"); fault.CodeOf(err) != fault.Usage {
			t.Errorf("Rewrite(%q) = %v, want a usage fault", broken.in, err)
		}
	}
	for _, bad := range []string{"", "1", "1.0", "v1.0.0", "1.0.0-", "01.0.0", "1.0.0\nx: y"} {
		if _, err := Rewrite("VERSION", []byte("1.0.0\n"), bad); fault.CodeOf(err) != fault.Usage {
			t.Errorf("Rewrite to %q = %v, want a usage fault", bad, err)
		}
	}
}

func FuzzRewrite(f *testing.F) {
	f.Add("Chart.yaml", []byte(chart), "2.0.0")
	f.Add("a.yaml", []byte("\ufeffa: 世\r\nversion: &a 'v1.0.0' # x\r\n"), "1.0.0-rc.1+b")
	f.Add("package.json", []byte(`{"a": [1, {}], "version": "1.0.0"}`), "1.10.0")
	f.Add("VERSION", []byte("v1.0.0\r\n"), "0.0.1")
	f.Fuzz(func(t *testing.T, name string, content []byte, v string) {
		old, err := ReadVersion(name, content)
		if err != nil {
			t.Skip()
		}
		changed, err := Rewrite(name, content, v)
		if err != nil {
			t.Skip()
		}
		got, err := ReadVersion(name, changed)
		if err != nil || got != v {
			t.Fatalf("after Rewrite ReadVersion = %q, %v, want %q in %q", got, err, v, changed)
		}
		if _, err := semver.StrictNewVersion(old); err != nil {
			return
		}
		back, err := Rewrite(name, changed, old)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, chartFile) {
			// Both fields get one version; where they differed before, the way back is another file.
			same, err := Rewrite(name, content, old)
			if err != nil {
				t.Fatal(err)
			}
			content = same
		}
		if !bytes.Equal(back, content) {
			t.Fatalf("there and back:\n%q\nwant\n%q", back, content)
		}
	})
}
