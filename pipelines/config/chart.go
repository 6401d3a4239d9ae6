package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/berth-sh/berth/pipelines/registry"
)

// Chart is the Helm chart that deploys the images, and how it takes them.
type Chart struct {
	// Folder of the chart, relative to the project.
	Path string `yaml:"path" jsonschema:"required"`
	// Name of the release. Default: the project's name.
	Release string `yaml:"release,omitempty"`
	// Namespace of the release; {env} stands for the environment. Default: the release's name.
	Namespace string `yaml:"namespace,omitempty"`
	// Values files, relative to the project; {env} stands for the environment. The last wins, and is the one that
	// `berth chart sync` writes.
	Values []string `yaml:"values,omitempty"`
	// Path below the registry's prefix under which `berth chart push` publishes the chart. Default: charts.
	Repository string `yaml:"repository,omitempty"`
	// Whether `berth promote` takes the chart of the promoted commit along, which must have been pushed to the
	// environment that the images come from.
	Promote bool `yaml:"promote,omitempty"`
	// Secrets that pods pull with, by registry. A registry that is not named here needs none.
	PullSecrets map[string]string `yaml:"pullSecrets,omitempty"`
	// Values that all components share, by their path, for example image.registry: "{registry}".
	Set map[string]string `yaml:"set,omitempty"`
	// Values of each component, by their path, for example web.image.digest: "{digest}".
	Components map[string]map[string]string `yaml:"components,omitempty"`
}

// The fields of chart values.
const (
	// PullSecretsField is a list of objects with a name, PullSecretNamesField a list of names. They stand alone.
	PullSecretsField     = "{pullSecrets}"
	PullSecretNamesField = "{pullSecretNames}"
)

var chartField = regexp.MustCompile(`\{([^{}]*)\}`)

// chartPath is the part of Helm's --set syntax that names a value: keys, indexes, and escaped dots.
var chartPath = regexp.MustCompile(`^([^.,={}\[\]\s\\]|\\\.)+(\[[0-9]+\]|\.([^.,={}\[\]\s\\]|\\\.)+)*$`)

// sharedFields are those that are the same for all components, and componentFields those of one.
func sharedFields() []string {
	return []string{"registry", "host", "namespace", "env", "tag", "version", "pullSecrets", "pullSecretNames"}
}

func componentFields() []string {
	return append(sharedFields(), "repository", "name", "digest", "image")
}

// ReleaseFields tells whether a template of chart values needs to know what was published.
func ReleaseFields(template string) bool {
	for _, m := range chartField.FindAllStringSubmatch(template, -1) {
		if slices.Contains([]string{"tag", "version", "digest", "image"}, m[1]) {
			return true
		}
	}
	return false
}

func (c *Config) checkChart() error {
	if c.Chart == nil {
		return nil
	}
	at := []string{"chart"}
	if c.Chart.Path == "" || !inside(c.Chart.Path) {
		return c.Fault(append(at, "path"), "name the chart's folder in the project, for example deploy",
			"%q is no folder of the project", c.Chart.Path)
	}
	for i, v := range c.Chart.Values {
		if !inside(v) {
			return c.Fault(append(at, "values", fmt.Sprint(i)), "name files of the project", "%q is outside the project", v)
		}
		if err := c.checkFields(append(at, "values", fmt.Sprint(i)), v, []string{"env"}); err != nil {
			return err
		}
	}
	if err := c.checkFields(append(at, "namespace"), c.Chart.Namespace, []string{"env"}); err != nil {
		return err
	}
	if r := c.Chart.Repository; r != "" && !registry.ValidPath(r) {
		return c.Fault(append(at, "repository"), "write for example charts", "%q is no path of a repository", r)
	}
	for _, name := range sortedKeys(c.Chart.PullSecrets) {
		if _, ok := c.Registries[name]; !ok {
			return c.unknown(append(at, "pullSecrets", name), "registry", name, sortedKeys(c.Registries))
		}
	}
	if err := c.checkChartValues(append(at, "set"), c.Chart.Set, sharedFields()); err != nil {
		return err
	}
	for _, name := range sortedKeys(c.Chart.Components) {
		here := append(slices.Clone(at), "components", name)
		if _, ok := c.Components[name]; !ok {
			return c.unknown(here, "component", name, c.ComponentNames())
		}
		if err := c.checkChartValues(here, c.Chart.Components[name], componentFields()); err != nil {
			return err
		}
	}
	return nil
}

func (c *Config) checkChartValues(at []string, values map[string]string, fields []string) error {
	for _, path := range sortedKeys(values) {
		here := append(slices.Clone(at), path)
		if !chartPath.MatchString(path) {
			return c.Fault(here, `write the path as for helm --set, for example image.registry or images[0].tag`,
				"%q is no path of a value", path)
		}
		if err := c.checkFields(here, values[path], fields); err != nil {
			return err
		}
		for _, list := range []string{PullSecretsField, PullSecretNamesField} {
			if strings.Contains(values[path], list) && values[path] != list {
				return c.Fault(here, "write the field alone", "%q puts text around a list", values[path])
			}
		}
	}
	return nil
}

func (c *Config) checkFields(at []string, template string, known []string) error {
	for _, m := range chartField.FindAllStringSubmatch(template, -1) {
		if !slices.Contains(known, m[1]) {
			return c.unknown(at, "field", m[0], known)
		}
	}
	return nil
}

// ChartRelease is the name of the chart's release.
func (c *Config) ChartRelease() string {
	if c.Chart.Release != "" {
		return c.Chart.Release
	}
	return c.Project
}

// ChartRepository is the repository of a chart of that name in an environment, with its host.
func (c *Config) ChartRepository(environment, name string) string {
	path := c.Chart.Repository
	if path == "" {
		path = "charts"
	}
	return c.PrefixOf(environment) + "/" + path + "/" + name
}

// ChartNamespace is the namespace of the chart's release in an environment.
func (c *Config) ChartNamespace(environment string) string {
	if c.Chart.Namespace == "" {
		return c.ChartRelease()
	}
	return forEnvironment(c.Chart.Namespace, environment)
}

// ChartValues lists the values files of an environment, relative to the project.
func (c *Config) ChartValues(environment string) []string {
	out := make([]string, 0, len(c.Chart.Values))
	for _, v := range c.Chart.Values {
		out = append(out, forEnvironment(v, environment))
	}
	return out
}

func forEnvironment(template, environment string) string {
	return strings.ReplaceAll(template, "{env}", environment)
}
