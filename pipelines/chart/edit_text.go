package chart

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"

	"github.com/berth-sh/berth/pipelines/yamlspan"
)

// raw is YAML that is written as it stands.
type raw string

// encode writes a value on one line: strings plain where they stay strings, else in the quotes that stood there before;
// lists in flow style.
func encode(value any, quote byte) string {
	switch v := value.(type) {
	case raw:
		return string(v)
	case string:
		return scalar(v, quote)
	case []string:
		var items []string
		for _, s := range v {
			items = append(items, scalar(s, 0))
		}
		return "[" + strings.Join(items, ", ") + "]"
	case []map[string]string:
		var items []string
		for _, m := range v {
			var pairs []string
			for _, key := range slices.Sorted(maps.Keys(m)) {
				pairs = append(pairs, scalar(key, 0)+": "+scalar(m[key], 0))
			}
			items = append(items, "{"+strings.Join(pairs, ", ")+"}")
		}
		return "[" + strings.Join(items, ", ") + "]"
	default:
		text, err := json.Marshal(v)
		if err != nil {
			return fmt.Sprint(v)
		}
		return string(text)
	}
}

func scalar(s string, quote byte) string {
	if quote == '\'' {
		return "'" + strings.ReplaceAll(s, "'", "''") + "'"
	}
	var back any
	plain := !strings.ContainsAny(s, ",[]{}#&*!|>'\"%@`\\\n\t ") && s != ""
	if plain && quote == 0 && yaml.Unmarshal([]byte("a: "+s), &back) == nil {
		if m, ok := back.(map[string]any); ok && m["a"] == s {
			return s
		}
	}
	text, err := json.Marshal(s) // a JSON string is one of YAML
	if err != nil {
		return `""`
	}
	return string(text)
}

// flow writes missing keys as flow mappings around a value.
func flow(keys []any, value any) raw {
	text := encode(value, 0)
	for _, key := range slices.Backward(keys) {
		text = "{" + scalar(fmt.Sprint(key), 0) + ": " + text + "}"
	}
	return raw(text)
}

// nested writes missing keys as lines, each two columns deeper than the one before.
func nested(keys []any, value any, indent, end string) string {
	var b strings.Builder
	for i, key := range keys {
		b.WriteString(indent + strings.Repeat("  ", i) + scalar(fmt.Sprint(key), 0) + ":")
		if i < len(keys)-1 {
			b.WriteString(end)
		}
	}
	return b.String() + " " + encode(value, 0) + end
}

func lineEnd(text []byte) string {
	if bytes.Contains(text, []byte("\r\n")) {
		return "\r\n"
	}
	return "\n"
}

func appendLine(text []byte, line string) []byte {
	if len(text) > 0 && text[len(text)-1] != '\n' {
		text = append(slices.Clone(text), lineEnd(text)...)
	}
	return append(slices.Clone(text), line...)
}

// insertFlow adds a pair before the closing brace.
func (e editor) insertFlow(m *ast.MappingNode, keys []any, value any) ([]byte, error) {
	if m.End == nil {
		return nil, errNotEditable
	}
	at, ok := yamlspan.Offset(e.text, m.End.Position)
	if !ok || e.text[at] != '}' {
		return nil, errNotEditable
	}
	pair := strings.TrimSuffix(strings.TrimPrefix(string(flow(keys, value)), "{"), "}")
	before := bytes.TrimRight(e.text[:at], " \t\r\n")
	if len(m.Values) > 0 && !bytes.HasSuffix(before, []byte(",")) {
		return splice(e.text, len(before), len(before), ", "+pair), nil
	}
	return splice(e.text, at, at, pair), nil
}

// insertBlock adds lines after the last pair of a block mapping.
func (e editor) insertBlock(pairs []*ast.MappingValueNode, keys []any, value any) ([]byte, error) {
	if len(pairs) == 0 {
		return nil, errNotEditable
	}
	last := pairs[len(pairs)-1].Key.GetToken().Position
	for _, key := range keys {
		if _, index := key.(int); index {
			return nil, errNoIndex
		}
	}
	end := e.blockEnd(last)
	text := nested(keys, value, strings.Repeat(" ", last.Column-1), lineEnd(e.text))
	if end > 0 && e.text[end-1] != '\n' {
		text = lineEnd(e.text) + text
	}
	return splice(e.text, end, end, text), nil
}

// replaceBlock writes a value over a list whose items stand on lines of their own.
func (e editor) replaceBlock(pair *ast.MappingValueNode, value any) ([]byte, error) {
	if pair == nil {
		return nil, errNotEditable
	}
	colon, ok := yamlspan.Offset(e.text, pair.Start.Position)
	if !ok {
		return nil, errNotEditable
	}
	end := e.blockEnd(pair.Key.GetToken().Position)
	trimmed := len(bytes.TrimRight(e.text[:end], "\r\n"))
	return splice(e.text, colon+1, trimmed, " "+encode(value, 0)), nil
}

// blockEnd is the offset after the last line that belongs to the pair whose key stands at a place: those that are
// deeper, and the items of a list that stands as deep as its key. Comments and blank lines behind them are not in it.
func (e editor) blockEnd(key *token.Position) int {
	offset, end := 0, 0
	number := 0
	for line := range bytes.Lines(e.text) {
		number++
		offset += len(line)
		content := bytes.TrimLeft(line, " ")
		depth := len(line) - len(content)
		switch trimmed := bytes.TrimSpace(content); {
		case number < key.Line:
		case number == key.Line:
			end = offset
		case len(trimmed) == 0 || trimmed[0] == '#':
		case depth > key.Column-1, depth == key.Column-1 && (trimmed[0] == '-' && (len(trimmed) == 1 || trimmed[1] == ' ')):
			end = offset
		default:
			return end
		}
	}
	return end
}

// between replaces a flow collection, from its opening to the closing that belongs to it.
func (e editor) between(at *token.Position, opening, closing byte, value any) ([]byte, error) {
	start, ok := yamlspan.Offset(e.text, at)
	if !ok || e.text[start] != opening {
		return nil, errNotEditable
	}
	depth := 0
	for i := start; i < len(e.text); i++ {
		switch e.text[i] {
		case '"', '\'':
			end, _ := scalarEnd(e.text, i, "")
			if end < 0 {
				return nil, errNotEditable
			}
			i = end - 1
		case opening:
			depth++
		case closing:
			if depth--; depth == 0 {
				return splice(e.text, start, i+1, encode(value, 0)), nil
			}
		}
	}
	return nil, errNotEditable
}

// lookup finds a value by its path.
func lookup(values any, keys []any) (any, bool) {
	for _, key := range keys {
		switch k := key.(type) {
		case string:
			m, ok := values.(map[string]any)
			if !ok {
				return nil, false
			}
			if values, ok = m[k]; !ok {
				return nil, false
			}
		case int:
			list, ok := values.([]any)
			if !ok || k >= len(list) {
				return nil, false
			}
			values = list[k]
		}
	}
	return values, true
}

// assign sets a value by its path and returns what the values are then.
func assign(values any, keys []any, value any) any {
	if len(keys) == 0 {
		return value
	}
	switch k := keys[0].(type) {
	case string:
		m, ok := values.(map[string]any)
		if !ok {
			m = map[string]any{}
		}
		m[k] = assign(m[k], keys[1:], value)
		return m
	case int:
		if list, ok := values.([]any); ok && k < len(list) {
			list[k] = assign(list[k], keys[1:], value)
			return list
		}
	}
	return values
}
