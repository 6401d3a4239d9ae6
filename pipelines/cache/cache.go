// Package cache keeps files on this machine that were costly to make, by a key that names everything they were made of.
//
// It is Go's own build cache in another folder: entries are addressed by their content, written so that processes may
// share the folder, and read only after their bytes were hashed again. An entry that is damaged is one that is missing.
package cache

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	gocache "github.com/rogpeppe/go-internal/cache"
)

// limit is how many bytes stay on the disk when a trim is over, and inUse how long an entry is safe from being trimmed
// for room: longer than a build that was told of it, and than the hour by which times of use are late. Entries that
// were not used for five days go in any case, as in Go's cache.
const (
	limit = 2 << 30
	inUse = 3 * time.Hour
)

// Cache is a folder of files. It is safe for concurrent use, also by several processes of one machine.
type Cache struct {
	dir   string
	files *gocache.Cache
	limit int64
	now   func() time.Time
	grown atomic.Bool
}

// Open opens the cache in a folder, and makes the folder where it is missing. A folder that cannot be made, or that
// has to be and cannot be written to, is an error; one that is complete may be read-only.
func Open(dir string, now func() time.Time) (*Cache, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("cache: %w", err)
	}
	files, err := gocache.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("cache: %w", err)
	}
	return &Cache{dir: dir, files: files, limit: limit, now: now}, nil
}

// File returns the file that is kept under a key and the SHA-256 of its content, which was read to the end just now.
// The file must not be changed.
func (c *Cache) File(key [sha256.Size]byte) (path string, sum [sha256.Size]byte, ok bool) {
	path, entry, err := c.files.GetFile(key)
	if err != nil {
		return "", sum, false
	}
	if sum, err = Sum(path); err != nil || sum != entry.OutputID {
		return "", [sha256.Size]byte{}, false
	}
	return path, sum, true
}

// KeepFile keeps a copy of a file under a key and returns the SHA-256 of its content.
func (c *Cache) KeepFile(key [sha256.Size]byte, path string) (sum [sha256.Size]byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return sum, err
	}
	defer f.Close()
	c.grown.Store(true)
	out, _, err := c.files.PutNoVerify(key, f)
	return out, err
}

// Bytes returns what is kept under a key.
func (c *Cache) Bytes(key [sha256.Size]byte) ([]byte, bool) {
	data, _, err := c.files.GetBytes(key)
	return data, err == nil
}

// KeepBytes keeps a few bytes under a key.
func (c *Cache) KeepBytes(key [sha256.Size]byte, data []byte) error {
	c.grown.Store(true)
	_, _, err := c.files.PutNoVerify(key, bytes.NewReader(data))
	return err
}

// Trim removes what was not used for five days, at most once a day, and what was not used for the longest time when all
// together is larger than two gigabytes. It does nothing when nothing was added since the cache was opened.
func (c *Cache) Trim() error {
	if !c.grown.Swap(false) {
		return nil
	}
	if err := c.files.Trim(); err != nil {
		return fmt.Errorf("trim the cache: %w", err)
	}
	type entry struct {
		path string
		info fs.FileInfo
	}
	var all []entry
	var size int64
	err := filepath.WalkDir(c.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return gone(err)
		}
		info, err := d.Info()
		if err != nil {
			return gone(err)
		}
		size += info.Size()
		all = append(all, entry{path, info})
		return nil
	})
	if err != nil {
		return fmt.Errorf("trim the cache: %w", err)
	}
	slices.SortFunc(all, func(a, b entry) int { return a.info.ModTime().Compare(b.info.ModTime()) })
	for _, e := range all {
		if size <= c.limit || c.now().Sub(e.info.ModTime()) < inUse {
			break
		}
		if err := gone(os.Remove(e.path)); err != nil {
			return fmt.Errorf("trim the cache: %w", err)
		}
		size -= e.info.Size()
	}
	return nil
}

// gone forgives that another process was faster.
func gone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
