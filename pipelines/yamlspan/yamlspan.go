// Package yamlspan finds the bytes of YAML nodes, so that one value of a file can be replaced while every other byte
// stays: comments, order, quotes, line ends, emoji.
package yamlspan

import (
	"bytes"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Parse reads a text, keys that are there twice included.
func Parse(text []byte) (*ast.File, error) {
	// The parser counts lines and columns; line ends of Windows are not to confuse it.
	unix := bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n"))
	return parser.ParseBytes(unix, 0, parser.AllowDuplicateMapKey())
}

// Pairs lists the pairs of a mapping, none for another node.
func Pairs(node ast.Node) []*ast.MappingValueNode {
	switch n := node.(type) {
	case *ast.MappingNode:
		return n.Values
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}
	default:
		return nil
	}
}

// KeyText is a key that is a string, "" for another.
func KeyText(key ast.MapKeyNode) string {
	if s, ok := key.(*ast.StringNode); ok {
		return s.Value
	}
	return ""
}

// Offset turns a line and a column in characters, both from 1, into an offset in bytes. It reports false for a place
// beyond the text.
func Offset(text []byte, at *token.Position) (int, bool) {
	begin := 0
	for range at.Line - 1 {
		next := bytes.IndexByte(text[begin:], '\n')
		if next < 0 {
			return 0, false
		}
		begin += next + 1
	}
	column := 1
	for i := range string(text[begin:]) {
		if column == at.Column {
			return begin + i, true
		}
		column++
	}
	return 0, false
}
