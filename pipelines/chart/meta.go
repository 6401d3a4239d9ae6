package chart

import (
	"github.com/Masterminds/semver/v3"
	"github.com/goccy/go-yaml"

	"github.com/berth-sh/berth/pipelines/fault"
)

// MetaFile is the file of a chart that names it.
// Source: https://helm.sh/docs/topics/charts/#the-chartyaml-file
const MetaFile = "Chart.yaml"

// Meta is what a chart says of itself.
type Meta struct {
	Name    string
	Version *semver.Version
}

// ReadMeta reads a Chart.yaml. file is for messages.
func ReadMeta(file string, content []byte) (Meta, error) {
	var said struct{ Name, Version string }
	const next = "correct it: berth chart lint"
	if err := yaml.Unmarshal(content, &said); err != nil {
		return Meta{}, fault.New(fault.Usage, file, next, "%s", yaml.FormatError(err, false, false))
	}
	if said.Name == "" {
		return Meta{}, fault.New(fault.Usage, file, next, "it names no chart")
	}
	v, err := semver.StrictNewVersion(said.Version)
	if err != nil {
		return Meta{}, fault.New(fault.Usage, file, next, "version %q: %w", said.Version, err)
	}
	return Meta{Name: said.Name, Version: v}, nil
}
