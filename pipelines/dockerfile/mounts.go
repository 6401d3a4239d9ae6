package dockerfile

import (
	"bytes"
	"slices"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// WithoutCacheOwners is the file without the options mode, uid and gid of cache mounts, and whether it had any. Every
// other byte stays, so that lines keep their numbers.
// Source: https://docs.docker.com/reference/dockerfile/#run---mounttypecache
func (d *File) WithoutCacheOwners() (content []byte, had bool, err error) {
	parsed, err := parser.Parse(bytes.NewReader(d.content))
	if err != nil {
		return nil, false, syntaxFault(d.name, 0, err)
	}
	var edits []Edit
	for _, node := range parsed.AST.Children {
		if !strings.EqualFold(node.Value, "run") {
			continue
		}
		start, end := d.bytes(span{node.StartLine, node.EndLine})
		for _, flag := range node.Flags {
			text, changed := withoutOwner(flag)
			at := bytes.Index(d.content[start:end], []byte(flag))
			if changed && at >= 0 {
				edits = append(edits, Edit{start + at, start + at + len(flag), text})
			}
		}
	}
	content, err = Apply(d.name, d.content, edits)
	return content, len(edits) > 0, err
}

// withoutOwner drops the options of a flag, "--mount=type=cache,…", that say whose the folder is.
func withoutOwner(flag string) (text string, changed bool) {
	options, is := strings.CutPrefix(flag, "--mount=")
	fields := strings.Split(options, ",")
	if !is || !slices.Contains(fields, "type=cache") {
		return flag, false
	}
	kept := slices.DeleteFunc(slices.Clone(fields), func(field string) bool {
		name, _, _ := strings.Cut(field, "=")
		return name == "mode" || name == "uid" || name == "gid"
	})
	return "--mount=" + strings.Join(kept, ","), len(kept) < len(fields)
}
