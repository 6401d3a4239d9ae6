package build

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/berth-sh/berth/pipelines/fault"
)

// DockerfileComponent is an image that a Dockerfile describes.
type DockerfileComponent struct {
	// Name is the component's name.
	Name string
	// Context is the absolute path of the folder that the builder may copy from.
	Context string
	// File is the absolute path of the Dockerfile, in the context or elsewhere in the repository.
	File string
	// Target is the stage to build; "" is the last one.
	Target string
	// Args are all build arguments, the computed ones and SOURCE_DATE_EPOCH among them. They are no secrets: they end up
	// in the image's history.
	Args map[string]string
	// Secrets are what RUN --mount=type=secret may read.
	Secrets []Secret
	// SSH are the agents and keys that RUN --mount=type=ssh may use.
	SSH []SSH
	// CacheFrom and CacheTo are where a build's cache is read from and written to, in the builder's own words:
	// "type=registry,ref=…", "type=local,src=…", "type=gha".
	CacheFrom, CacheTo []string
	// Provenance is how much the builder says about how it built: "min", "max", or "" for nothing.
	Provenance string
	// SBOM is the image of the generator that says what is in the image; "" is none.
	SBOM string
}

// Attestations are what the builder is to say about the image, by the names that BuildKit has for them; "" is nothing.
func (c DockerfileComponent) Attestations() (provenance, sbom string) {
	if c.Provenance != "" {
		provenance = "mode=" + c.Provenance
	}
	if c.SBOM != "" {
		sbom = "generator=" + c.SBOM
	}
	return provenance, sbom
}

// Secret is a secret of a build. Exactly one of File and Env is set.
type Secret struct {
	// ID is the name in the Dockerfile.
	ID string
	// File is the absolute path of the file that holds the secret.
	File string
	// Env is the variable of berth's own environment that holds the secret.
	Env string
}

// SSH is an SSH agent or a list of keys of a build.
type SSH struct {
	// ID is the name in the Dockerfile, mostly "default".
	ID string
	// Paths are absolute paths of an agent's socket or of private keys; none is the agent of SSH_AUTH_SOCK.
	Paths []string
}

// ResolveContext follows all links of a build context, and refuses one that is no folder or lies outside root.
func ResolveContext(root, name string) (string, error) {
	path, info, err := inside(root, name, "build context")
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("the build context %s is no folder", name)
	}
	return path, err
}

// ResolveFile follows all links of a Dockerfile, and refuses one that is no file or lies outside root.
func ResolveFile(root, name string) (string, error) {
	path, info, err := inside(root, name, "Dockerfile")
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("the Dockerfile %s is no file", name)
	}
	return path, err
}

// inside follows all links of a path and refuses one that leads out of the folder root.
func inside(root, name, what string) (string, fs.FileInfo, error) {
	root, err := filepath.EvalSymlinks(root)
	if err != nil {
		return "", nil, err
	}
	path, err := filepath.EvalSymlinks(name)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil, fmt.Errorf("there is no %s %s", what, name)
	}
	if err != nil {
		return "", nil, fmt.Errorf("%s: %w", what, err)
	}
	if rel, err := filepath.Rel(root, path); err != nil || !filepath.IsLocal(rel) {
		via := ""
		if path != name {
			via = ", where " + name + " leads,"
		}
		return "", nil, fmt.Errorf("the %s %s%s is outside the repository %s", what, path, via, root)
	}
	info, err := os.Stat(path)
	return path, info, err
}

// maxSecret is the size in bytes that BuildKit takes.
const maxSecret = 500 << 10

// Present reports why a secret cannot be given to a build, which would go on without it. lookup reads the environment.
func (s Secret) Present(lookup func(string) (string, bool)) error {
	if s.Env != "" {
		if value, ok := lookup(s.Env); !ok || value == "" {
			return fmt.Errorf("secret %s: the variable %s is not set", s.ID, s.Env)
		}
		return nil
	}
	info, err := os.Stat(s.File)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("secret %s: there is no file %s", s.ID, s.File)
	case err != nil:
		return fmt.Errorf("secret %s: %w", s.ID, err)
	case !info.Mode().IsRegular():
		return fmt.Errorf("secret %s: %s is no file", s.ID, s.File)
	case info.Size() > maxSecret:
		return fmt.Errorf("secret %s: %s has %d bytes, more than %d", s.ID, s.File, info.Size(), maxSecret)
	}
	return nil
}

// present reports why an agent or keys cannot be given to a build. lookup reads the environment.
func (s SSH) present(lookup func(string) (string, bool)) error {
	paths, from := s.Paths, ""
	if len(paths) == 0 {
		socket, _ := lookup("SSH_AUTH_SOCK")
		if socket == "" {
			return fmt.Errorf("ssh %s needs an agent, and SSH_AUTH_SOCK is not set", s.ID)
		}
		paths, from = []string{socket}, "the agent of SSH_AUTH_SOCK, "
	}
	for _, path := range paths {
		if _, err := os.Stat(path); err != nil {
			return fmt.Errorf("ssh %s: %s%w", s.ID, from, err)
		}
	}
	return nil
}

// sshNext is what to do about an agent or a key that is not there.
const sshNext = "start an agent and add the key (eval \"$(ssh-agent)\"; ssh-add),\n" +
	"or name key files in the component's ssh"

// CheckSSH refuses a component whose agents or keys are not there, with code [fault.Usage]. lookup reads the
// environment.
func (c DockerfileComponent) CheckSSH(lookup func(string) (string, bool)) error {
	for _, s := range c.SSH {
		if err := s.present(lookup); err != nil {
			return fault.New(fault.Usage, c.Name, sshNext, "%w", err)
		}
	}
	return nil
}
