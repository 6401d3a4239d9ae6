package config

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/berth-sh/berth/pipelines/fault"
)

// Lookup returns the value of an environment variable and whether it is set, like [os.LookupEnv].
type Lookup func(name string) (string, bool)

// Load reads and checks the configuration in file. Its errors are faults with [fault.Usage] that name file, line,
// column and the fix.
func Load(file string, lookup Lookup) (*Config, error) {
	data, err := os.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fault.New(fault.Usage, file,
			"run `berth init` to write one, or name another with --config or --project", "there is no configuration")
	case err != nil:
		return nil, fault.New(fault.Usage, file, "", "cannot read the configuration: %w", err)
	}
	return Parse(file, data, lookup)
}

// byteOrderMark is what some editors put in front of UTF-8; the parser would take it for a part of the first key.
const byteOrderMark = "\ufeff"

// Parse checks a configuration that was read already. file is only used in messages.
func Parse(file string, data []byte, lookup Lookup) (*Config, error) {
	doc, err := parser.ParseBytes(bytes.TrimPrefix(data, []byte(byteOrderMark)), 0)
	if err != nil {
		return nil, yamlFault(file, err)
	}
	body, err := onlyDocument(file, doc)
	if err != nil {
		return nil, err
	}
	if err := checkKeys(file, body); err != nil {
		return nil, err
	}
	c := &Config{}
	src := newSource(file, body)
	if err := expand(src, body, nil, lookup); err != nil {
		return nil, err
	}
	// The parser has refused keys that are there twice. The decoder would count one that overrides a merged one as well.
	if err := yaml.NodeToValue(body, c, yaml.Strict(), yaml.AllowDuplicateMapKey()); err != nil {
		return nil, src.decodeFault(err)
	}
	c.source = src
	c.setDefaults()
	if err := c.check(); err != nil {
		return nil, err
	}
	return c, nil
}

func onlyDocument(file string, doc *ast.File) (ast.Node, error) {
	var body ast.Node
	for _, d := range doc.Docs {
		if d.Body == nil || d.Body.Type() == ast.CommentType {
			continue
		}
		if body != nil {
			return nil, fault.New(fault.Usage, fmt.Sprintf("%s:%d:1", file, d.Body.GetToken().Position.Line),
				"keep one document and remove the others", "the file holds more than one YAML document")
		}
		body = d.Body
	}
	if body == nil {
		return nil, fault.New(fault.Usage, file, "run `berth init` in another folder to see an example", "the file is empty")
	}
	return body, nil
}

func (c *Config) setDefaults() {
	if c.Version.File == "" {
		c.Version.File = VersionFromGit
	}
	if c.Version.GitTag == "" {
		c.Version.GitTag = "v{version}"
	}
	if len(c.Version.Bump) == 0 && c.Version.File != VersionFromGit {
		c.Version.Bump = []string{c.Version.File}
	}
	if len(c.Platforms) == 0 {
		c.Platforms = []string{"linux/amd64", "linux/arm64"}
	}
}

// yamlFault points at the place of a YAML or decoding error and drops the library's picture of the source, which would
// repeat the file's content in logs.
func yamlFault(file string, err error) error {
	yerr, ok := errors.AsType[yaml.Error](err)
	if !ok || yerr.GetToken() == nil {
		return fault.New(fault.Usage, file, "", "%w", err)
	}
	tok := yerr.GetToken()
	subject := fmt.Sprintf("%s:%d:%d", file, tok.Position.Line, tok.Position.Column)
	if t, ok := errors.AsType[*yaml.TypeError](err); ok {
		return fault.New(fault.Usage, subject, nextType, "%s was used where %s is expected",
			yamlName(t.SrcType), yamlName(t.DstType))
	}
	next := nextType
	if _, ok := errors.AsType[*yaml.SyntaxError](err); ok {
		next = "correct the YAML there"
	}
	return fault.New(fault.Usage, subject, next, "%s", yerr.GetMessage())
}

const nextType = "see docs/configuration.md, or `berth config schema`, for the keys and their types"

// yamlName is what YAML calls the values of a Go type.
func yamlName(t reflect.Type) string {
	switch {
	case t == nil:
		return "null"
	case t.Kind() == reflect.Pointer:
		return yamlName(t.Elem())
	case t.Kind() == reflect.Slice:
		return "sequence"
	case t.Kind() == reflect.Map, t.Kind() == reflect.Struct:
		return "mapping"
	default:
		return t.Kind().String()
	}
}

// decodeFault is [yamlFault] for a document whose places are known: an unknown key comes with the one that was meant.
func (s *source) decodeFault(err error) error {
	unknown, ok := errors.AsType[*yaml.UnknownFieldError](err)
	if !ok || unknown.GetToken() == nil {
		return yamlFault(s.file, err)
	}
	tok := unknown.GetToken()
	at := place{tok.Position.Line, tok.Position.Column}
	return fault.New(fault.Usage, fmt.Sprintf("%s:%d:%d", s.file, at.line, at.column),
		suggest(tok.Value, keysOf(s.holder[at])), "unknown key %q", tok.Value)
}

// suggest proposes the known key that is nearest to an unknown one, among those that its place allows.
func suggest(key string, known []string) string {
	// A third of the letters may be wrong, and one of a short word; more is another word.
	best, distance := "", max(1, len(key)/3)+1
	for _, k := range known {
		if d := editDistance(strings.ToLower(key), strings.ToLower(k)); d < distance {
			best, distance = k, d
		}
	}
	switch {
	case best != "":
		return fmt.Sprintf("did you mean %q? See `berth config schema` for the keys that exist", best)
	case len(known) > 0:
		return "remove it; " + strings.Join(known, ", ") + " may stand there (see `berth config schema`)"
	default:
		return "remove it, or see `berth config schema` for the keys that exist"
	}
}

// keysOf lists the keys that a mapping of the configuration may have.
func keysOf(path []string) []string {
	t := inner(reflect.TypeFor[Config]())
	for _, key := range path {
		if t.Kind() != reflect.Struct {
			t = inner(t.Elem()) // a name of the user's choice, or a place in a list
			continue
		}
		for f := range t.Fields() {
			if name, _, _ := strings.Cut(f.Tag.Get("yaml"), ","); name == key {
				t = f.Type
				break
			}
		}
		if t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
	}
	if t = inner(t); t.Kind() != reflect.Struct {
		return nil
	}
	var out []string
	for f := range t.Fields() {
		if name, _, _ := strings.Cut(f.Tag.Get("yaml"), ","); name != "" {
			out = append(out, name)
		}
	}
	return out
}

// inner is the type that a pointer points to.
func inner(t reflect.Type) reflect.Type {
	if t.Kind() == reflect.Pointer {
		return t.Elem()
	}
	return t
}

// editDistance is the Levenshtein distance between two short words.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
