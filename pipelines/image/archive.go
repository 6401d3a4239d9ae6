package image

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/errdef"
)

// archive is an OCI image layout that a builder wrote, as a folder or as a tar archive, which is read in place.
type archive struct {
	path  string
	files map[string]span // of a tar archive, by name; nil for a folder
}

// span is where a file of a tar archive lies.
type span struct{ offset, size int64 }

// openArchive opens a layout. Blobs are not verified before they are read.
func openArchive(name string) (*archive, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	a := &archive{path: name}
	if info.IsDir() {
		return a, nil
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	a.files = map[string]span{}
	for r := tar.NewReader(file); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return a, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s is no tar archive: %w", name, err)
		}
		// The reader stands at the start of the content after each header.
		offset, err := file.Seek(0, io.SeekCurrent)
		if err != nil {
			return nil, err
		}
		a.files[path.Clean(header.Name)] = span{offset: offset, size: header.Size}
	}
}

// open opens a file of the layout; its reader can seek.
func (a *archive) open(name string) (io.ReadCloser, error) {
	if a.files == nil {
		return os.Open(filepath.Join(a.path, filepath.FromSlash(name)))
	}
	at, ok := a.files[name]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	file, err := os.Open(a.path)
	if err != nil {
		return nil, err
	}
	return section{io.NewSectionReader(file, at.offset, at.size), file}, nil
}

// section is a part of a file, closed with the file.
type section struct {
	*io.SectionReader
	file *os.File
}

func (s section) Close() error { return s.file.Close() }

func blobName(d digest.Digest) string {
	return path.Join(ocispec.ImageBlobsDir, d.Algorithm().String(), d.Encoded())
}

// Fetch opens a blob. Its error wraps [errdef.ErrNotFound] when the layout has no such blob.
func (a *archive) Fetch(_ context.Context, d ocispec.Descriptor) (io.ReadCloser, error) {
	if err := d.Digest.Validate(); err != nil {
		return nil, fmt.Errorf("%q: %w", d.Digest, err)
	}
	r, err := a.open(blobName(d.Digest))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %s: %w", a.path, d.Digest, errdef.ErrNotFound)
	}
	return r, err
}

// index reads index.json.
func (a *archive) index() (ocispec.Index, error) {
	var index ocispec.Index
	r, err := a.open(ocispec.ImageIndexFile)
	if err != nil {
		return index, err
	}
	defer r.Close()
	return index, decodeJSON(r, ocispec.ImageIndexFile, &index)
}
