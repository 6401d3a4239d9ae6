package chart

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/berth-sh/berth/pipelines/chart/wire"
	"github.com/berth-sh/berth/pipelines/config"
	"github.com/berth-sh/berth/pipelines/fault"
)

// Setting is a value that berth decides, and its path in the values.
type Setting struct {
	Path string
	// Value is a string, a []string, or a []map[string]string.
	Value any
}

// Settings lists the chart's values for an environment, sorted by path. Those that name digests, tags or versions are
// in it only when there is a receipt (receipt may be nil), and then for every component of the chart.
func Settings(c *config.Config, environment string, receipt *Receipt) ([]Setting, error) {
	if c.Chart == nil {
		return nil, fault.New(fault.Usage, c.Where(), "add the section chart: `berth config schema` has its keys",
			"the project has no chart")
	}
	e, ok := c.Environments[environment]
	if !ok {
		return nil, fault.New(fault.Usage, "--env "+environment, "known: "+strings.Join(c.EnvironmentNames(), ", "),
			"there is no such environment")
	}
	if err := c.RequireSet("registries", e.Registry); err != nil {
		return nil, err
	}
	if receipt != nil {
		if err := checkReceipt(c, environment, "--receipt", *receipt); err != nil {
			return nil, err
		}
	}
	var out []Setting
	add := func(values map[string]string, at []string, find func() (Image, error)) error {
		for _, path := range slices.Sorted(maps.Keys(values)) {
			fields := shared(c, environment)
			if config.ReleaseFields(values[path]) {
				if receipt == nil {
					continue
				}
				x, err := find()
				if err != nil {
					return err
				}
				fields = released(fields, x)
			}
			if slices.ContainsFunc(out, func(s Setting) bool { return s.Path == path }) {
				return c.Fault(append(slices.Clone(at), path), "keep one of the two", "%s is set twice", path)
			}
			out = append(out, Setting{Path: path, Value: fill(values[path], at, fields, c)})
		}
		return nil
	}
	if err := add(c.Chart.Set, []string{"chart", "set"}, func() (Image, error) { return common(c, receipt) }); err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(c.Chart.Components)) {
		at := []string{"chart", "components", name}
		if err := add(c.Chart.Components[name], at, func() (Image, error) { return of(receipt, name) }); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(out, func(a, b Setting) int { return strings.Compare(a.Path, b.Path) })
	return out, nil
}

// shared are the fields that are the same for all components.
func shared(c *config.Config, environment string) map[string]string {
	r := c.Registries[c.Environments[environment].Registry]
	_, path, _ := strings.Cut(r.Prefix, "/")
	return map[string]string{"env": environment, "registry": r.Prefix, "host": r.Host(), "namespace": path}
}

func released(fields map[string]string, x Image) map[string]string {
	fields = maps.Clone(fields)
	maps.Copy(fields, map[string]string{
		"tag": x.tag(), "digest": x.Digest, "version": x.Version, "image": x.Repository + "@" + x.Digest,
	})
	return fields
}

// of finds the image of a component.
func of(receipt *Receipt, component string) (Image, error) {
	for _, x := range receipt.Images {
		if x.Component == component {
			return x, nil
		}
	}
	return Image{}, fault.New(fault.Usage, "--receipt", "publish or promote all components, or give a second --receipt",
		"it has no image of component %s, which the chart deploys", component)
}

// common is an image whose tag and version are those of all components of the chart.
func common(c *config.Config, receipt *Receipt) (Image, error) {
	names := slices.Sorted(maps.Keys(c.Chart.Components))
	if len(names) == 0 {
		names = c.ComponentNames()
	}
	var first Image
	for i, name := range names {
		x, err := of(receipt, name)
		if err != nil {
			return Image{}, err
		}
		if i == 0 {
			first = x
		}
		if x.tag() != first.tag() || x.Version != first.Version {
			return Image{}, fault.New(fault.Usage, c.Where("chart", "set"),
				"set the tag of each component below chart.components, or release all components together",
				"one tag is set for all components, but %s has %s and %s has %s",
				first.Component, first.tag(), x.Component, x.tag())
		}
	}
	return first, nil
}

// fill writes a template's value. at tells the component, whose name stands last.
func fill(template string, at []string, fields map[string]string, c *config.Config) any {
	secret := c.Chart.PullSecrets[c.Environments[fields["env"]].Registry]
	switch template {
	case config.PullSecretsField:
		if secret == "" {
			return []map[string]string{}
		}
		return []map[string]string{{"name": secret}}
	case config.PullSecretNamesField:
		if secret == "" {
			return []string{}
		}
		return []string{secret}
	}
	if len(at) == 3 {
		repository := c.RepositoryOf(at[2])
		fields = maps.Clone(fields)
		fields["repository"], fields["name"] = repository, fields["registry"]+"/"+repository
	}
	for name, value := range fields {
		template = strings.ReplaceAll(template, "{"+name+"}", value)
	}
	return template
}

// Values writes settings for berth-helm.
func Values(settings []Setting) ([]wire.Value, error) {
	out := make([]wire.Value, 0, len(settings))
	for _, s := range settings {
		text, err := json.Marshal(s.Value)
		if err != nil {
			return nil, fmt.Errorf("value of %s: %w", s.Path, err)
		}
		out = append(out, wire.Value{Path: s.Path, JSON: string(text)})
	}
	return out, nil
}
