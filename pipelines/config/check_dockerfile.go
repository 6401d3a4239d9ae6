package config

import (
	"encoding/csv"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/distribution/reference"
)

// checkDockerfile finds what can be told without the files: whether they lie in the repository is for the builder.
func (c *Config) checkDockerfile(at []string, d Dockerfile) error {
	below := func(keys ...string) []string { return slices.Concat(at, keys) }
	for _, p := range []struct{ key, value string }{{"context", d.Context}, {"file", d.File}} {
		if path.IsAbs(p.value) {
			return c.Fault(below(p.key), "write it relative to "+FileName, "%q is an absolute path", p.value)
		}
	}
	for _, name := range sortedKeys(d.Args) {
		if !variableName.MatchString(name) {
			return c.Fault(below("args", name), "use letters, digits and _", "%q is not a build argument's name", name)
		}
	}
	ids := map[string]bool{}
	for i, s := range d.Secrets {
		here := below("secrets", fmt.Sprint(i))
		switch {
		case s.ID == "":
			return c.Fault(here, "add id: NAME", "the secret has no id")
		case ids[s.ID]:
			return c.Fault(append(here, "id"), "remove one of them", "secret %s is listed twice", s.ID)
		case (s.File == "") == (s.Env == ""):
			return c.Fault(here, "keep file: PATH or env: VARIABLE", "a secret needs exactly one of file and env")
		}
		ids[s.ID] = true
	}
	if err := c.checkAttestations(below("attestations"), d.Attestations); err != nil {
		return err
	}
	if err := c.checkCache(below("cache", "from"), d.Cache.From); err != nil {
		return err
	}
	return c.checkCache(below("cache", "to"), d.Cache.To)
}

func (c *Config) checkAttestations(at []string, a BuildAttestations) error {
	if a.Provenance != "" && a.Provenance != "min" && a.Provenance != "max" {
		return c.Fault(append(at, "provenance"), "write min or max, or leave it out",
			"%q is no detail of provenance", a.Provenance)
	}
	if a.SBOM == "" {
		return nil
	}
	_, err := reference.ParseNormalizedNamed(a.SBOM)
	if _, notErr := strconv.ParseBool(a.SBOM); notErr == nil { // as other tools have it
		err = errors.New("berth has no generator of its own")
	}
	if err != nil {
		return c.Fault(append(at, "sbom"), "name the image of a generator, such as docker/buildkit-syft-scanner:stable-1",
			"%q is no image: %w", a.SBOM, err)
	}
	return nil
}

func (c *Config) checkCache(at, list []string) error {
	for i, entry := range list {
		if _, err := CacheFields(entry); err != nil {
			return c.Fault(append(at, fmt.Sprint(i)), "write for example type=registry,ref=ghcr.io/acme/cache:web", "%w", err)
		}
	}
	return nil
}

// CacheFields reads where a cache is, "type=registry,ref=…", as docker buildx does.
func CacheFields(entry string) (map[string]string, error) {
	fields, err := csv.NewReader(strings.NewReader(entry)).Read()
	if err != nil {
		return nil, fmt.Errorf("%q is not a cache: %w", entry, err)
	}
	out := map[string]string{}
	for _, f := range fields {
		name, value, ok := strings.Cut(f, "=")
		if !ok || name == "" || value == "" {
			return nil, fmt.Errorf("%q is not a cache: %q is not NAME=VALUE", entry, f)
		}
		out[strings.ToLower(name)] = value
	}
	if out["type"] == "" {
		return nil, fmt.Errorf("%q is not a cache: it has no type", entry)
	}
	return out, nil
}
