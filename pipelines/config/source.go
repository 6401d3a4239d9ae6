package config

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"

	"github.com/berth-sh/berth/pipelines/fault"
)

// source remembers where each value of the file stands, so that an error found long after loading still points at it.
type source struct {
	file  string
	at    map[string]*token.Position
	unset []unset
	// anchors are the paths of the values that have an anchor, by its name.
	anchors map[string][]string
	// holder is the path of the mapping that holds the key at a place.
	holder map[place][]string
}

// place is a line and column.
type place struct{ line, column int }

// unset is a ${VAR} whose variable the environment does not have.
type unset struct {
	path     []string
	variable string
}

const pathSeparator = "\x00"

func newSource(file string, body ast.Node) *source {
	s := &source{
		file: file, at: map[string]*token.Position{}, anchors: map[string][]string{}, holder: map[place][]string{},
	}
	s.index(body, nil)
	return s
}

// index notes the position of every value below node. A value that is a mapping or a list is noted by its key, which is
// where a reader looks for it.
func (s *source) index(node ast.Node, path []string) {
	switch n := node.(type) {
	case *ast.MappingNode:
		for _, v := range n.Values {
			s.indexValue(v, path)
		}
	case *ast.MappingValueNode:
		s.indexValue(n, path)
	case *ast.SequenceNode:
		for i, v := range n.Values {
			item := append(path[:len(path):len(path)], strconv.Itoa(i))
			s.at[strings.Join(item, pathSeparator)] = v.GetToken().Position
			s.index(v, item)
		}
	case *ast.TagNode:
		s.index(n.Value, path)
	case *ast.AnchorNode:
		s.index(n.Value, path)
	}
}

func (s *source) indexValue(v *ast.MappingValueNode, path []string) {
	key := append(path[:len(path):len(path)], v.Key.GetToken().Value)
	position := v.Key.GetToken().Position
	s.holder[place{position.Line, position.Column}] = path
	if isScalar(v.Value) {
		position = v.Value.GetToken().Position
	}
	s.at[strings.Join(key, pathSeparator)] = position
	s.index(v.Value, key)
}

// checkKeys refuses keys that are no text, such as 1 or true: the decoder would drop what stands beside them. It puts
// merged mappings in front of the keys beside them, which override them: the decoder lets the last one win.
// Source: https://yaml.org/type/merge.html
func checkKeys(file string, node ast.Node) error {
	switch n := node.(type) {
	case *ast.MappingNode:
		for _, v := range n.Values {
			if err := checkKeys(file, v); err != nil {
				return err
			}
		}
		slices.SortStableFunc(n.Values, func(a, b *ast.MappingValueNode) int {
			return cmp.Compare(rank(a), rank(b))
		})
	case *ast.MappingValueNode:
		switch n.Key.(type) {
		case *ast.StringNode, *ast.MergeKeyNode:
			return checkKeys(file, n.Value)
		}
		tok := n.Key.GetToken()
		return fault.New(fault.Usage, fmt.Sprintf("%s:%d:%d", file, tok.Position.Line, tok.Position.Column),
			"write a plain word, or quote it", "the key %q is not text", tok.Value)
	case *ast.SequenceNode:
		for _, v := range n.Values {
			if err := checkKeys(file, v); err != nil {
				return err
			}
		}
	case *ast.AnchorNode:
		return checkKeys(file, n.Value)
	case *ast.TagNode:
		// No key of the file needs another, and the decoder panics on some.
		if n.Start.Value != "!!str" || !isScalar(n.Value) {
			return fault.New(fault.Usage, fmt.Sprintf("%s:%d:%d", file, n.Start.Position.Line, n.Start.Position.Column),
				"remove it", "the YAML tag %s has no use here", n.Start.Value)
		}
	}
	return nil
}

func rank(v *ast.MappingValueNode) int {
	if v.Key.IsMergeKey() {
		return 0
	}
	return 1
}

func isScalar(n ast.Node) bool {
	_, ok := n.(ast.ScalarNode)
	return ok
}

// where writes file:line:column of the value at path, or of the nearest value above it.
func (s *source) where(path []string) string {
	if p := s.position(path); p != nil {
		return fmt.Sprintf("%s:%d:%d", s.file, p.Line, p.Column)
	}
	return s.file
}

// position is that of the value at path, or of the nearest value above it; nil is none.
func (s *source) position(path []string) *token.Position {
	for n := len(path); n > 0; n-- {
		if p, ok := s.at[strings.Join(path[:n], pathSeparator)]; ok {
			return p
		}
	}
	return nil
}

// Position is the line and column, counted from 1, of the value at path, or of the nearest value above it that the file
// has; 0 is none.
func (c *Config) Position(path ...string) (line, column int) {
	if c.source == nil {
		return 0, 0
	}
	if p := c.source.position(path); p != nil {
		return p.Line, p.Column
	}
	return 0, 0
}

// Fault returns a configuration error that points at the value at path, for example
// c.Fault([]string{"environments", "dev", "registry"}, …).
func (c *Config) Fault(path []string, next, format string, args ...any) *fault.Error {
	return fault.New(fault.Usage, c.Where(path...), next, format, args...)
}

// Where writes file:line:column of the value at path, or of the nearest value above it that the file has.
func (c *Config) Where(path ...string) string {
	if c.source == nil {
		return FileName
	}
	return c.source.where(path)
}

// RequireSet returns an error for the first ${VAR} without a value at or below path. Variables are checked where they
// are used, so that publishing to one registry does not need the variables of another.
func (c *Config) RequireSet(path ...string) error {
	if c.source == nil {
		return nil
	}
	for _, u := range c.source.unset {
		if below(u.path, path) {
			return c.Fault(u.path, fmt.Sprintf("set it: export %s=…", u.variable),
				"the environment variable %s is not set", u.variable)
		}
	}
	return nil
}

// below reports whether path is root or stands under it.
func below(path, root []string) bool {
	return len(path) >= len(root) && slices.Equal(path[:len(root)], root)
}

// alias notes that the value at path is that of an anchor, so that it lacks the same variables.
func (s *source) alias(name string, path []string) {
	root, ok := s.anchors[name]
	if !ok {
		return
	}
	for _, u := range slices.Clone(s.unset) {
		if below(u.path, root) {
			s.unset = append(s.unset, unset{path: slices.Concat(path, u.path[len(root):]), variable: u.variable})
		}
	}
}

// Unset lists the variables that the file uses and the environment does not have, with their places.
func (c *Config) Unset() []string {
	var out []string
	if c.source != nil {
		for _, u := range c.source.unset {
			out = append(out, fmt.Sprintf("%s: %s", c.source.where(u.path), u.variable))
		}
	}
	return out
}
