package facts

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/index"
)

// converted is true when the file is what git would check out for the blob by the two conversions in wide use: line
// ends (core.autocrlf, eol=crlf) and Git LFS. Files of other filters count as changed when their times leave a doubt.
func (c comparer) converted(e *index.Entry, content []byte) (bool, error) {
	if unix := bytes.ReplaceAll(content, []byte("\r\n"), []byte("\n")); len(unix) != len(content) {
		if plumbing.ComputeHash(plumbing.BlobObject, unix) == e.Hash {
			return true, nil
		}
	}
	blob, err := c.repository.git.Storer.EncodedObject(plumbing.BlobObject, e.Hash)
	if errors.Is(err, plumbing.ErrObjectNotFound) {
		// A partial clone does not hold the blob of every file; the hashes differ, that is enough.
		return false, nil
	}
	if err != nil || blob.Size() > maxPointer {
		return false, err
	}
	reader, err := blob.Reader()
	if err != nil {
		return false, err
	}
	pointer, err := io.ReadAll(reader)
	if err := errors.Join(err, reader.Close()); err != nil {
		return false, err
	}
	return isPointerTo(pointer, content), nil
}

// maxPointer is the most bytes a Git LFS pointer has; the rule is in its specification.
const maxPointer = 1024

// isPointerTo is true when the blob is the Git LFS pointer of the content:
// https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md
func isPointerTo(pointer, content []byte) bool {
	text, ok := strings.CutPrefix(string(pointer), "version https://git-lfs.github.com/spec/v1\n")
	if !ok {
		return false
	}
	sum := sha256.Sum256(content)
	var oid, size bool
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		switch key {
		case "oid":
			oid = value == "sha256:"+hex.EncodeToString(sum[:])
		case "size":
			size = value == strconv.Itoa(len(content))
		}
	}
	return oid && size
}
