package facts

import (
	"io/fs"
	"syscall"
)

const errNotDir = syscall.ENOTDIR

// changeTime is when the file's content or attributes changed last, in nanoseconds. Unlike the modification time no
// program can set it back.
func changeTime(info fs.FileInfo) (int64, bool) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return stat.Ctim.Nano(), true
}
