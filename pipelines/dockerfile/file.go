package dockerfile

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerfile/shell"

	"github.com/berth-sh/berth/pipelines/fault"
)

// File is a Dockerfile that was parsed.
type File struct {
	name    string
	content []byte
	lex     *shell.Lex
	args    []instructions.ArgCommand // before the first FROM
	stages  []stage
}

// stage is one FROM and what follows it.
type stage struct {
	instructions.Stage
	sources []source // of its COPY --from and RUN --mount, in order
	args    []string // that it declares
	env     []string // that it sets
}

// source is a place from which an instruction takes files: a stage or an image.
type source struct {
	instruction string
	from        string
	byIndex     bool // a number means a stage
	lines       span
}

// span are the lines of an instruction, counted from 1.
type span struct{ first, last int }

// Parse reads a Dockerfile. name is for messages. A mistake in the file is a fault with [fault.Usage] that names the
// line.
func Parse(name string, content []byte) (*File, error) {
	result, err := parser.Parse(bytes.NewReader(content))
	if err != nil {
		return nil, syntaxFault(name, 0, err)
	}
	d := &File{name: name, content: content, lex: shell.NewLex(result.EscapeToken)}
	for _, node := range result.AST.Children {
		parsed, err := instructions.ParseInstruction(node)
		if err != nil {
			return nil, syntaxFault(name, node.StartLine, err)
		}
		if err := d.add(parsed); err != nil {
			return nil, syntaxFault(name, node.StartLine, err)
		}
	}
	if len(d.stages) == 0 {
		return nil, syntaxFault(name, 0, errors.New("there is no FROM in it"))
	}
	return d, nil
}

// HasFrontend tells whether a Dockerfile names the program that reads it ("# syntax="), which may understand more than
// [Parse].
// Source: https://docs.docker.com/reference/dockerfile/#syntax
func HasFrontend(content []byte) bool {
	_, _, _, ok := parser.DetectSyntax(content)
	return ok
}

func (d *File) add(parsed any) error {
	switch c := parsed.(type) {
	case *instructions.Stage:
		d.stages = append(d.stages, stage{Stage: *c})
		return nil
	case *instructions.ArgCommand:
		if len(d.stages) == 0 {
			d.args = append(d.args, *c)
			return nil
		}
	}
	if len(d.stages) == 0 {
		return errors.New("only ARG may stand before the first FROM")
	}
	last := &d.stages[len(d.stages)-1]
	return last.add(parsed, span{})
}

// add notes what an instruction takes files from. lines are those of an ONBUILD around it.
func (s *stage) add(parsed any, lines span) error {
	command, ok := parsed.(instructions.Command)
	if !ok {
		return nil
	}
	if lines == (span{}) {
		lines = spanOf(command.Location())
	}
	switch c := parsed.(type) {
	case *instructions.CopyCommand:
		if c.From != "" {
			s.sources = append(s.sources, source{instruction: "COPY --from", from: c.From, byIndex: true, lines: lines})
		}
	case *instructions.RunCommand:
		for _, m := range instructions.GetMounts(c) {
			if m.From != "" {
				s.sources = append(s.sources, source{instruction: "RUN --mount", from: m.From, lines: lines})
			}
		}
	case *instructions.ArgCommand:
		for _, a := range c.Args {
			s.args = append(s.args, a.Key)
		}
	case *instructions.EnvCommand:
		for _, e := range c.Env {
			s.env = append(s.env, e.Key)
		}
	case *instructions.OnbuildCommand:
		// It runs in the stages and images that are built on this one, so that it counts as if it ran here.
		inner, err := parser.Parse(strings.NewReader(c.Expression))
		if err != nil {
			return err
		}
		for _, node := range inner.AST.Children {
			trigger, err := instructions.ParseInstruction(node)
			if err != nil {
				return err
			}
			if err := s.add(trigger, lines); err != nil {
				return err
			}
		}
	}
	return nil
}

func spanOf(ranges []parser.Range) span {
	if len(ranges) == 0 {
		return span{}
	}
	s := span{ranges[0].Start.Line, ranges[0].End.Line}
	for _, r := range ranges {
		s.first, s.last = min(s.first, r.Start.Line), max(s.last, r.End.Line)
	}
	return s
}

// syntaxFault points at a line of the Dockerfile: the one that the parser tells, else the one given, if any.
func syntaxFault(name string, line int, err error) error {
	if at, ok := errors.AsType[*parser.LocationError](err); ok && line == 0 && len(at.Locations) > 0 {
		line = spanOf(at.Locations[0]).first
	}
	if line > 0 {
		name = fmt.Sprintf("%s:%d", name, line)
	}
	return fault.New(fault.Usage, name, "correct the Dockerfile there", "%w", err)
}
