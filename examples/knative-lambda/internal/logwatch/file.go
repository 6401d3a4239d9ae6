package logwatch

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"unicode/utf8"
)

// file is one file that is followed. Its handle stays open, so that a renamed or removed file is read to its end.
type file struct {
	name    string
	handle  *os.File
	info    fs.FileInfo // identity
	offset  int64       // bytes read
	pending []byte      // the start of a line whose end is not there yet, at most MaxLine bytes
	gone    bool        // no name in the folder leads to it any more
}

func open(path, name string) (*file, error) {
	handle, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := handle.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", path)
	}
	if err != nil {
		_ = handle.Close() // the first error is the one to tell
		return nil, err
	}
	return &file{name: name, handle: handle, info: info}, nil
}

// read writes the lines that are new. It stops at the size that the file has at the start, so that a file that grows
// without end cannot hold up the others. An error is one of the output; a file that cannot be read is logged.
func (w *Watcher) read(f *file) error {
	info, err := f.handle.Stat()
	if err != nil {
		w.log.Warn("log file not readable", "file", f.name, "error", err.Error())
		return nil
	}
	if info.Size() < f.offset {
		w.update(func(s *Status) { s.Truncations++ })
		if err := w.flush(f); err != nil {
			return err
		}
		f.offset = 0
	}
	for left := info.Size() - f.offset; left > 0; {
		n, err := f.handle.ReadAt(w.buf[:min(left, int64(len(w.buf)))], f.offset)
		f.offset += int64(n)
		left -= int64(n)
		w.update(func(s *Status) { s.Bytes += int64(n) })
		if err := w.split(f, w.buf[:n]); err != nil {
			return err
		}
		if err == io.EOF {
			return nil // cut off meanwhile; the next poll sees the new size
		}
		if err != nil {
			w.log.Warn("log file not readable", "file", f.name, "error", err.Error())
			return nil
		}
	}
	return nil
}

// split writes the whole lines of what was pending and chunk, and keeps the rest.
func (w *Watcher) split(f *file, chunk []byte) error {
	for len(chunk) > 0 {
		end := bytes.IndexByte(chunk, '\n')
		take := chunk
		if end >= 0 {
			take = chunk[:end]
		}
		if room := MaxLine - len(f.pending); len(take) > room {
			f.pending = append(f.pending, take[:room]...)
			chunk = chunk[room:]
			if err := w.emit(f, true); err != nil {
				return err
			}
			continue
		}
		f.pending = append(f.pending, take...)
		if end < 0 {
			return nil
		}
		chunk = chunk[end+1:]
		if err := w.emit(f, false); err != nil {
			return err
		}
	}
	return nil
}

// flush writes a line without an end, because none will come.
func (w *Watcher) flush(f *file) error {
	if len(f.pending) == 0 {
		return nil
	}
	return w.emit(f, false)
}

func (w *Watcher) emit(f *file, partial bool) error {
	line, rest := f.pending, 0
	if partial {
		rest = unfinishedRune(line)
	} else {
		line = bytes.TrimSuffix(line, []byte("\r"))
	}
	text := string(line[:len(line)-rest])
	f.pending = append(f.pending[:0], line[len(line)-rest:]...)
	if err := w.out.Encode(Line{File: f.name, Line: text, Partial: partial}); err != nil {
		return fmt.Errorf("write a log line of %s: %w", f.name, err)
	}
	w.update(func(s *Status) { s.Lines++ })
	return nil
}

// unfinishedRune returns how many bytes at the end are the start of a character whose rest is not there.
func unfinishedRune(b []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(b); n++ {
		if tail := b[len(b)-n:]; utf8.RuneStart(tail[0]) {
			if utf8.FullRune(tail) {
				return 0
			}
			return n
		}
	}
	return 0
}
