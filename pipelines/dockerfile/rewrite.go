package dockerfile

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/berth-sh/berth/pipelines/fault"
)

// ErrNotLiteral is the reason why a digest cannot be written: the file does not hold the reference as it is read, but
// puts it together from variables.
var ErrNotLiteral = errors.New("it is put together from variables")

// Edit replaces the bytes of a file from Start up to End.
type Edit struct {
	Start, End int
	Text       string
}

// Pin returns the edits that make the file name the digest for a base of it, and keep every other byte. An old digest
// is replaced where it stands: in the instruction, or in the ARG that it comes from. Without an old one, tag and digest
// are put behind the name; tag is the base's own, or what the digest was asked for. in is what the base was found with.
// The error wraps [ErrNotLiteral] when there is no place whose change has that effect.
func (d *File) Pin(b Base, in Inputs, tag, digest string) ([]Edit, error) {
	places := []span{{b.Line, b.last}}
	for _, a := range d.args {
		places = append(places, spanOf(a.Location()))
	}
	for i, at := range places {
		start, end := d.bytes(at)
		text := d.content[start:end]
		var edits []Edit
		if b.Digest != "" {
			edits = replaceAll(text, b.Digest, digest)
		} else if j := findImage(text, b, i == 0); j >= 0 {
			j += len(b.Image)
			edits = []Edit{{j, j, suffix(b, tag, digest)}}
		}
		for k := range edits {
			edits[k].Start += start
			edits[k].End += start
		}
		if len(edits) > 0 && d.pins(edits, b, in, digest) {
			return edits, nil
		}
	}
	return nil, fmt.Errorf("%s:%d: %s: %w", d.name, b.Line, b.Image, ErrNotLiteral)
}

// pins tells whether a build of the edited file takes the base by the digest.
func (d *File) pins(edits []Edit, b Base, in Inputs, digest string) bool {
	content, err := Apply(d.name, d.content, edits)
	if err != nil {
		return false
	}
	edited, err := Parse(d.name, content)
	if err != nil {
		return false
	}
	bases, err := edited.Bases(in)
	return err == nil && slices.ContainsFunc(bases, func(now Base) bool {
		return now.Line == b.Line && now.Instruction == b.Instruction && now.Repository == b.Repository &&
			now.Digest == digest
	})
}

// suffix is what pins a reference that has no digest.
func suffix(b Base, tag, digest string) string {
	if b.Tag == "" {
		return ":" + tag + "@" + digest
	}
	return "@" + digest
}

// replaceAll returns the edits that replace each occurrence.
func replaceAll(text []byte, old, replacement string) []Edit {
	var out []Edit
	for at := 0; ; {
		i := bytes.Index(text[at:], []byte(old))
		if i < 0 {
			return out
		}
		out = append(out, Edit{at + i, at + i + len(old), replacement})
		at += i + len(old)
	}
}

// findImage is the place of the base's reference as a whole word; -1 is none. In its own instruction, other than FROM,
// it stands behind from=.
func findImage(text []byte, b Base, own bool) int {
	for at := 0; at < len(text); {
		i := bytes.Index(text[at:], []byte(b.Image))
		if i < 0 {
			return -1
		}
		i += at
		before, after := text[:i], text[i+len(b.Image):]
		whole := (len(before) == 0 || !inReference(before[len(before)-1])) &&
			(len(after) == 0 || !inReference(after[0]))
		if whole && (!own || b.Instruction == "FROM" || bytes.HasSuffix(before, []byte("from="))) {
			return i
		}
		at = i + 1
	}
	return -1
}

// inReference tells whether a byte can be part of a reference to an image.
func inReference(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("._-/:@", c) >= 0
}

// bytes are the offsets of lines in the file.
func (d *File) bytes(lines span) (start, end int) {
	rest := d.content
	for line := 1; line <= lines.last && len(rest) > 0; line++ {
		n := bytes.IndexByte(rest, '\n') + 1
		if n == 0 {
			n = len(rest)
		}
		if line < lines.first {
			start += n
		}
		end += n
		rest = rest[n:]
	}
	return start, end
}

// PinYAML returns the edit that replaces a digest in a YAML file: on the line of the value, or, as the value may be
// elsewhere by an anchor, where it stands alone in the file. The error wraps [ErrNotLiteral] when there is no such
// place.
func PinYAML(content []byte, line int, old, digest string) ([]Edit, error) {
	all := replaceAll(content, old, digest)
	lineOf := func(e Edit) int { return bytes.Count(content[:e.Start], []byte("\n")) + 1 }
	for _, e := range all {
		if lineOf(e) == line {
			return []Edit{e}, nil
		}
	}
	if len(all) == 1 {
		return all, nil
	}
	return nil, fmt.Errorf("line %d: %w", line, ErrNotLiteral)
}

// Apply carries out edits. The same edit may be there more than once; edits that contradict each other are a fault with
// [fault.Usage].
func Apply(name string, content []byte, edits []Edit) ([]byte, error) {
	edits = slices.Clone(edits)
	slices.SortFunc(edits, func(a, b Edit) int { return a.Start - b.Start })
	var out []byte
	done := 0
	for i, e := range edits {
		if i > 0 && e == edits[i-1] {
			continue
		}
		if e.Start < done || i > 0 && e.Start == edits[i-1].Start {
			line := bytes.Count(content[:e.Start], []byte("\n")) + 1
			return nil, fault.New(fault.Usage, fmt.Sprintf("%s:%d", name, line), "give each image a digest of its own",
				"one digest stands for images with different tags, whose digests now differ")
		}
		out = append(append(out, content[done:e.Start]...), e.Text...)
		done = e.End
	}
	return append(out, content[done:]...), nil
}
