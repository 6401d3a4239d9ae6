package image

import (
	"archive/tar"
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/opencontainers/go-digest"
)

// compression is fixed, for the level decides the bytes and so the digest of every image. Level 5 of this compressor
// takes as long as level 1 of the standard library's for a Go binary, and its output is 7 % smaller.
const compression = 5

// entry is one file or folder of a layer.
type entry struct {
	name string // relative to the root of the image; a folder's ends in "/"
	mode int64  // permission bits, with setuid, setgid and sticky as tar writes them
	id   int    // owner and group
	size int64
	open func() (io.ReadCloser, error) // nil for a folder
}

// layer is what a manifest and a configuration say of a layer.
type layer struct {
	digest digest.Digest // of the compressed bytes
	diffID digest.Digest // of the tar
	size   int64         // of the compressed bytes
}

// writeLayer writes entries as a gzipped tar, in one pass and with constant memory. Order, owner, times and formats are
// fixed. The compressor is a module pinned in go.mod and not the standard library's, whose output changes with Go
// releases.
func writeLayer(ctx context.Context, w io.Writer, mtime time.Time, entries []entry) (layer, error) {
	sorted := slices.SortedFunc(slices.Values(entries), func(a, b entry) int { return cmp.Compare(a.name, b.name) })
	return packLayer(w, func(archive *tar.Writer) error {
		for _, e := range sorted {
			if err := writeEntry(ctx, archive, mtime, e); err != nil {
				return fmt.Errorf("/%s: %w", e.name, err)
			}
		}
		return nil
	})
}

// packLayer compresses and hashes what fill writes.
func packLayer(w io.Writer, fill func(*tar.Writer) error) (layer, error) {
	out := &counter{w: w, sum: sha256.New()}
	zip, err := gzip.NewWriterLevel(out, compression)
	if err != nil {
		return layer{}, err
	}
	plain := sha256.New()
	archive := tar.NewWriter(io.MultiWriter(zip, plain))
	if err := fill(archive); err != nil {
		return layer{}, err
	}
	if err := archive.Close(); err != nil {
		return layer{}, err
	}
	if err := zip.Close(); err != nil {
		return layer{}, err
	}
	return layer{
		digest: digest.NewDigest(digest.SHA256, out.sum),
		diffID: digest.NewDigest(digest.SHA256, plain),
		size:   out.size,
	}, nil
}

func writeEntry(ctx context.Context, archive *tar.Writer, mtime time.Time, e entry) error {
	header := &tar.Header{
		Typeflag: tar.TypeReg,
		Name:     e.name,
		Mode:     e.mode,
		Uid:      e.id,
		Gid:      e.id,
		Size:     e.size,
		ModTime:  mtime,
		Format:   tar.FormatUSTAR, // the one format without room for what differs between machines
	}
	if strings.HasSuffix(e.name, "/") {
		header.Typeflag = tar.TypeDir
	}
	if err := archive.WriteHeader(header); err != nil {
		return err
	}
	if e.open == nil {
		return nil
	}
	r, err := e.open()
	if err != nil {
		return err
	}
	defer r.Close()
	n, err := io.Copy(archive, contextReader{ctx, r})
	if err != nil {
		return err
	}
	if n != e.size {
		return fmt.Errorf("%d bytes read where %d were expected: %w", n, e.size, io.ErrUnexpectedEOF)
	}
	return nil
}

// text is a file that everybody may read, with its content in memory.
func text(name string, data []byte) entry {
	return entry{
		name: name, mode: 0o644, size: int64(len(data)),
		open: func() (io.ReadCloser, error) { return memoryReader(data), nil },
	}
}

// counter passes bytes on, counted and hashed.
type counter struct {
	w    io.Writer
	sum  hash.Hash
	size int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.sum.Write(p[:n])
	c.size += int64(n)
	return n, err
}
