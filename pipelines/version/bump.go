package version

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"

	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/yamlspan"
)

// chartFile is the file of a Helm chart: https://helm.sh/docs/topics/charts/#the-chartyaml-file
const chartFile = "Chart.yaml"

// place is where a version stands in a file: the bytes from start to end, without quotes and without a leading "v".
type place struct {
	key        string
	start, end int
}

// ReadVersion returns the version in a file: the top-level version of Chart.yaml and of other YAML and JSON files, the
// text of a plain VERSION file. A leading "v" is left out. The name decides how the content is read. Errors are faults
// with code [fault.Usage].
func ReadVersion(name string, content []byte) (string, error) {
	places, err := find(name, content)
	if err != nil {
		return "", err
	}
	at := slices.IndexFunc(places, func(p place) bool { return p.key == "version" })
	return string(content[places[at].start:places[at].end]), nil
}

// Rewrite returns the content with version v, which must be a full SemVer without "v": in Chart.yaml as version and,
// where there is one, appVersion; elsewhere where [ReadVersion] reads it. Every other byte stays: comments, order,
// quotes, line ends, a byte order mark, a "v" before the old version. Errors are faults with code [fault.Usage].
func Rewrite(name string, content []byte, v string) ([]byte, error) {
	if _, err := semver.StrictNewVersion(v); err != nil {
		return nil, fault.New(fault.Usage, "version "+v, "Give a full version such as 1.2.3 or 1.2.3-rc.1.", "%w", err)
	}
	places, err := find(name, content)
	if err != nil {
		return nil, err
	}
	var out []byte
	done := 0
	for _, p := range places {
		out = append(out, content[done:p.start]...)
		out = append(out, v...)
		done = p.end
	}
	return append(out, content[done:]...), nil
}

var (
	errNoVersion   = errors.New("no top-level version field")
	errTwice       = errors.New("the field is there more than once")
	errNotSimple   = errors.New("the value is not a plain or quoted string on one line")
	errUnknownKind = errors.New("not a file berth can find a version in")
	errNotOneLine  = errors.New("not one line with a version")
)

const bom = "\ufeff"

// find returns the places of the version in the order of the file; one of them has the key "version".
func find(name string, content []byte) ([]place, error) {
	skip := len(content) - len(bytes.TrimPrefix(content, []byte(bom)))
	text := content[skip:]
	base := path.Base(filepath.ToSlash(name))
	var places []place
	var err error
	switch ext := strings.ToLower(path.Ext(base)); {
	case base == "VERSION":
		places, err = findPlain(text)
	case ext == ".json":
		places, err = findJSON(text)
	case base == chartFile:
		places, err = findYAML(text, "version", "appVersion")
	case ext == ".yaml" || ext == ".yml":
		places, err = findYAML(text, "version")
	default:
		err = errUnknownKind
	}
	if err != nil {
		next := "Give the file a top-level field such as `version: 1.0.0`, or take it out of version.bump in berth.yaml."
		if errors.Is(err, errUnknownKind) {
			next = "Name Chart.yaml, another .yaml, .yml or .json file, or a plain VERSION file."
		}
		return nil, &fault.Error{
			Op: "find the version in", Subject: name, Err: err, Next: next, Code: fault.Usage,
		}
	}
	for i := range places {
		p := &places[i]
		p.start, p.end = p.start+skip, p.end+skip
		if p.end-p.start > 1 && content[p.start] == 'v' && isDigit(content[p.start+1]) {
			p.start++
		}
	}
	return places, nil
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func findPlain(text []byte) ([]place, error) {
	trimmed := bytes.TrimSpace(text)
	if len(trimmed) == 0 || bytes.ContainsAny(trimmed, " \t\r\n#") {
		return nil, errNotOneLine
	}
	start := bytes.Index(text, trimmed)
	return []place{{key: "version", start: start, end: start + len(trimmed)}}, nil
}

// findJSON reads tokens, because they have offsets and an object into a struct has not.
func findJSON(text []byte) ([]place, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	first, err := decoder.Token()
	if err != nil {
		return nil, fmt.Errorf("not JSON: %w", err)
	}
	if first != json.Delim('{') {
		return nil, errNoVersion
	}
	var places []place
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			return nil, fmt.Errorf("not JSON: %w", err)
		}
		before := int(decoder.InputOffset())
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return nil, fmt.Errorf("not JSON: %w", err)
		}
		if key != "version" {
			continue
		}
		end := int(decoder.InputOffset())
		start := end - len(value)
		if start < before || !bytes.Equal(text[start:end], value) {
			return nil, errNotSimple
		}
		p, err := quoted(text, start, end)
		if err != nil {
			return nil, err
		}
		places = append(places, p)
	}
	if _, err := decoder.Token(); err != nil {
		return nil, fmt.Errorf("not JSON: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("not JSON: more text after the object")
	}
	return single(places, "version")
}

// quoted is the place inside the quotes from start to end.
func quoted(text []byte, start, end int) (place, error) {
	if end-start < 3 || text[start] != text[end-1] || text[start] != '"' && text[start] != '\'' {
		return place{}, errNotSimple
	}
	inner := text[start+1 : end-1]
	if bytes.ContainsAny(inner, "\\\"'\r\n") || len(bytes.TrimSpace(inner)) != len(inner) {
		return place{}, errNotSimple
	}
	return place{key: "version", start: start + 1, end: end - 1}, nil
}

// single refuses a key that is missing or there twice: which of two counts depends on who reads the file.
func single(places []place, required string) ([]place, error) {
	seen := make(map[string]bool)
	for _, p := range places {
		if seen[p.key] {
			return nil, fmt.Errorf("%s: %w", p.key, errTwice)
		}
		seen[p.key] = true
	}
	if !seen[required] {
		return nil, errNoVersion
	}
	return places, nil
}

// findYAML takes positions from the parser and the bytes from the text itself: each place is checked to hold what the
// parser read there.
func findYAML(text []byte, keys ...string) ([]place, error) {
	file, err := yamlspan.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("not YAML: %w", err)
	}
	var places []place
	for _, document := range file.Docs {
		for _, pair := range yamlspan.Pairs(document.Body) {
			for _, key := range keys {
				if yamlspan.KeyText(pair.Key) != key {
					continue
				}
				p, err := locate(text, pair.Value)
				if err != nil {
					return nil, fmt.Errorf("%s: %w", key, err)
				}
				p.key = key
				places = append(places, p)
			}
		}
	}
	return single(places, "version")
}

// locate finds the bytes of a scalar.
func locate(text []byte, node ast.Node) (place, error) {
	switch n := node.(type) {
	case *ast.AnchorNode:
		return locate(text, n.Value)
	case *ast.TagNode:
		return locate(text, n.Value)
	case *ast.StringNode, *ast.IntegerNode, *ast.FloatNode:
	default:
		return place{}, errNotSimple
	}
	t := node.GetToken()
	start, ok := yamlspan.Offset(text, t.Position)
	if !ok {
		return place{}, errNotSimple
	}
	// After a tag the parser's column is one short.
	for start < len(text) && text[start] == ' ' {
		start++
	}
	value := []byte(t.Value)
	if t.Type == token.SingleQuoteType || t.Type == token.DoubleQuoteType {
		end := start + len(value) + 2
		if end > len(text) || !bytes.Equal(text[start+1:end-1], value) {
			return place{}, errNotSimple
		}
		return quoted(text, start, end)
	}
	end := start + len(value)
	if len(value) == 0 || end > len(text) || !bytes.Equal(text[start:end], value) || bytes.ContainsAny(value, " \t\r\n") {
		return place{}, errNotSimple
	}
	return place{start: start, end: end}, nil
}
