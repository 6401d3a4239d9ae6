package pipelines

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// The folder of a process that was killed is removed by the next one, that of a living one is not.
func TestScratchFoldersOfTheDeadAreSwept(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	dead, lock := filepath.Join(dir, "berth-test-1"), filepath.Join(dir, "berth-test-1.lock")
	if err := os.MkdirAll(filepath.Join(dead, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(lock, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(dir, "berth-other-1")
	if err := os.Mkdir(other, 0o755); err != nil {
		t.Fatal(err)
	}
	living, release, err := scratch("berth-test-")
	if err != nil {
		t.Fatal(err)
	}
	second, releaseSecond, err := scratch("berth-test-")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{dead: !locking, lock: !locking, living: true, second: true, other: true} {
		if _, err := os.Stat(name); (err == nil) != want {
			t.Errorf("%s is there: %v, want %v", name, err == nil, want)
		}
	}
	release()
	releaseSecond()
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// Many at once never take each other's folder for a dead one.
func TestScratchFoldersOfTheLivingStay(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() {
			for range 25 {
				dir, release, err := scratch("berth-test-")
				if err != nil {
					t.Error(err)
					return
				}
				if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
					t.Error(err)
				}
				release()
			}
		})
	}
	group.Wait()
}
