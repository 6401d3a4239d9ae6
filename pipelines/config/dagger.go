package config

import (
	"bytes"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/moby/patternmatcher"
)

// Excluded reads dagger.exclude alone, before the rest of the repository is there. It is empty where the file is wrong:
// [Parse] says what about it.
func Excluded(data []byte) []string {
	var c struct {
		Dagger Dagger `yaml:"dagger"`
	}
	if err := yaml.Unmarshal(bytes.TrimPrefix(data, []byte(byteOrderMark)), &c); err != nil {
		return nil
	}
	return c.Dagger.Exclude
}

func (c *Config) checkDagger() error {
	for i, pattern := range c.Dagger.Exclude {
		at := []string{"dagger", "exclude", fmt.Sprint(i)}
		clean := strings.TrimPrefix(path.Clean(pattern), "!")
		switch _, err := patternmatcher.New([]string{pattern}); {
		case err != nil:
			return c.Fault(at, "write a pattern of .dockerignore, for example docs or **/testdata", "%q is no pattern", pattern)
		case strings.Contains(pattern, "${"):
			return c.Fault(at, "write the path itself", "%q takes a variable, which is not known this early", pattern)
		case path.IsAbs(clean), slices.Contains(strings.Split(clean, "/"), ".."):
			return c.Fault(at, "name what is in the repository, from its root", "%q is outside the repository", pattern)
		case clean == ".git":
			return c.Fault(at, "remove it", "branch, commit and tags come from .git")
		}
	}
	return nil
}
