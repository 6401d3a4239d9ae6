package facts

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"sync"

	"github.com/go-git/go-billy/v5"
	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/format/idxfile"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

// fewLookups is how many objects are looked up in the packs one by one. Whoever wants more is walking, and then reading
// the whole index once, as go-git does, costs less.
const fewLookups = 512

// objects finds single objects without reading the index of every pack: go-git reads and checks all of it before the
// first object, which takes a quarter of a second on 100,000 commits. It may be used concurrently.
type objects struct {
	*filesystem.Storage
	folder string // the folder "objects"
	bases  cache.Object
	mu     sync.Mutex
	packs  []string // index files, the newest first; nil until read
	used   int
}

// EncodedObject implements go-git's storer. What is not in a pack that can be read quickly is left to go-git.
func (o *objects) EncodedObject(kind plumbing.ObjectType, hash plumbing.Hash) (plumbing.EncodedObject, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.used++
	if o.used <= fewLookups && !o.loose(hash) {
		if found := o.packed(hash); found != nil {
			if kind != plumbing.AnyObject && found.Type() != kind {
				return nil, plumbing.ErrObjectNotFound
			}
			return found, nil
		}
	}
	return o.Storage.EncodedObject(kind, hash)
}

func (o *objects) loose(hash plumbing.Hash) bool {
	name := hash.String()
	_, err := os.Stat(filepath.Join(o.folder, name[:2], name[2:]))
	return err == nil
}

// packed returns the object from the first pack that has it, nil when none does or anything is unusual about it.
func (o *objects) packed(hash plumbing.Hash) plumbing.EncodedObject {
	if o.packs == nil {
		o.packs = newestPacks(filepath.Join(o.folder, "pack"))
	}
	for i, name := range o.packs {
		found, err := o.inPack(name, hash)
		if err == nil {
			// Objects that are wanted together tend to be in one pack.
			o.packs[0], o.packs[i] = o.packs[i], o.packs[0]
			return found
		}
		if !errors.Is(err, plumbing.ErrObjectNotFound) {
			return nil
		}
	}
	return nil
}

// newestPacks lists the index files of the packs, the newest first, never nil.
func newestPacks(folder string) []string {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return []string{}
	}
	packs := make([]string, 0, len(entries))
	times := make(map[string]int64)
	for _, entry := range entries {
		if info, err := entry.Info(); err == nil && strings.HasSuffix(entry.Name(), ".idx") {
			packs = append(packs, entry.Name())
			times[entry.Name()] = info.ModTime().UnixNano()
		}
	}
	sort.SliceStable(packs, func(i, j int) bool { return times[packs[i]] > times[packs[j]] })
	return packs
}

func (o *objects) inPack(name string, hash plumbing.Hash) (plumbing.EncodedObject, error) {
	folder := osfs.New(filepath.Join(o.folder, "pack"))
	index, err := folder.Open(name)
	if err != nil {
		return nil, err
	}
	defer closeQuietly(index)
	lookup, err := newPackIndex(index)
	if err != nil {
		return nil, err
	}
	if _, err := lookup.FindOffset(hash); err != nil {
		return nil, err
	}
	pack, err := folder.Open(strings.TrimSuffix(name, ".idx") + ".pack")
	if err != nil {
		return nil, err
	}
	defer closeQuietly(pack)
	// Without a file system the object is read now, so that it does not need the files later.
	found, err := packfile.NewPackfileWithCache(lookup, nil, pack, o.bases, 0).Get(hash)
	if errors.Is(err, plumbing.ErrObjectNotFound) {
		return nil, errors.New("the pack lacks what its index has")
	}
	return found, err
}

// closeQuietly closes a file that was only read.
func closeQuietly(file billy.File) { _ = file.Close() }

// packIndex searches a pack's index in its file. The layout, version 2, is in
// https://git-scm.com/docs/gitformat-pack#_pack_idx_files_have_the_following_format
type packIndex struct {
	// Index is nil: reading single objects needs no more than the methods below.
	idxfile.Index
	file   io.ReaderAt
	fanout [256]uint32
}

var errIndexVersion = errors.New("not a pack index of version 2")

func newPackIndex(file io.ReaderAt) (*packIndex, error) {
	var head [8 + 1024]byte
	if _, err := file.ReadAt(head[:], 0); err != nil {
		return nil, err
	}
	if !bytes.Equal(head[:8], []byte{0xff, 't', 'O', 'c', 0, 0, 0, 2}) {
		return nil, errIndexVersion
	}
	x := &packIndex{file: file}
	for i := range x.fanout {
		x.fanout[i] = binary.BigEndian.Uint32(head[8+4*i:])
		if i > 0 && x.fanout[i] < x.fanout[i-1] {
			return nil, errIndexVersion
		}
	}
	// A damaged table must not make FindOffset ask for more memory than the file has: names, checksums and offsets of
	// all objects and two hashes must be there.
	last := 8 + 1024 + int64(x.fanout[255])*(20+4+4) + 2*20 - 1
	if _, err := file.ReadAt(head[:1], last); err != nil {
		return nil, err
	}
	return x, nil
}

// FindOffset returns where the object is in the pack.
func (x *packIndex) FindOffset(hash plumbing.Hash) (int64, error) {
	const names, size = 8 + 1024, int64(len(plumbing.Hash{}))
	var first uint32
	if hash[0] > 0 {
		first = x.fanout[hash[0]-1]
	}
	bucket := make([]byte, int64(x.fanout[hash[0]]-first)*size)
	if _, err := x.file.ReadAt(bucket, names+int64(first)*size); err != nil {
		return 0, err
	}
	count := len(bucket) / int(size)
	at := sort.Search(count, func(i int) bool {
		return bytes.Compare(bucket[i*int(size):(i+1)*int(size)], hash[:]) >= 0
	})
	if at == count || !bytes.Equal(bucket[at*int(size):(at+1)*int(size)], hash[:]) {
		return 0, plumbing.ErrObjectNotFound
	}
	total, position := int64(x.fanout[255]), int64(first)+int64(at)
	offsets := names + total*(size+4)
	offset, err := x.number(offsets+position*4, 4)
	if err != nil || offset&(1<<31) == 0 {
		return offset, err
	}
	// In packs of more than 2 GiB it is the row in a table of long offsets.
	return x.number(offsets+total*4+(offset&^(1<<31))*8, 8)
}

func (x *packIndex) number(at int64, width int) (int64, error) {
	var raw [8]byte
	if _, err := x.file.ReadAt(raw[8-width:], at); err != nil {
		return 0, err
	}
	return int64(binary.BigEndian.Uint64(raw[:])), nil
}

// FindHash names the object at an offset. go-git wants it as a key of its cache for the bases of deltas; the real
// hash would take reading the whole index, so the key is made of the offset.
func (x *packIndex) FindHash(offset int64) (plumbing.Hash, error) {
	key := plumbing.Hash{0: 0xff, 1: 'o', 2: 'f', 3: 's'}
	binary.BigEndian.PutUint64(key[12:], uint64(offset))
	return key, nil
}
