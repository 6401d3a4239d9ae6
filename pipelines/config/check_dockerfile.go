package config

import (
	"encoding/csv"
	"fmt"
	"path"
	"slices"
	"strings"
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
	if err := c.checkCache(below("cache", "from"), d.Cache.From); err != nil {
		return err
	}
	return c.checkCache(below("cache", "to"), d.Cache.To)
}

func (c *Config) checkCache(at, list []string) error {
	for i, entry := range list {
		if !cacheEntry(entry) {
			return c.Fault(append(at, fmt.Sprint(i)),
				"write for example type=registry,ref=ghcr.io/acme/cache:web", "%q is not a cache", entry)
		}
	}
	return nil
}

// cacheEntry reports whether a text is what docker buildx takes: fields NAME=VALUE, type among them.
func cacheEntry(s string) bool {
	fields, err := csv.NewReader(strings.NewReader(s)).Read()
	typed := false
	for _, f := range fields {
		name, value, ok := strings.Cut(f, "=")
		if !ok || name == "" || value == "" {
			return false
		}
		typed = typed || name == "type"
	}
	return err == nil && typed
}
