package config_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/berth-sh/berth/pipelines/config"
	"github.com/berth-sh/berth/pipelines/fault"
)

// Whatever the file holds, reading it ends in a configuration that can be used or in a fault with the code for usage
// that names the file.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		valid, "", "\ufeff", "---\n---\n", "a: &a [*a]", "a: &a\n  b: *a\n", valid + "version: &v {<<: *v}\n",
		valid + "source: ${X}\n", valid + "source: $${X}${", valid + "? [a]\n: b\n", valid + "? |\n  a\n: b\n",
		strings.ReplaceAll(valid, "\n", "\r\n"), "apiVersion: !!binary aGk=\n", valid + "platforms: !!set {a, b}\n",
		"a: &a [x,x]\nb: &b [*a,*a]\nc: [*b,*b]\n", valid + "approvers: [{<<: {name: a}, name: b}]\n", "&a {*a : b}", "? a", "- ? b", "<<: x",
		valid + "version: |\n  ${A}\n", valid + "source: >-\n\n  x\n", "\"\\xff\": 1", "%YAML 1.2\n---\n" + valid, "%TAG ! x\n---\na: !b c\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := config.Parse("berth.yaml", data, env("A", "value", "B", "${A}: {"))
		if err == nil {
			use(t, c)
			return
		}
		e, ok := errors.AsType[*fault.Error](err)
		if !ok || e.Code != fault.Usage || !strings.HasPrefix(e.Subject, "berth.yaml") {
			t.Errorf("%T %v", err, err)
		}
	})
}

// use touches what later steps rely on without checking.
func use(t *testing.T, c *config.Config) {
	t.Helper()
	if len(c.ComponentNames()) == 0 || len(c.EnvironmentNames()) == 0 || len(c.Registries) == 0 {
		t.Error("a part is missing")
	}
	for _, name := range c.ComponentNames() {
		if k := c.Components[name]; (k.Go == nil) == (k.Dockerfile == nil) || len(c.PlatformsOf(name)) == 0 || c.RepositoryOf(name) == "" {
			t.Errorf("component %q: %+v", name, k)
		}
	}
	for _, name := range c.EnvironmentNames() {
		e := c.Environments[name]
		if _, ok := c.Registries[e.Registry]; !ok {
			t.Errorf("environment %q has no registry %q", name, e.Registry)
		}
		for from := e.Promote; from != nil; from = c.Environments[from.From].Promote {
			if _, ok := c.Environments[from.From]; !ok {
				t.Errorf("environment %q is promoted to from nowhere", name)
			}
		}
	}
	_ = c.RequireSet("registries")
	_ = c.Unset()
}
