package build

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
)

const (
	// largeContext is the size in bytes above which a build context is probably a mistake.
	largeContext = 500 << 20
	// largestFiles is how many files a warning about it names.
	largestFiles = 3
	// worthNaming is the size in bytes from which on it names more than the largest.
	worthNaming = 1_000_000
)

// Size is what a builder may be sent of a build context.
type Size struct {
	Files int
	Bytes int64
	// Largest are the largest files, the first the largest.
	Largest []File
}

// File is a file of a build context.
type File struct {
	// Path is relative to the context, with slashes.
	Path  string
	Bytes int64
}

// ContextSize measures what .dockerignore leaves of a component's context.
func ContextSize(ctx context.Context, c DockerfileComponent) (Size, error) {
	ignored, err := ignore(c)
	if err != nil {
		return Size{}, err
	}
	var out Size
	err = filepath.WalkDir(c.Context, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		rel, err := filepath.Rel(c.Context, path)
		if err != nil || rel == "." {
			return err
		}
		rel = filepath.ToSlash(rel)
		skip, err := ignored.MatchesOrParentMatches(rel)
		switch {
		case err != nil:
			return err
		case skip && d.IsDir() && !ignored.Exclusions():
			return filepath.SkipDir // no later line takes a part of it back
		case skip || !d.Type().IsRegular():
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		out.add(File{Path: rel, Bytes: info.Size()})
		return nil
	})
	return out, err
}

// Sends tells whether a file or folder, by its absolute path, is a part of what a builder may be sent of a context.
func Sends(c DockerfileComponent, path string) (bool, error) {
	rel, err := filepath.Rel(c.Context, path)
	if err != nil || !filepath.IsLocal(rel) {
		return false, nil //nolint:nilerr // on another volume
	}
	if rel == "." {
		return true, nil
	}
	ignored, err := ignore(c)
	if err != nil {
		return false, err
	}
	skip, err := ignored.MatchesOrParentMatches(filepath.ToSlash(rel))
	return !skip, err
}

func (s *Size) add(f File) {
	s.Files++
	s.Bytes += f.Bytes
	s.Largest = append(s.Largest, f)
	slices.SortStableFunc(s.Largest, func(a, b File) int { return cmp.Compare(b.Bytes, a.Bytes) })
	s.Largest = s.Largest[:min(len(s.Largest), largestFiles)]
}

// ignore reads the ignore file of a context: the Dockerfile's own before that of the context.
// Source: https://docs.docker.com/build/concepts/context/#filename-and-location
func ignore(c DockerfileComponent) (*patternmatcher.PatternMatcher, error) {
	for _, name := range []string{c.File + ".dockerignore", filepath.Join(c.Context, ".dockerignore")} {
		file, err := os.Open(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		defer file.Close()
		patterns, err := ignorefile.ReadAll(file)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		matcher, err := patternmatcher.New(patterns)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		return matcher, nil
	}
	return patternmatcher.New(nil)
}

// Warning is a sentence about a context that is too large to be meant, else "".
func (s Size) Warning(component string) string {
	if s.Bytes <= largeContext {
		return ""
	}
	var names []string
	for i, f := range s.Largest {
		if i == 0 || f.Bytes >= worthNaming {
			names = append(names, fmt.Sprintf("%s (%s)", f.Path, megabytes(f.Bytes)))
		}
	}
	return fmt.Sprintf("%s: the build context has %d files of %s together, the largest %s; what the build does not need"+
		" belongs into .dockerignore", component, s.Files, megabytes(s.Bytes), strings.Join(names, ", "))
}

func megabytes(n int64) string { return fmt.Sprintf("%d MB", (n+500_000)/1_000_000) }
