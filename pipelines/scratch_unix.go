//go:build unix && !solaris && !illumos && !aix

package pipelines

import (
	"errors"
	"os"
	"syscall"
)

// locking tells whether files can be locked.
const locking = true

// tryLock locks a file for this process, and tells whether nobody else has.
func tryLock(f *os.File) (bool, error) {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return false, nil
	}
	return err == nil, err
}
