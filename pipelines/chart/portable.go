package chart

import (
	"fmt"
	"maps"
	"slices"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/berth-sh/berth/pipelines/chart/wire"
	"github.com/berth-sh/berth/pipelines/config"
	"github.com/berth-sh/berth/pipelines/fault"
)

// CheckPortable refuses a packaged chart whose own values name a registry of berth.yaml, when it is to come to
// environments with another one: its bytes stay the same there, so that whoever installs it would get images from the
// wrong registry.
func CheckPortable(c *config.Config, chart string, files []wire.File) error {
	if !c.Chart.Promote {
		return nil
	}
	at := slices.IndexFunc(files, func(f wire.File) bool { return f.Name == chart+"/values.yaml" })
	if at < 0 {
		return nil
	}
	parsed, err := parser.ParseBytes(files[at].Data, 0)
	if err != nil {
		return nil //nolint:nilerr // Helm has read it, and says what it thinks of it
	}
	w := &registryWalk{config: c}
	for _, document := range parsed.Docs {
		ast.Walk(w, document)
	}
	if w.found == "" {
		return nil
	}
	return fault.New(fault.Refused, fmt.Sprintf("%s/values.yaml:%d:%d", c.Chart.Path, w.line, w.column),
		`leave it empty there, and give it by chart.set in berth.yaml: image.registry: "{registry}"`,
		"the chart is promoted, but its values name registry %s, and environment %s has %s", w.found, w.environment, w.other)
}

// registryWalk finds the first value that names a registry which an environment on the chart's way does not have.
type registryWalk struct {
	config                    *config.Config
	found, environment, other string
	line, column              int
}

// Visit implements ast.Visitor.
func (w *registryWalk) Visit(n ast.Node) ast.Visitor {
	if w.found != "" {
		return nil
	}
	text, ok := n.(*ast.StringNode)
	if !ok {
		return w
	}
	named := func(registry string) bool {
		return within(text.Value+"/", w.config.Registries[registry].Prefix)
	}
	registries := slices.Sorted(maps.Keys(w.config.Registries))
	at := slices.IndexFunc(registries, named)
	if at < 0 {
		return w
	}
	for _, name := range w.config.EnvironmentNames() {
		e := w.config.Environments[name]
		if e.Promote == nil {
			continue
		}
		for _, on := range []string{e.Promote.From, name} {
			if own := w.config.Environments[on].Registry; !named(own) {
				w.found, w.environment, w.other = registries[at], on, own
				w.line, w.column = text.Token.Position.Line, text.Token.Position.Column
				return nil
			}
		}
	}
	return w
}
