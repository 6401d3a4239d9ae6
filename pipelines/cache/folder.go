package cache

import (
	"crypto/sha256"
	"io"
	"os"
	"path/filepath"
	"runtime"

	"github.com/berth-sh/berth/pipelines/fault"
)

// Variable is the environment variable that moves the cache to another folder, or switches it off.
const Variable = "BERTH_CACHE"

// off is the value of Variable that switches the cache off.
const off = "off"

// Folder is where the cache of a person lies: BERTH_CACHE, else the folder berth in that for caches of the system, as
// [os.UserCacheDir] has it. "" is none: it is switched off, or there is no home.
func Folder(lookup func(string) (string, bool)) (string, error) {
	switch v, _ := lookup(Variable); {
	case v == off:
		return "", nil
	case filepath.IsAbs(v):
		return v, nil
	case v != "":
		return "", fault.New(fault.Usage, Variable+"="+v, "write an absolute path, or "+off,
			"it is not the absolute path of a folder")
	}
	at := func(variable string, below ...string) string {
		v, _ := lookup(variable)
		if !filepath.IsAbs(v) {
			return ""
		}
		return filepath.Join(append([]string{v}, below...)...)
	}
	switch runtime.GOOS {
	case "windows":
		return at("LocalAppData", "berth"), nil
	case "darwin", "ios":
		return at("HOME", "Library", "Caches", "berth"), nil
	}
	if v := at("XDG_CACHE_HOME", "berth"); v != "" {
		return v, nil
	}
	return at("HOME", ".cache", "berth"), nil
}

// Sum is the SHA-256 of a file's content.
func Sum(path string) (sum [sha256.Size]byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return sum, err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return sum, err
	}
	h.Sum(sum[:0])
	return sum, nil
}
