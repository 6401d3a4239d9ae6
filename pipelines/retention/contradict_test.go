package retention

import (
	"strings"
	"testing"

	"github.com/berth-sh/berth/pipelines/fault"
)

func TestContradictions(t *testing.T) {
	t.Parallel()
	if err := Contradictions(kubernaut(t)); err != nil {
		t.Error(err)
	}
	for name, tt := range map[string]struct{ rules, message string }{
		"sound":            {`[{match: "v*", keep: forever}, {match: "dev-*", keep: 14d}, {match: "*", keep: 30d}]`, ""},
		"releases expire":  {`[{match: "dev-*", keep: 14d}, {match: "v*", keep: 30d}]`, `berth.yaml:6:84: v*: 30d would expire v1.2.3 of environment prd`},
		"everything":       {`[{match: "*", keep: 30d}]`, "*: 30d would expire v1.2.3"},
		"nothing is left":  {`[{match: "*", keep: forever}, {match: "dev-*", keep: 14d}]`, `dev-*: 14d is never asked: "*" before it`},
		"the same twice":   {`[{match: "dev-*", keep: 14d}, {match: "dev-*", keep: 30d}]`, `dev-*: 30d is never asked: "dev-*" before it`},
		"floating forever": {`[{match: "latest", keep: forever}]`, ""},
	} {
		c := parse(t, `apiVersion: berth/v1
project: p
components: {web: {go: {}}}
registries: {r: {prefix: ghcr.io/acme}}
tags: [{branch: main, set: ["v{version}", latest]}, {branch: "**", set: ["dev-{sha}"]}]
environments: {prd: {registry: r, retention: `+tt.rules+`}}
`)
		err := Contradictions(c)
		if tt.message == "" && err != nil ||
			tt.message != "" && (fault.CodeOf(err) != fault.Usage || !strings.Contains(err.Error(), tt.message)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
