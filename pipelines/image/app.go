package image

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Store keeps layers between runs. Whatever goes wrong with it costs a compression and no more.
type Store interface {
	// File returns the file under a key and the SHA-256 of its content, or false when there is none or it is damaged.
	File(key [sha256.Size]byte) (path string, sum [sha256.Size]byte, ok bool)
	// KeepFile keeps a copy of a file under a key and returns the SHA-256 of its content.
	KeepFile(key [sha256.Size]byte, path string) (sum [sha256.Size]byte, err error)
	// Bytes returns the bytes under a key, or false when there are none or they are damaged.
	Bytes(key [sha256.Size]byte) ([]byte, bool)
	// KeepBytes keeps a few bytes under a key.
	KeepBytes(key [sha256.Size]byte, data []byte) error
}

// appLayer is the layer with the binary: from the store, or written to a file.
func (s Spec) appLayer(ctx context.Context, b Binary) (Blob, digest.Digest, error) {
	key, ok := s.appKey(b)
	if ok {
		if l, path, ok := recallLayer(s.Store, key); ok {
			return fileBlob(l.descriptor(), path), l.diffID, nil
		}
	}
	l, path, err := s.writeApp(ctx, b)
	if err != nil {
		return Blob{}, "", err
	}
	if ok {
		keepLayer(s.Store, key, l, path)
	}
	return fileBlob(l.descriptor(), path), l.diffID, nil
}

func (l layer) descriptor() ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayerGzip, Digest: l.digest, Size: l.size}
}

// layerFormat is raised when writeLayer makes other bytes of the same entries, which the golden digests in the tests
// show.
const layerFormat = 1

// appKey names all that the layer with the binary is made of, or false when there is no store or that cannot be told.
func (s Spec) appKey(b Binary) (key [sha256.Size]byte, ok bool) {
	if s.Store == nil || b.Digest.Validate() != nil {
		return key, false
	}
	compressor, ok := compressorName()
	return sha256.Sum256(fmt.Appendf(nil, "layer %d %d\n%s %s\n%q %d\n%s\n", layerFormat, compression,
		compressor, runtime.Version(), s.Component, s.Created.Unix(), b.Digest)), ok
}

// compressorName tells the compressor of this program from those of other versions, whose bytes may be others.
func compressorName() (string, bool) {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if m.Path != "github.com/klauspost/compress" {
				continue
			}
			if m.Replace != nil {
				m = m.Replace
			}
			if m.Sum != "" {
				return m.Path + " " + m.Version + " " + m.Sum, true
			}
		}
	}
	// The program of a test does not say what it is made of, nor one that replaces the module by a folder: it is told by
	// itself.
	path, err := os.Executable()
	if err != nil {
		return "", false
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", false
	}
	return fmt.Sprintf("%s %d %d", path, info.Size(), info.ModTime().UnixNano()), true
}

// keptLayer is what the store has under a layer's key. The layer itself is kept under its own digest.
type keptLayer struct {
	Digest digest.Digest `json:"digest"`
	DiffID digest.Digest `json:"diffID"`
	Size   int64         `json:"size"`
}

func recallLayer(store Store, key [sha256.Size]byte) (l layer, path string, ok bool) {
	data, ok := store.Bytes(key)
	if !ok {
		return layer{}, "", false
	}
	var kept keptLayer
	if err := json.Unmarshal(data, &kept); err != nil || kept.DiffID.Validate() != nil {
		return layer{}, "", false
	}
	path, sum, ok := store.File(contentKey(kept.Digest))
	if !ok || digest.NewDigestFromBytes(digest.SHA256, sum[:]) != kept.Digest {
		return layer{}, "", false
	}
	return layer{digest: kept.Digest, diffID: kept.DiffID, size: kept.Size}, path, true
}

// keepLayer keeps a layer. One that cannot be kept is made again next time.
func keepLayer(store Store, key [sha256.Size]byte, l layer, path string) {
	data, err := json.Marshal(keptLayer{Digest: l.digest, DiffID: l.diffID, Size: l.size})
	if err != nil {
		return
	}
	if _, err := store.KeepFile(contentKey(l.digest), path); err == nil {
		_ = store.KeepBytes(key, data)
	}
}

// contentKey is the key of a blob with this digest.
func contentKey(d digest.Digest) [sha256.Size]byte {
	return sha256.Sum256([]byte("blob " + d.String()))
}

// writeApp writes the layer with the binary to a file in WorkDir.
func (s Spec) writeApp(ctx context.Context, b Binary) (l layer, path string, err error) {
	info, err := os.Stat(b.Path)
	if err != nil {
		return layer{}, "", err
	}
	if !info.Mode().IsRegular() {
		return layer{}, "", fmt.Errorf("%s is not a regular file", b.Path)
	}
	name := s.Component + "_" + strings.ReplaceAll(PlatformString(b.Platform), "/", "_") + ".tar.gz"
	path = filepath.Join(s.WorkDir, name)
	file, err := os.Create(path)
	if err != nil {
		return layer{}, "", err
	}
	defer file.Close()
	buffered := bufio.NewWriterSize(file, 1<<18)
	l, err = writeLayer(ctx, buffered, s.Created, []entry{
		{name: "app/", mode: 0o755},
		{
			name: "app/" + s.Component, mode: 0o755, size: info.Size(),
			open: func() (io.ReadCloser, error) { return os.Open(b.Path) },
		},
	})
	if err != nil {
		return layer{}, "", err
	}
	if err := buffered.Flush(); err != nil {
		return layer{}, "", err
	}
	if err := file.Close(); err != nil {
		return layer{}, "", err
	}
	return l, path, nil
}
