package facts

import (
	"net/url"
	"regexp"
	"strings"
)

// scpLike matches git's short form of an ssh address, user@host:path. A single letter before the colon is a drive.
var scpLike = regexp.MustCompile(`^(?:[^/@\s]+@)?([A-Za-z0-9][A-Za-z0-9.-]+):([^/\s].*|/[^/\s].*)$`)

// webAddress turns the address of a remote into the https address of the repository: no credentials, no port of ssh,
// no ".git", no query. It is empty for local paths and for host aliases of an ssh configuration, which mean nothing
// elsewhere.
func webAddress(remote string) string {
	remote = strings.TrimSpace(remote)
	if !strings.Contains(remote, "://") {
		match := scpLike.FindStringSubmatch(remote)
		if match == nil || !strings.Contains(match[1], ".") {
			return ""
		}
		return joinAddress(match[1], match[2])
	}
	parsed, err := url.Parse(remote)
	if err != nil || parsed.Hostname() == "" {
		return ""
	}
	switch strings.ToLower(parsed.Scheme) {
	case "http", "https":
		return joinAddress(parsed.Host, parsed.EscapedPath())
	case "ssh", "git", "git+ssh", "ssh+git":
		if !strings.Contains(parsed.Hostname(), ".") {
			return ""
		}
		return joinAddress(parsed.Hostname(), parsed.EscapedPath())
	default:
		return ""
	}
}

func joinAddress(host, path string) string {
	path = strings.TrimSuffix(strings.Trim(path, "/"), ".git")
	if path == "" {
		return ""
	}
	return "https://" + strings.ToLower(host) + "/" + strings.TrimRight(path, "/")
}
