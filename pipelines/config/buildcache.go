package config

import (
	"errors"
	"fmt"
	"strings"

	"github.com/distribution/reference"
)

// CacheKind is where the builds of Dockerfiles keep their caches.
type CacheKind string

// The places of caches.
const (
	CacheDefault    CacheKind = ""
	CacheOff        CacheKind = "off"
	CacheActions    CacheKind = "gha"
	CacheFolder     CacheKind = "folder"
	CacheRepository CacheKind = "repository"
)

// CacheKind tells what buildCache names.
func (c *Config) CacheKind() (CacheKind, error) {
	switch text := c.BuildCache; {
	case text == "", text == string(CacheOff), text == string(CacheActions):
		return CacheKind(text), nil
	case strings.HasPrefix(text, "."), strings.HasPrefix(text, "/"):
		return CacheFolder, nil
	default:
		return CacheRepository, isRepository(text)
	}
}

// isRepository wants the host in full: a name alone would be one of Docker Hub, and is more likely a folder.
func isRepository(text string) error {
	host, _, ok := strings.Cut(text, "/")
	if !ok || !strings.ContainsAny(host, ".:") && host != "localhost" {
		return errors.New("a repository starts with its host, and a folder with ./")
	}
	named, err := reference.ParseNormalizedNamed(text)
	if err == nil && !reference.IsNameOnly(named) {
		err = errors.New("each component has a tag of its own there")
	}
	return err
}

func (c *Config) checkBuildCache() error {
	at := []string{"buildCache"}
	if strings.Contains(c.BuildCache, "${") {
		return nil // checked by RequireSet where it is used
	}
	if _, err := c.CacheKind(); err != nil {
		return c.Fault(at, "write a repository (ghcr.io/acme/cache), a folder (./.cache/build), gha or off",
			"%q is no place for caches: %w", c.BuildCache, err)
	}
	return nil
}

// KeepGoing makes a cache that cannot be written no failure of the build, unless the entry says otherwise.
func KeepGoing(entry string) string {
	fields, err := CacheFields(entry)
	if err != nil || fields["ignore-error"] != "" || fields["type"] == "inline" {
		return entry
	}
	return fmt.Sprintf("%s,ignore-error=true", entry)
}
