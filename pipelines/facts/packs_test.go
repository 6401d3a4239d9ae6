package facts

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
)

func FuzzPackIndex(f *testing.F) {
	valid := append([]byte{0xff, 't', 'O', 'c', 0, 0, 0, 2}, bytes.Repeat([]byte{0, 0, 0, 1}, 256)...)
	valid = append(valid, bytes.Repeat([]byte{0}, 20+4+4+40)...)
	f.Add(valid, []byte{0})
	f.Add(bytes.ReplaceAll(valid, []byte{0, 0, 0, 1}, []byte{0xff, 0xff, 0xff, 0xff}), []byte{1})
	f.Add(valid[:100], []byte{0xff})
	f.Fuzz(func(t *testing.T, file, name []byte) {
		index, err := newPackIndex(bytes.NewReader(file))
		if err != nil {
			return
		}
		var hash plumbing.Hash
		copy(hash[:], name)
		if offset, err := index.FindOffset(hash); err == nil && !bytes.Contains(file, hash[:]) {
			t.Fatalf("offset %d for a hash that is not in the file", offset)
		}
	})
}

// TestObjectsInPacks reads every object of a repository with deltas, several packs and loose objects, and checks the
// hash of what was read.
func TestObjectsInPacks(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	random := rand.New(rand.NewPCG(1, 3))
	lines := make([]string, 400)
	for i := range lines {
		lines[i] = fmt.Sprint(random.Uint64())
	}
	for round := range 3 {
		for i := range 6 {
			lines[random.IntN(len(lines))] = fmt.Sprint(random.Uint64())
			f.commit("dir/big", strings.Join(lines, "\n"), fmt.Sprint(i))
		}
		f.git("tag", "-a", "-m", "x", fmt.Sprintf("v%d", round))
		if round < 2 {
			f.git("repack", "-dq", "--depth=20", "--window=20")
		}
	}
	r := f.open()
	quick := r.git.Storer.(lenient).objects
	packed := 0
	for line := range strings.Lines(f.git("rev-list", "--objects", "--all")) {
		hash := plumbing.NewHash(strings.Fields(line)[0])
		if !quick.loose(hash) {
			packed++
			if quick.packed(hash) == nil {
				t.Errorf("%s is not found without reading the whole index", hash)
			}
		}
		found, err := r.git.Storer.EncodedObject(plumbing.AnyObject, hash)
		if err != nil {
			t.Fatalf("%s: %v", hash, err)
		}
		reader, err := found.Reader()
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(reader)
		if err != nil {
			t.Fatal(err)
		}
		if got := plumbing.ComputeHash(found.Type(), content); got != hash {
			t.Errorf("%s %s has the hash %s", found.Type(), hash, got)
		}
	}
	if packed < 40 || len(quick.packs) != 2 {
		t.Errorf("%d objects in %d packs: the fixture lost its point", packed, len(quick.packs))
	}
	absent := plumbing.NewHash(strings.Repeat("ab", 20))
	if _, err := r.git.Storer.EncodedObject(plumbing.AnyObject, absent); !errors.Is(err, plumbing.ErrObjectNotFound) {
		t.Errorf("absent object: %v", err)
	}
	head := plumbing.NewHash(f.head())
	if _, err := r.git.Storer.EncodedObject(plumbing.BlobObject, head); !errors.Is(err, plumbing.ErrObjectNotFound) {
		t.Errorf("a commit as a blob: %v", err)
	}
}
