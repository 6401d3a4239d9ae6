package chart

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/berth-sh/berth/pipelines/fault"
)

// Synced is what [Sync] found in a values file.
type Synced struct {
	Environment string `json:"environment"`
	// File relative to the project.
	File string `json:"file"`
	// Changed are the values that differed, by path.
	Changed []Change `json:"changed"`
}

// Change is one value of a file.
type Change struct {
	Path  string `json:"path"`
	Value any    `json:"value"`
}

// Sync writes settings into the values file name below project, keeping every other byte. With dry it only tells what
// it would change. The file is replaced as a whole, or not at all.
func Sync(project, name string, settings []Setting, dry bool) (Synced, error) {
	out := Synced{File: name, Changed: []Change{}}
	path := filepath.Join(project, filepath.FromSlash(name))
	before, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return out, fault.New(fault.Usage, name, "", "%w", err)
	}
	after := before
	for _, s := range settings {
		next, err := Edit(after, s)
		if err != nil {
			return out, fault.New(fault.Usage, name, "change it by hand, or move the value", "%w", err)
		}
		if !bytes.Equal(next, after) {
			out.Changed = append(out.Changed, Change(s))
		}
		after = next
	}
	if dry || len(out.Changed) == 0 {
		return out, nil
	}
	if err := replaceFile(path, after); err != nil {
		return out, fault.New(fault.Failed, name, "", "%w", err)
	}
	return out, nil
}

// replaceFile writes beside the file and renames, so that a reader sees the old or the new one. What a link points to
// is replaced, not the link.
func replaceFile(path string, content []byte) error {
	mode := fs.FileMode(0o644)
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
		if info, err := os.Stat(path); err == nil {
			mode = info.Mode().Perm()
		}
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	err = errors.Join(err, f.Chmod(mode), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", path, err), os.Remove(f.Name()))
	}
	return nil
}
