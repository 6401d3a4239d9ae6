package pipelines

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/berth-sh/berth/pipelines/config"
	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/plan"
	"github.com/berth-sh/berth/pipelines/retention"
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

// Check finds what opening the project did not: parts that contradict each other, keys that cannot be used, Dockerfiles
// that are missing, wrong, or built on what the policy does not allow, and version files that are missing, hold no
// version, or disagree.
func (p *Pipeline) Check() (Checked, error) {
	out := Checked{
		File:         p.Config.Where(),
		Components:   len(p.Config.Components),
		Registries:   len(p.Config.Registries),
		Environments: len(p.Config.Environments),
		Unset:        append([]string{}, p.Config.Unset()...),
	}
	if err := p.checkTies(); err != nil {
		return Checked{}, err
	}
	if err := plan.Contradictions(p.Config); err != nil {
		return Checked{}, err
	}
	if err := retention.Contradictions(p.Config); err != nil {
		return Checked{}, err
	}
	if _, err := p.keyring(); err != nil {
		return Checked{}, err
	}
	if err := p.checkFolders(); err != nil {
		return Checked{}, err
	}
	if err := p.checkBases(); err != nil {
		return Checked{}, err
	}
	if err := p.checkDockerfiles(p.Config.ComponentNames()); err != nil {
		return Checked{}, err
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

// checkTies finds environments that the same git ref would choose equally well. They can still be named with --env, so
// that only a check, not every command, fails.
func (p *Pipeline) checkTies() error {
	taken := map[string]string{}
	for _, name := range p.Config.EnvironmentNames() {
		refs := p.Config.Environments[name].Refs
		if refs == nil {
			continue
		}
		var globs []string
		for _, g := range refs.Branches {
			globs = append(globs, "branches "+g)
		}
		for _, g := range refs.Tags {
			globs = append(globs, "git tags "+g)
		}
		if refs.PullRequests {
			globs = append(globs, "pull requests")
		}
		for _, g := range globs {
			if other, tie := taken[g]; tie {
				return p.Config.Fault([]string{"environments", name, "refs"}, "make one of them more specific",
					"environments %s and %s both accept %s, so that neither can be chosen by the git ref", other, name, g)
			}
			taken[g] = name
		}
	}
	return nil
}

// checkFolders finds components whose sources are not there.
func (p *Pipeline) checkFolders() error {
	for _, name := range p.Config.ComponentNames() {
		k := p.Config.Components[name]
		if k.Dockerfile != nil {
			if _, err := p.dockerfile(name, *k.Dockerfile); err != nil {
				return err
			}
			continue
		}
		at, dir := []string{"components", name, "go", "dir"}, k.Go.Dir
		if info, err := os.Stat(filepath.Join(p.Project, filepath.FromSlash(dir))); err != nil || !info.IsDir() {
			return p.Config.Fault(at, "name the folder of the sources, relative to "+config.FileName,
				"there is no folder %q", dir)
		}
	}
	return nil
}
