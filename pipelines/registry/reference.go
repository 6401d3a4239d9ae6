package registry

import (
	"fmt"
	"net"
	"regexp"
	"strings"
)

// maxName is the longest "host/repository" in bytes that registries and clients agree on.
const maxName = 255

const (
	namePart = `[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*`
	hostPart = `[a-z0-9](?:[a-z0-9-]*[a-z0-9])?`
)

// The grammar of names is that of the OCI distribution specification, section "Pulling manifests".
var (
	namePattern = regexp.MustCompile(`^` + namePart + `(?:/` + namePart + `)*$`)
	hostName    = regexp.MustCompile(`^` + hostPart + `(?:\.` + hostPart + `)*(?::[0-9]{1,5})?$`)
)

// ParsePrefix reads "host[:port][/path]", as in berth.yaml's registries, into the host and the path. The host must be
// recognisable as one: it has a dot or a port, or is localhost. An upper-case name is an error that shows its
// lower-case form, because registries refuse it.
func ParsePrefix(prefix string) (host, path string, err error) {
	host, path, _ = strings.Cut(prefix, "/")
	if host == "" {
		return "", "", fmt.Errorf("%q has no registry host; write it as host/path, for example ghcr.io/owner", prefix)
	}
	if strings.Contains(prefix, "://") {
		_, rest, _ := strings.Cut(prefix, "://")
		return "", "", fmt.Errorf("%q is a URL; write it without the scheme: %s", prefix, rest)
	}
	if lower := strings.ToLower(prefix); lower != prefix {
		return "", "", fmt.Errorf("%q has upper-case letters, which registries refuse; write %s", prefix, lower)
	}
	if !validHost(host) {
		return "", "", fmt.Errorf("%q does not begin with a registry host such as ghcr.io or localhost:5000", prefix)
	}
	if strings.HasSuffix(prefix, "/") {
		return "", "", fmt.Errorf("%q ends with a slash; write %s", prefix, strings.TrimRight(prefix, "/"))
	}
	if path != "" && !namePattern.MatchString(path) {
		return "", "", fmt.Errorf("%q is not a repository path: lower-case letters, digits and single . _ - between them, "+
			"parts joined by /", path)
	}
	if len(prefix) > maxName {
		return "", "", fmt.Errorf("%q is longer than %d characters", prefix, maxName)
	}
	return host, path, nil
}

// ValidPath tells whether a repository's path, without the host, keeps to the grammar.
func ValidPath(path string) bool { return namePattern.MatchString(path) }

// ParseName reads "host/repository" into its two parts. Unlike a prefix, it must name a repository.
func ParseName(name string) (host, repository string, err error) {
	host, repository, err = ParsePrefix(name)
	if err == nil && repository == "" {
		err = fmt.Errorf("%q names a registry, but no repository in it", name)
	}
	return host, repository, err
}

// validHost accepts DNS names with a dot or a port, localhost, and bracketed IPv6 addresses.
func validHost(host string) bool {
	if strings.HasPrefix(host, "[") {
		address := host
		if h, port, err := net.SplitHostPort(host); err == nil && port != "" && strings.Trim(port, "0123456789") == "" {
			address = "[" + h + "]"
		}
		inner, closed := strings.CutSuffix(address[1:], "]")
		ip := net.ParseIP(inner)
		return closed && ip != nil && strings.Contains(inner, ":")
	}
	return hostName.MatchString(host) && (host == "localhost" || strings.ContainsAny(host, ".:"))
}

// Loopback tells whether the host (with or without a port) is this machine, so that plain HTTP stays on it.
func Loopback(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	name = strings.Trim(name, "[]")
	if name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return true
	}
	ip := net.ParseIP(name)
	return ip != nil && ip.IsLoopback()
}
