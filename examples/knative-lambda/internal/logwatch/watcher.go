// Package logwatch follows the log files of a folder and waits for a termination message.
//
// It polls: inotify says nothing on several network and overlay file systems, and a poll needs no descriptor.
// What a poll cannot see is a file that was truncated and grew past its old end between two polls.
package logwatch

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// MaxLine is the longest piece of a line in one record, in bytes; longer lines come in pieces. It is what container
	// runtimes cut at, too.
	MaxLine = 16 << 10
	// MaxFiles is how many files are followed at once; each one costs an open descriptor and up to MaxLine bytes.
	MaxFiles = 128
	// MaxMessage is how much of the termination message is kept, as Kubernetes does.
	MaxMessage = 4096
)

// Line is one record on the output. Partial says that the line goes on in the next record of the same file.
type Line struct {
	File    string `json:"file"`
	Line    string `json:"line"`
	Partial bool   `json:"partial,omitempty"`
}

// Status is what the watcher knows.
type Status struct {
	Files       []FileStatus `json:"files"`
	Lines       int64        `json:"lines"`
	Bytes       int64        `json:"bytes"`
	Rotations   int64        `json:"rotations"`
	Truncations int64        `json:"truncations"`
	Terminated  bool         `json:"terminated"`
	Message     string       `json:"message,omitempty"`
	Problem     string       `json:"problem,omitempty"` // why the folder cannot be read, or files are left out
}

// FileStatus is how far a file was read, in bytes.
type FileStatus struct {
	Name   string `json:"name"`
	Offset int64  `json:"offset"`
}

// Watcher follows files. Poll and Run must not be called at the same time; Status may be.
type Watcher struct {
	dir     string
	message string
	out     *json.Encoder
	log     *slog.Logger
	buf     []byte
	files   []*file
	settled fs.FileInfo // the termination message at the last poll

	mu     sync.Mutex
	status Status
}

// New returns a watcher of *.log in dir that writes one JSON record a line to out. message is the path of the
// termination message; an empty path means that none is awaited.
func New(dir, message string, out io.Writer, log *slog.Logger) *Watcher {
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	return &Watcher{dir: dir, message: message, out: enc, log: log, buf: make([]byte, 32<<10)}
}

// Status returns a copy of what the watcher knows.
func (w *Watcher) Status() Status {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.status
	s.Files = slices.Clone(s.Files)
	return s
}

// Run polls at each tick until the context is done or the termination message is there. It reads what is left and
// writes unfinished lines before it returns. An error is one of writing the output.
func (w *Watcher) Run(ctx context.Context, tick <-chan time.Time) error {
	defer w.close()
	for {
		done, err := w.Poll()
		if err != nil {
			return err
		}
		if done {
			return w.finish()
		}
		select {
		case <-ctx.Done():
			return w.finish()
		case <-tick:
		}
	}
}

// finish reads what was written since the last poll and writes unfinished lines.
func (w *Watcher) finish() error {
	if err := w.follow(); err != nil {
		return err
	}
	for _, f := range w.files {
		if err := w.flush(f); err != nil {
			return err
		}
	}
	return nil
}

func (w *Watcher) close() {
	for _, f := range w.files {
		_ = f.handle.Close() // opened for reading only: nothing can be lost
	}
	w.files = nil
}

// Poll looks once. It returns true when the termination message is complete: not empty (Kubernetes creates an empty
// one) and the same at two polls in a row.
func (w *Watcher) Poll() (bool, error) {
	if err := w.follow(); err != nil {
		return false, err
	}
	if w.message == "" {
		return false, nil
	}
	// A message that cannot be looked at is one that is not there yet.
	info, err := os.Stat(w.message)
	if there := err == nil && info.Mode().IsRegular() && info.Size() > 0; !there {
		w.settled = nil
		return false, nil
	}
	before := w.settled
	w.settled = info
	if before == nil || before.Size() != info.Size() || !before.ModTime().Equal(info.ModTime()) {
		return false, nil
	}
	text, err := readMessage(w.message)
	if err != nil {
		w.log.Warn("termination message not readable", "path", w.message, "error", err.Error())
		text = ""
	}
	w.log.Info("termination message", "path", w.message, "message", text)
	w.update(func(s *Status) { s.Terminated, s.Message = true, text })
	return true, nil
}

func readMessage(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, MaxMessage))
	return strings.ToValidUTF8(string(text), "\uFFFD"), err
}

// follow reads what is new in all files.
func (w *Watcher) follow() error {
	problem := w.discover()
	if before := w.Status().Problem; problem != before && problem != "" {
		w.log.Warn("logs are not complete", "problem", problem)
	}
	kept := w.files[:0]
	var errs []error
	for _, f := range w.files {
		errs = append(errs, w.read(f))
		if f.gone {
			errs = append(errs, w.flush(f), f.handle.Close())
			continue
		}
		kept = append(kept, f)
	}
	clear(w.files[len(kept):])
	w.files = kept
	slices.SortFunc(w.files, func(a, b *file) int { return cmp.Compare(a.name, b.name) })
	w.update(func(s *Status) {
		s.Problem, s.Files = problem, make([]FileStatus, len(w.files))
		for i, f := range w.files {
			s.Files[i] = FileStatus{Name: f.name, Offset: f.offset}
		}
	})
	return errors.Join(errs...)
}

// discover matches the names in the folder to the files that are followed, by identity and not by name: a renamed file
// is not read again, and a new file under an old name is read from its start. It returns what is wrong, or "".
func (w *Watcher) discover() string {
	entries, err := os.ReadDir(w.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err.Error() // the files are kept: forgetting them would mean reading them twice
	}
	before := map[string]bool{}
	for _, f := range w.files {
		f.gone, before[f.name] = true, true
	}
	if err != nil {
		return err.Error()
	}
	var added []string
	for _, entry := range entries {
		// A symbolic link could lead out of the folder, opening a pipe would block.
		if entry.Type().IsRegular() && filepath.Ext(entry.Name()) == ".log" && !w.known(entry.Name()) {
			added = append(added, entry.Name())
		}
	}
	free := MaxFiles
	for _, f := range w.files {
		if !f.gone {
			free--
		}
	}
	var problems []string
	for i, name := range added {
		if i >= free {
			problems = append(problems, fmt.Sprintf("%s is not followed: at most %d files are", name, MaxFiles))
			continue
		}
		f, err := open(filepath.Join(w.dir, name), name)
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed since the folder was read
		}
		if err != nil {
			problems = append(problems, err.Error())
			continue
		}
		w.files = append(w.files, f)
		if before[name] {
			w.update(func(s *Status) { s.Rotations++ })
		}
	}
	if len(problems) == 0 {
		return ""
	}
	return fmt.Sprintf("%s (%d in all)", problems[0], len(problems))
}

// known says whether the file of that name is followed, and notes the name.
func (w *Watcher) known(name string) bool {
	info, err := os.Lstat(filepath.Join(w.dir, name))
	if err != nil {
		return false // opening it will tell why
	}
	for _, f := range w.files {
		if os.SameFile(f.info, info) {
			f.gone, f.name = false, name
			return true
		}
	}
	return false
}

func (w *Watcher) update(change func(*Status)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change(&w.status)
}
