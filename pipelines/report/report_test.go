package report_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/berth-sh/berth/pipelines/report"
)

func table() *report.Table {
	t := &report.Table{Head: []string{"NAME", "WHAT", "WHY"}}
	t.Add("a", "größer", "")
	t.Add("longer", "b", "a|b")
	return t
}

func TestTableAsText(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	if err := table().Text(&b); err != nil {
		t.Fatal(err)
	}
	want := "NAME    WHAT    WHY\na       größer\nlonger  b       a|b\n"
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
}

func TestTableAsMarkdown(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	if err := table().Markdown(&b); err != nil {
		t.Fatal(err)
	}
	want := "| NAME | WHAT | WHY |\n| --- | --- | --- |\n| a | größer |  |\n| longer | b | a\\|b |\n"
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
}

func TestJSON(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	if err := report.JSON(&b, map[string]any{"ref": "a<b>&c", "list": []string{}}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("{\n  \"list\": [],\n  \"ref\": \"a<b>&c\"\n}\n", b.String()); diff != "" {
		t.Error(diff)
	}
	if err := report.JSON(&b, func() {}); err == nil {
		t.Error("a function became JSON")
	}
}

// full takes nothing, as a disk without room.
type full struct{}

var errFull = errors.New("no space left")

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestWriteErrorsAreReported(t *testing.T) {
	t.Parallel()
	for name, write := range map[string]func(io.Writer) error{
		"text": table().Text, "markdown": table().Markdown, "json": func(w io.Writer) error { return report.JSON(w, 1) },
	} {
		if err := write(full{}); !errors.Is(err, errFull) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// clock goes on by 1.5 seconds at every look.
func clock() func() time.Time {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	return func() time.Time {
		at = at.Add(1500 * time.Millisecond)
		return at
	}
}

func TestLines(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	p := report.Lines(&b, clock())
	p.Emit("build", "web linux/amd64", "")
	p.Emit("tag", "ghcr.io/acme/web:v1", "created")
	want := "   1.5s  build  web linux/amd64\n   3.0s  tag    ghcr.io/acme/web:v1  created\n"
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
	report.Progress(nil).Emit("a", "b", "c") // silent, and no panic
}

func TestLinesFromSeveralGoroutines(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	p := report.Lines(&b, func() time.Time { return time.Time{} })
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() { p.Emit("push", "web", "done") })
	}
	group.Wait()
	if want := strings.Repeat("   0.0s  push   web  done\n", 20); b.String() != want {
		t.Error(b.String())
	}
}

// screen remembers every write and tells of it.
type screen struct {
	mu     sync.Mutex
	writes []string
	wrote  chan struct{}
}

func (s *screen) Write(b []byte) (int, error) {
	s.mu.Lock()
	s.writes = append(s.writes, string(b))
	s.mu.Unlock()
	select {
	case s.wrote <- struct{}{}:
	default:
	}
	return len(b), nil
}

func (s *screen) all() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.writes...)
}

const clearLine = "\r\x1b[K"

func TestLive(t *testing.T) {
	t.Parallel()
	s := &screen{wrote: make(chan struct{}, 1)}
	p, done := report.Live(s, func() time.Time { return time.Time{} })
	done() // nothing was shown: nothing to clear
	if got := s.all(); got != nil {
		t.Errorf("%q", got)
	}
	p.Emit("build", "web linux/amd64", "")
	p.Emit("build", strings.Repeat("ö", 100), "done")
	done()
	got := s.all()
	if got[0] != clearLine+"  0.0s  build 1  web linux/amd64" {
		t.Errorf("%q", got[0])
	}
	long := clearLine + "  0.0s  build 2  " + strings.Repeat("ö", 78-len("  0.0s  build 2  "))
	found := false
	for _, line := range got {
		found = found || line == long
	}
	if last := got[len(got)-1]; !found || last != clearLine {
		t.Errorf("%q", got)
	}
	done() // again does nothing
	if again := s.all(); len(again) != len(got) {
		t.Errorf("%q", again[len(got):])
	}
}

func TestLiveTicks(t *testing.T) {
	t.Parallel()
	s := &screen{wrote: make(chan struct{}, 1)}
	p, done := report.Live(s, func() time.Time { return time.Time{} })
	p.Emit("build", "web", "")
	for range 3 { // the step itself, and what only the ticking can write
		select {
		case <-s.wrote:
		case <-t.Context().Done():
			t.Fatal("the line does not tick")
		}
	}
	done()
	if got := s.all(); len(got) < 3 || got[1] != got[0] {
		t.Errorf("%q", got)
	}
}
