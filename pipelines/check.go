package pipelines

import (
	"fmt"
	"path/filepath"

	"github.com/berth-sh/berth/pipelines/config"
	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/version"
)

// Checked is the outcome of checking a configuration that is valid.
type Checked struct {
	File         string `json:"file"`
	Components   int    `json:"components"`
	Registries   int    `json:"registries"`
	Environments int    `json:"environments"`
	// Unset lists the variables without a value, with their places in the file.
	Unset []string `json:"unset"`
}

// Check finds what opening the project did not: version files that are missing, hold no version, or disagree.
func (p *Pipeline) Check() (Checked, error) {
	out := Checked{
		File:         p.Config.Where(),
		Components:   len(p.Config.Components),
		Registries:   len(p.Config.Registries),
		Environments: len(p.Config.Environments),
		Unset:        append([]string{}, p.Config.Unset()...),
	}
	if p.Config.Version.File == config.VersionFromGit {
		return out, nil
	}
	want, err := p.filedVersion()
	if err != nil {
		return Checked{}, err
	}
	for _, name := range p.Config.Version.Bump {
		data, err := p.readProjectFile(name)
		if err != nil {
			return Checked{}, err
		}
		text, err := version.ReadVersion(name, data)
		if err != nil {
			return Checked{}, err
		}
		got, err := version.Parse(filepath.Join(p.Project, name), text)
		if err != nil {
			return Checked{}, err
		}
		if !got.Equal(want) {
			return Checked{}, fault.New(fault.Usage, name,
				fmt.Sprintf("write the same version in both, or: berth version bump %s", want),
				"it says %s, but %s says %s", got, p.Config.Version.File, want)
		}
	}
	return out, nil
}
