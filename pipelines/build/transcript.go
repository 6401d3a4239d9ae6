package build

import (
	"bytes"
	"errors"
	"slices"
	"strings"

	"github.com/berth-sh/berth/pipelines/fault"
)

const (
	// keptLines is how much of a build's output is kept for its error.
	keptLines = 400
	// tailLines is how much of that an error shows when the builder does not say which step failed.
	tailLines = 30
	// longestLine is where a line is cut that does not end.
	longestLine = 64 << 10
)

// Transcript is a writer for what BuildKit prints in its plain form. It hands each line on and keeps the end, for the
// error of a build that fails. It is not safe for concurrent use.
type Transcript struct {
	each  func(string)
	part  []byte
	lines []string
	// failed is the index in lines where the summary of a failure starts, plus one; 0 is none.
	failed int
	// exporting is how the lines begin that tell of writing a cache, and unsaved why one could not be written.
	exporting, unsaved string
}

// NewTranscript makes a transcript; each is called with every line.
func NewTranscript(each func(line string)) *Transcript { return &Transcript{each: each} }

// Write takes output; it never fails.
func (t *Transcript) Write(p []byte) (int, error) {
	t.part = append(t.part, p...)
	for {
		line, rest, ended := bytes.Cut(t.part, []byte("\n"))
		switch {
		case len(line) > longestLine:
			line, rest = t.part[:longestLine], t.part[longestLine:]
		case !ended:
			return len(p), nil
		}
		t.add(string(line))
		t.part = rest
	}
}

func (t *Transcript) add(line string) {
	line = strings.TrimRight(line, "\r")
	if line == "" {
		return
	}
	t.each(line)
	t.watch(line)
	// BuildKit's own summary: a rule, the failing step, what it printed last, where it stands in the file, the error.
	if line == "------" && t.failed == 0 {
		t.failed = len(t.lines) + 1
	}
	t.lines = append(t.lines, line)
	if extra := len(t.lines) - keptLines; extra > 0 {
		t.lines = slices.Delete(t.lines, 0, extra)
		if t.failed > 0 {
			t.failed = max(1, t.failed-extra)
		}
	}
}

// watch notes a cache that could not be written: a builder that is told to ignore that says it here alone.
func (t *Transcript) watch(line string) {
	step, rest, _ := strings.Cut(line, " ")
	if strings.HasPrefix(rest, "exporting cache to ") {
		t.exporting = step
	}
	if why, failed := strings.CutPrefix(rest, "ERROR: "); failed && step == t.exporting {
		t.unsaved = why
	}
}

// TellUnsaved warns when the cache of a build that went well was not written.
func (t *Transcript) TellUnsaved(component string, warn func(string)) {
	if t.unsaved != "" && warn != nil {
		warn(component + ": the image is built, but the cache of the build was not saved: " + t.unsaved)
	}
}

// Tail is the error of the build as a reader needs it: the summary of the failing step, else the last lines, else the
// cause.
func (t *Transcript) Tail(cause error) error {
	t.add(string(t.part))
	t.part = nil
	lines := t.lines
	if t.failed > 0 {
		lines = lines[t.failed-1:]
	} else if len(lines) > tailLines {
		lines = lines[len(lines)-tailLines:]
	}
	if len(lines) == 0 {
		return cause
	}
	return errors.New("the build says:\n" + strings.Join(lines, "\n"))
}

// Broken is the fault of a build that ended with an error. ready is what the builder says of itself now: a builder that
// went away during the build is told apart from a Dockerfile that is wrong.
func Broken(c DockerfileComponent, said, ready error) error {
	f := &fault.Error{
		Op: "build", Subject: c.Name, Err: said, Code: fault.Failed,
		Next: "correct " + c.File + " or what it copies; the lines above are the end of what the build printed",
	}
	if image, login, ok := refused(said.Error()); ok {
		f.Code = fault.Credentials
		f.Next = refusedNext(image, login)
	}
	if ready != nil {
		f.Next = "the builder is gone (" + ready.Error() + "): start it, then run the same command again"
		f.Code, f.Retryable = fault.Failed, true
	}
	return f
}
