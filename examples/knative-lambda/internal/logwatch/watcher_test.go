package logwatch

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// bench is a watcher with its folder and its output.
type bench struct {
	*Watcher
	t   *testing.T
	dir string
	out bytes.Buffer
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, dir: t.TempDir()}
	message := filepath.Join(t.TempDir(), "termination-log")
	b.Watcher = New(b.dir, message, &b.out, slog.New(slog.NewJSONHandler(io.Discard, nil)))
	t.Cleanup(b.close)
	return b
}

func (b *bench) write(name, text string) {
	b.t.Helper()
	f, err := os.OpenFile(filepath.Join(b.dir, name), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = f.WriteString(text)
		err = errors.Join(err, f.Close())
	}
	b.must(err)
}

func (b *bench) rename(from, to string) {
	b.t.Helper()
	b.must(os.Rename(filepath.Join(b.dir, from), filepath.Join(b.dir, to)))
}

func (b *bench) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// lines polls once and returns what was written, "file:line", with "+" behind a piece.
func (b *bench) lines() []string {
	b.t.Helper()
	done, err := b.Poll()
	b.must(err)
	if done {
		b.t.Fatal("the termination message came out of nowhere")
	}
	return b.written()
}

func (b *bench) written() []string {
	b.t.Helper()
	var lines []string
	for dec := json.NewDecoder(&b.out); ; {
		var line Line
		err := dec.Decode(&line)
		if err == io.EOF {
			break
		}
		b.must(err)
		text := line.File + ":" + line.Line
		if line.Partial {
			text += "+"
		}
		lines = append(lines, text)
	}
	b.out.Reset()
	return lines
}

func (b *bench) expect(want ...string) {
	b.t.Helper()
	if got := b.lines(); !slices.Equal(got, want) {
		b.t.Errorf("got %q, want %q", got, want)
	}
}

func TestFollowsSeveralFiles(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.expect()
	b.write("b.log", "b1\nb2 unfin")
	b.write("a.log", "a1\r\n\n")
	b.write("c.txt", "not a log\n")
	b.expect("a.log:a1", "a.log:", "b.log:b1")
	b.write("b.log", "ished\nb3\n")
	b.expect("b.log:b2 unfinished", "b.log:b3")
	b.expect()
	want := Status{Lines: 5, Bytes: 25, Files: []FileStatus{{"a.log", 5}, {"b.log", 20}}}
	if got := b.Status(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("status %+v, want %+v", got, want)
	}
}

func TestRotationByRename(t *testing.T) {
	t.Parallel()
	for _, old := range []string{"x.log.1", "x.1.log", "x.old.log", "y.log"} {
		t.Run(old, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.write("x.log", "one\n")
			b.expect("x.log:one")
			b.write("x.log", "two\nthree")
			b.rename("x.log", old)
			b.write("x.log", "four\n")
			got := strings.Join(b.lines(), " ")
			second := "x.log:two"
			if strings.HasSuffix(old, ".log") { // still a log, under its new name
				second = old + ":two"
			}
			if !strings.Contains(got, second) || !strings.Contains(got, "x.log:four") || strings.Contains(got, "one") {
				t.Errorf("got %q", got)
			}
			if strings.HasSuffix(old, ".log") == strings.Contains(got, "three") {
				t.Errorf("the unfinished line is written when its file has left, not before: %q", got)
			}
			if s := b.Status(); s.Rotations != 1 || s.Truncations != 0 {
				t.Errorf("status %+v", s)
			}
			b.expect()
		})
	}
}

func TestTruncation(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.write("x.log", "a long first line\nrest")
	b.expect("x.log:a long first line")
	b.must(os.Truncate(filepath.Join(b.dir, "x.log"), 0))
	b.write("x.log", "new\n")
	b.expect("x.log:rest", "x.log:new")
	if s := b.Status(); s.Truncations != 1 || s.Rotations != 0 {
		t.Errorf("status %+v", s)
	}
}

func TestRemovedFileIsReadToItsEnd(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.write("x.log", "one\n")
	b.expect("x.log:one")
	b.write("x.log", "two\nthree")
	b.must(os.Remove(filepath.Join(b.dir, "x.log")))
	b.expect("x.log:two", "x.log:three")
	if s := b.Status(); len(s.Files) != 0 {
		t.Errorf("still followed: %+v", s)
	}
}

func TestEndlessLineIsWrittenInPieces(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	text := strings.Repeat("€", 20<<10) // 60 KiB, and a piece's end falls into a character
	b.write("x.log", text)
	var joined strings.Builder
	for _, line := range b.lines() {
		piece, partial := strings.CutSuffix(strings.TrimPrefix(line, "x.log:"), "+")
		if !partial || len(piece) > MaxLine {
			t.Errorf("a piece of %d bytes, partial %v", len(piece), partial)
		}
		joined.WriteString(piece)
	}
	for _, f := range b.files {
		if cap(f.pending) > 2*MaxLine {
			t.Errorf("%d bytes are held for one file", cap(f.pending))
		}
	}
	b.write("x.log", "\nnext\n")
	end := b.lines()
	if len(end) != 2 || end[1] != "x.log:next" {
		t.Fatalf("got %q", end)
	}
	if joined.WriteString(strings.TrimPrefix(end[0], "x.log:")); joined.String() != text {
		t.Errorf("the pieces do not make the line: %d bytes of %d", joined.Len(), len(text))
	}
}

func TestLinksAndPipesAreLeftAlone(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	secret := filepath.Join(t.TempDir(), "secret")
	b.must(os.WriteFile(secret, []byte("secret\n"), 0o600))
	b.must(os.Symlink(secret, filepath.Join(b.dir, "link.log")))
	b.must(syscall.Mkfifo(filepath.Join(b.dir, "pipe.log"), 0o600))
	b.must(os.Mkdir(filepath.Join(b.dir, "dir.log"), 0o700))
	b.expect()
}

func TestManyFiles(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for i := range MaxFiles + 2 {
		b.write(fmt.Sprintf("%03d.log", i), "x\n")
	}
	if got := b.lines(); len(got) != MaxFiles {
		t.Errorf("%d files were read", len(got))
	}
	if s := b.Status(); !strings.HasPrefix(s.Problem, "128.log is not followed") ||
		!strings.HasSuffix(s.Problem, "(2 in all)") {
		t.Errorf("problem %q", s.Problem)
	}
	b.must(os.Remove(filepath.Join(b.dir, "000.log")))
	b.must(os.Remove(filepath.Join(b.dir, "001.log")))
	b.expect("128.log:x", "129.log:x")
	if s := b.Status(); s.Problem != "" {
		t.Errorf("problem %q", s.Problem)
	}
}

func TestFolderThatComesLate(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.must(os.Remove(b.dir))
	b.expect()
	if s := b.Status(); !strings.Contains(s.Problem, "no such file") {
		t.Errorf("problem %q", s.Problem)
	}
	b.must(os.Mkdir(b.dir, 0o700))
	b.write("x.log", "one\n")
	b.expect("x.log:one")
	if s := b.Status(); s.Problem != "" {
		t.Errorf("problem %q", s.Problem)
	}
}

func TestTerminationMessage(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	put := func(text string) { t.Helper(); b.must(os.WriteFile(b.message, []byte(text), 0o600)) }
	put("")
	b.expect() // Kubernetes creates the file empty
	b.expect()
	put("out of")
	b.expect() // may still grow
	put("out of memory")
	b.expect()
	done, err := b.Poll()
	b.must(err)
	if s := b.Status(); !done || !s.Terminated || s.Message != "out of memory" {
		t.Errorf("done %v, status %+v", done, s)
	}
}

func TestLongTerminationMessageIsCut(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.must(os.WriteFile(b.message, bytes.Repeat([]byte("m"), 3*MaxMessage), 0o600))
	b.expect()
	if done, err := b.Poll(); !done || err != nil || len(b.Status().Message) != MaxMessage {
		t.Errorf("done %v, error %v, %d bytes", done, err, len(b.Status().Message))
	}
}

// TestRunWritesTheRest ends in both ways with unread lines and an unfinished one.
func TestRunWritesTheRest(t *testing.T) {
	t.Parallel()
	for _, byMessage := range []bool{true, false} {
		b := newBench(t)
		tick := make(chan time.Time)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		b.write("x.log", "one\n")
		ended := make(chan error, 1)
		go func() { ended <- b.Run(ctx, tick) }()
		tick <- time.Time{} // the first look is over
		tick <- time.Time{}
		b.write("x.log", "two\nthree")
		if byMessage {
			b.must(os.WriteFile(b.message, []byte("bye"), 0o600))
			tick <- time.Time{} // each returns when the look before it is over
			select {            // the look after the second may already be the last
			case tick <- time.Time{}:
			case err := <-ended:
				ended <- err
			}
		} else {
			cancel()
		}
		b.must(<-ended)
		if got := strings.Join(b.written(), " "); got != "x.log:one x.log:two x.log:three" {
			t.Errorf("by message %v: %q", byMessage, got)
		}
		if got := b.Status().Terminated; got != byMessage {
			t.Errorf("terminated %v, want %v", got, byMessage)
		}
		if len(b.files) != 0 {
			t.Error("files are still open")
		}
	}
}

func TestRunReportsABrokenOutput(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.write("x.log", "one\n")
	w := New(b.dir, "", brokenPipe{}, b.log)
	if err := w.Run(t.Context(), nil); !errors.Is(err, syscall.EPIPE) || !strings.Contains(err.Error(), "x.log") {
		t.Errorf("got %v", err)
	}
}

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, syscall.EPIPE }
