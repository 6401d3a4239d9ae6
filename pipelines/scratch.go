package pipelines

import (
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/berth-sh/berth/pipelines/fault"
)

// lockSuffix names the file beside a scratch folder that its process keeps locked.
const lockSuffix = ".lock"

// scratch makes a temporary folder, which lives until release is called, and removes those of processes that were
// killed. The system lets go of a process's locks when it ends, however it ends: a folder whose lock can be had belongs
// to nobody.
func scratch(prefix string) (dir string, release func(), err error) {
	sweepScratch(os.TempDir(), prefix)
	dir, release, err = newScratch(prefix)
	if err != nil {
		return "", nil, fault.New(fault.Failed, "", "set TMPDIR to a folder with room", "no temporary folder: %w", err)
	}
	return dir, release, nil
}

func newScratch(prefix string) (dir string, release func(), err error) {
	for {
		lock, err := os.CreateTemp("", prefix+"*"+lockSuffix)
		if err != nil {
			return "", nil, err
		}
		held, err := tryLock(lock)
		if err != nil || !held || !still(lock) {
			// Somebody swept it away before it was locked, and took it for a dead one.
			_ = lock.Close()
			if err != nil {
				_ = os.Remove(lock.Name())
				return "", nil, err
			}
			continue
		}
		dir := strings.TrimSuffix(lock.Name(), lockSuffix)
		release := func() {
			_ = os.RemoveAll(dir)
			_ = os.Remove(lock.Name())
			_ = lock.Close()
		}
		if err := os.Mkdir(dir, 0o700); err != nil {
			release()
			return "", nil, err
		}
		return dir, release, nil
	}
}

// still tells whether the file is the one that its name leads to.
func still(f *os.File) bool {
	mine, err := f.Stat()
	if err != nil {
		return false
	}
	named, err := os.Stat(f.Name())
	return err == nil && os.SameFile(mine, named)
}

// sweepScratch removes what killed processes left. What cannot be read or removed belongs to somebody else.
func sweepScratch(in, prefix string) {
	if !locking {
		return
	}
	locks, err := filepath.Glob(filepath.Join(in, prefix+"*"+lockSuffix))
	if err != nil {
		return // a temporary folder with the characters of a pattern in its name is not swept
	}
	for _, name := range locks {
		lock, err := os.OpenFile(name, os.O_RDWR, 0)
		if err != nil {
			continue
		}
		if held, err := tryLock(lock); held && err == nil && still(lock) {
			err := os.RemoveAll(strings.TrimSuffix(name, lockSuffix))
			_ = errors.Join(err, os.Remove(name))
		}
		_ = lock.Close()
	}
}
