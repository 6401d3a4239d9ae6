// Package config reads berth.yaml: its types, strict loading with line and column, and the checks that need nothing but
// the file. It knows nothing of git, registries' answers or builds.
package config
