package service

import "runtime"

// Build says which program this is. The JSON form is the answer of /version.
type Build struct {
	Name      string `json:"name"`
	Version   string `json:"version"`
	Commit    string `json:"commit"`
	GoVersion string `json:"goVersion"`
	Platform  string `json:"platform"`
}

// NewBuild completes what the linker set (-X main.version, -X main.commit) by what the runtime knows. A binary that was
// built by a plain "go build" says "dev" and "unknown".
func NewBuild(name, version, commit string) Build {
	if version == "" {
		version = "dev"
	}
	if commit == "" {
		commit = "unknown"
	}
	return Build{
		Name:      name,
		Version:   version,
		Commit:    commit,
		GoVersion: runtime.Version(),
		Platform:  runtime.GOOS + "/" + runtime.GOARCH,
	}
}
