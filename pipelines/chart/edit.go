package chart

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"

	"github.com/berth-sh/berth/pipelines/yamlspan"
)

var (
	errNotEditable = errors.New("its YAML cannot be edited without changing something else")
	errDocuments   = errors.New("it holds more than one YAML document")
	errNoIndex     = errors.New("the list has no such item")
	errAlias       = errors.New("the value is an alias, and others would change with it")
)

const bom = "\ufeff"

// Edit returns the content of a values file with one value set. Every other byte stays: comments, order, quotes, line
// ends, keys that are there twice (of which the last counts). What is missing is added after its neighbours. It fails
// rather than change anything else: the result is read again and compared.
func Edit(content []byte, setting Setting) ([]byte, error) {
	keys := splitPath(setting.Path)
	text := bytes.TrimPrefix(content, []byte(bom))
	before, err := decode(text)
	if err != nil {
		return nil, err
	}
	value, err := plain(setting.Value)
	if err != nil {
		return nil, err
	}
	if now, ok := lookup(before, keys); ok && reflect.DeepEqual(now, value) {
		return content, nil
	}
	edited, err := edit(text, keys, setting.Value)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", setting.Path, err)
	}
	after, err := decode(edited)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", setting.Path, errNotEditable)
	}
	if want := assign(before, keys, value); !reflect.DeepEqual(after, want) {
		return nil, fmt.Errorf("%s: %w", setting.Path, errNotEditable)
	}
	return append(content[:len(content)-len(text):len(content)-len(text)], edited...), nil
}

func edit(text []byte, keys []any, value any) ([]byte, error) {
	file, err := yamlspan.Parse(text)
	if err != nil {
		return nil, err
	}
	var body ast.Node
	for _, d := range file.Docs {
		if d.Body == nil || d.Body.Type() == ast.CommentType {
			continue
		}
		if body != nil {
			return nil, errDocuments
		}
		body = d.Body
	}
	if body == nil {
		return appendLine(text, nested(keys, value, "", lineEnd(text))), nil
	}
	e := editor{text: text}
	return e.descend(body, nil, keys, value)
}

// editor replaces one value of a text.
type editor struct{ text []byte }

// descend follows the keys as far as they exist. pair is the one whose value node is, nil at the root.
func (e editor) descend(node ast.Node, pair *ast.MappingValueNode, keys []any, value any) ([]byte, error) {
	switch n := node.(type) {
	case *ast.AnchorNode:
		return e.descend(n.Value, pair, keys, value)
	case *ast.TagNode:
		return e.descend(n.Value, pair, keys, value)
	case *ast.AliasNode:
		return nil, errAlias
	}
	if len(keys) == 0 {
		return e.replace(node, pair, value)
	}
	switch key := keys[0].(type) {
	case int:
		list, ok := node.(*ast.SequenceNode)
		if !ok || key >= len(list.Values) {
			return nil, errNoIndex
		}
		return e.descend(list.Values[key], nil, keys[1:], value)
	case string:
		if _, null := node.(*ast.NullNode); null {
			return e.replace(node, pair, flow(keys, value))
		}
		pairs := yamlspan.Pairs(node)
		if m, ok := node.(*ast.MappingNode); !ok && pairs == nil {
			return nil, fmt.Errorf("%q has a value that is no mapping", key)
		} else if ok && m.IsFlowStyle && len(pairs) == 0 {
			return e.insertFlow(m, keys, value)
		}
		for i := len(pairs) - 1; i >= 0; i-- { // the last one counts
			if yamlspan.KeyText(pairs[i].Key) == key {
				return e.descend(pairs[i].Value, pairs[i], keys[1:], value)
			}
		}
		if m, ok := node.(*ast.MappingNode); ok && m.IsFlowStyle {
			return e.insertFlow(m, keys, value)
		}
		return e.insertBlock(pairs, keys, value)
	}
	return nil, errNotEditable
}

// replace writes a value over that of a node.
func (e editor) replace(node ast.Node, pair *ast.MappingValueNode, value any) ([]byte, error) {
	switch n := node.(type) {
	case *ast.SequenceNode:
		if !n.IsFlowStyle {
			return e.replaceBlock(pair, value)
		}
		return e.between(n.Start.Position, '[', ']', value)
	case *ast.MappingNode:
		if n.IsFlowStyle && len(n.Values) == 0 {
			return e.between(n.Start.Position, '{', '}', value)
		}
		return nil, errors.New("the value is a mapping")
	case *ast.MappingValueNode:
		return nil, errors.New("the value is a mapping")
	case *ast.LiteralNode:
		return nil, errors.New("the value is a block of text")
	}
	at := node.GetToken()
	if at.Type == token.ImplicitNullType {
		if pair == nil {
			return nil, errNotEditable
		}
		colon, ok := yamlspan.Offset(e.text, pair.Start.Position)
		if !ok {
			return nil, errNotEditable
		}
		return splice(e.text, colon+1, colon+1, " "+encode(value, 0)), nil
	}
	start, ok := yamlspan.Offset(e.text, at.Position)
	if !ok {
		return nil, errNotEditable
	}
	for start < len(e.text) && e.text[start] == ' ' { // after a tag the parser's column is one short
		start++
	}
	end, quote := scalarEnd(e.text, start, at.Value)
	if end < 0 {
		return nil, errNotEditable
	}
	return splice(e.text, start, end, encode(value, quote)), nil
}

func splice(text []byte, start, end int, with string) []byte {
	out := append([]byte{}, text[:start]...)
	return append(append(out, with...), text[end:]...)
}

// scalarEnd is the end of a scalar that starts at start, and its quote; negative where the text is not what was read.
func scalarEnd(text []byte, start int, value string) (end int, quote byte) {
	switch q := text[start]; q {
	case '"', '\'':
		for i := start + 1; i < len(text); i++ {
			switch {
			case q == '"' && text[i] == '\\':
				i++
			case text[i] == q && q == '\'' && i+1 < len(text) && text[i+1] == q:
				i++
			case text[i] == q:
				return i + 1, q
			}
		}
		return -1, q
	}
	if !bytes.HasPrefix(text[start:], []byte(value)) || value == "" {
		return -1, 0
	}
	return start + len(value), 0
}

// splitPath reads a path in the syntax of helm's --set: keys and indexes.
func splitPath(path string) []any {
	var keys []any
	var key strings.Builder
	flush := func() {
		if key.Len() > 0 {
			keys = append(keys, key.String())
			key.Reset()
		}
	}
	for i := 0; i < len(path); i++ {
		switch c := path[i]; c {
		case '\\':
			if i++; i < len(path) {
				key.WriteByte(path[i])
			}
		case '.':
			flush()
		case '[':
			flush()
			end := strings.IndexByte(path[i:], ']')
			if n, err := strconv.Atoi(path[i+1 : i+max(end, 1)]); err == nil {
				keys = append(keys, n)
			}
			i += max(end, 0)
		default:
			key.WriteByte(c)
		}
	}
	flush()
	return keys
}

// plain is a value as JSON knows it, so that it can be compared with what was decoded.
func plain(value any) (any, error) {
	text, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	var out any
	return out, json.Unmarshal(text, &out)
}

// decode reads values; of keys that are there twice, the last counts.
func decode(text []byte) (any, error) {
	var v any
	if err := yaml.UnmarshalWithOptions(text, &v, yaml.AllowDuplicateMapKey()); err != nil {
		return nil, err
	}
	if v == nil {
		v = map[string]any{}
	}
	return plain(v)
}
