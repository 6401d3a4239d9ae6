package cache_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/berth-sh/berth/pipelines/cache"
	"github.com/berth-sh/berth/pipelines/fault"
)

func open(t *testing.T, dir string) *cache.Cache {
	t.Helper()
	c, err := cache.Open(dir, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func key(name string) [sha256.Size]byte { return sha256.Sum256([]byte(name)) }

func write(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func keepFile(t *testing.T, c *cache.Cache, name, content string) {
	t.Helper()
	sum, err := c.KeepFile(key(name), write(t, content))
	if err != nil {
		t.Fatal(err)
	}
	if sum != sha256.Sum256([]byte(content)) {
		t.Errorf("the sum of %q is %x", content, sum)
	}
}

func TestWhatIsKeptIsFound(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new", "folder")
	first := open(t, dir)
	if _, _, ok := first.File(key("a")); ok {
		t.Fatal("found before it was kept")
	}
	keepFile(t, first, "a", "hello")
	if err := first.KeepBytes(key("b"), []byte("few")); err != nil {
		t.Fatal(err)
	}
	later := open(t, dir)
	path, sum, ok := later.File(key("a"))
	if data, err := os.ReadFile(path); !ok || err != nil || string(data) != "hello" || sum != sha256.Sum256(data) {
		t.Errorf("%v %q %v %x", ok, data, err, sum)
	}
	if data, ok := later.Bytes(key("b")); !ok || string(data) != "few" {
		t.Errorf("%v %q", ok, data)
	}
	if info, err := os.Stat(dir); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o700 {
		t.Errorf("others may look into the cache: %v %v", info.Mode(), err)
	}
}

// However an entry is damaged, it is not found, and keeping it again mends it.
func TestDamageIsNoticedAndMended(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(entry string) error{
		"other bytes": func(f string) error { return os.WriteFile(f, []byte("hellO"), 0o600) },
		"cut short":   func(f string) error { return os.Truncate(f, 3) },
		"too long":    func(f string) error { return os.WriteFile(f, []byte("hello!"), 0o600) },
		"empty":       func(f string) error { return os.Truncate(f, 0) },
		"gone":        os.Remove,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := open(t, t.TempDir())
			keepFile(t, c, "a", "hello")
			path, _, ok := c.File(key("a"))
			if !ok {
				t.Fatal("not kept")
			}
			if err := damage(path); err != nil {
				t.Fatal(err)
			}
			if _, _, ok := c.File(key("a")); ok {
				t.Error("a damaged file is found")
			}
			if _, ok := c.Bytes(key("a")); ok {
				t.Error("damaged bytes are found")
			}
			keepFile(t, c, "a", "hello")
			path, _, ok = c.File(key("a"))
			if data, err := os.ReadFile(path); !ok || err != nil || string(data) != "hello" {
				t.Errorf("not mended: %v %q %v", ok, data, err)
			}
		})
	}
}

// The index of one key cannot stand for another key's.
func TestAnIndexOfAnotherKeyIsNotTaken(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := open(t, dir)
	keepFile(t, c, "a", "hello")
	keepFile(t, c, "b", "world")
	index := func(name string) string {
		return filepath.Join(dir, fmt.Sprintf("%02x", key(name)[0]), fmt.Sprintf("%x-a", key(name)))
	}
	data, err := os.ReadFile(index("b"))
	if err := errors.Join(err, os.WriteFile(index("a"), data, 0o600)); err != nil {
		t.Fatal(err)
	}
	if _, _, ok := c.File(key("a")); ok {
		t.Error("found what another key has")
	}
}

func TestProcessesShareAFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	content := bytes.Repeat([]byte("0123456789"), 100_000)
	file := write(t, string(content))
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			c, err := cache.Open(dir, time.Now)
			if err != nil {
				t.Error(err)
				return
			}
			for range 5 {
				if _, err := c.KeepFile(key("same"), file); err != nil {
					t.Error(err)
				}
				if path, sum, ok := c.File(key("same")); ok {
					if got, err := cache.Sum(path); err != nil || got != sum || got != sha256.Sum256(content) {
						t.Errorf("%x, %x, %v", got, sum, err)
					}
				}
			}
		})
	}
	wait.Wait()
	if _, _, ok := open(t, dir).File(key("same")); !ok {
		t.Error("not found in the end")
	}
}

func TestAReadOnlyFolderServes(t *testing.T) {
	t.Parallel()
	if os.Geteuid() == 0 {
		t.Skip("root may write everywhere")
	}
	dir := t.TempDir()
	keepFile(t, open(t, dir), "a", "hello")
	for _, d := range []string{filepath.Join(dir, fmt.Sprintf("%02x", key("b")[0])), dir} {
		if err := os.Chmod(d, 0o500); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.Chmod(d, 0o700) })
	}
	c := open(t, dir)
	if _, _, ok := c.File(key("a")); !ok {
		t.Error("not found")
	}
	if _, err := c.KeepFile(key("b"), write(t, "x")); err == nil {
		t.Error("kept in a read-only folder")
	}
}

func TestAFolderThatCannotBeMadeIsAnError(t *testing.T) {
	t.Parallel()
	if _, err := cache.Open(filepath.Join(write(t, "a file"), "cache"), time.Now); err == nil {
		t.Error("opened")
	}
}

func TestTheFolder(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("the names are those of Linux")
	}
	for _, c := range []struct {
		environ map[string]string
		want    string
		code    int
	}{
		{environ: map[string]string{"HOME": "/home/me"}, want: "/home/me/.cache/berth"},
		{environ: map[string]string{"HOME": "/home/me", "XDG_CACHE_HOME": "/fast"}, want: "/fast/berth"},
		{environ: map[string]string{"HOME": "/home/me", "XDG_CACHE_HOME": "relative"}, want: "/home/me/.cache/berth"},
		{environ: map[string]string{"HOME": "/home/me", "BERTH_CACHE": "/here"}, want: "/here"},
		{environ: map[string]string{"HOME": "/home/me", "BERTH_CACHE": "off"}},
		{environ: map[string]string{"HOME": "/home/me", "BERTH_CACHE": "here"}, code: int(fault.Usage)},
		{},
	} {
		got, err := cache.Folder(func(name string) (string, bool) { v, ok := c.environ[name]; return v, ok })
		if got != c.want || (err != nil) != (c.code != 0) || err != nil && int(fault.CodeOf(err)) != c.code {
			t.Errorf("%v: %q %v, want %q", c.environ, got, err, c.want)
		}
	}
}
