package cache

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// What was used last stays, and what was used just now stays even where all together is too large.
func TestTrimTakesWhatWasUsedLongestAgo(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		limit int64
		want  string
	}{
		"room for all": {limit: 1 << 20, want: "0 1 2 3 4 5"},
		"too large":    {limit: 3500, want: "3 4 5"},
		"far too much": {limit: 1, want: "4 5"}, // used within three hours
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			now := time.Now()
			kept, err := Open(t.TempDir(), func() time.Time { return now })
			if err != nil {
				t.Fatal(err)
			}
			kept.limit = c.limit
			file := filepath.Join(t.TempDir(), "file")
			key := func(i int) [sha256.Size]byte { return sha256.Sum256([]byte{byte(i)}) }
			for i := range 6 {
				content := make([]byte, 800) // with its index about 1,000
				content[0] = byte(i)
				if err := os.WriteFile(file, content, 0o600); err != nil {
					t.Fatal(err)
				}
				if _, err := kept.KeepFile(key(i), file); err != nil {
					t.Fatal(err)
				}
				age(t, kept.dir, now, 6-i)
			}
			if err := kept.Trim(); err != nil {
				t.Fatal(err)
			}
			got := ""
			for i := range 6 {
				if _, _, ok := kept.File(key(i)); ok {
					got += fmt.Sprintf(" %d", i)
				}
			}
			if got != " "+c.want {
				t.Errorf("%s are left, want %s", got, c.want)
			}
		})
	}
}

// age dates back what was written just now, by steps of 80 minutes: two of them are less than three hours.
func age(t *testing.T, dir string, now time.Time, steps int) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "??", "*"))
	if err != nil {
		t.Fatal(err)
	}
	at := now.Add(-time.Duration(steps) * 80 * time.Minute)
	for _, f := range files {
		info, err := os.Stat(f)
		if err != nil {
			t.Fatal(err)
		}
		if now.Sub(info.ModTime()) > time.Minute {
			continue
		}
		if err := os.Chtimes(f, at, at); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTrimLooksOnlyAfterSomethingWasAdded(t *testing.T) {
	t.Parallel()
	kept, err := Open(t.TempDir(), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if err := kept.Trim(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(kept.dir, "trim.txt")); err == nil {
		t.Error("it was looked through")
	}
	if err := kept.KeepBytes([sha256.Size]byte{}, []byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := kept.Trim(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(kept.dir, "trim.txt")); err != nil {
		t.Error(err)
	}
}
