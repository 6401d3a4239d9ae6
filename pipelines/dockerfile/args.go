package dockerfile

import (
	"slices"
	"strings"
)

// Args lists the build arguments that the Dockerfile declares in any of its stages or before them, sorted.
func (d *File) Args() []string {
	var out []string
	for _, command := range d.args {
		for _, arg := range command.Args {
			out = append(out, arg.Key)
		}
	}
	for _, s := range d.stages {
		out = append(out, s.args...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// BuiltIn reports whether builders know a build argument without a declaration.
// Source: https://docs.docker.com/reference/dockerfile/#predefined-args
func BuiltIn(arg string) bool {
	known := []string{"HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY", "SOURCE_DATE_EPOCH"}
	return slices.Contains(known, strings.ToUpper(arg)) || strings.HasPrefix(arg, "BUILDKIT_")
}
