//go:build !unix || solaris || illumos || aix

package pipelines

import "os"

// locking tells whether files can be locked; without, folders of killed processes stay.
const locking = false

func tryLock(*os.File) (bool, error) { return true, nil }
