package sandbox

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
)

// A repository of the sandbox lives inside one registry as <host>/<repository>. A host may have a port or be an IPv6
// address, and the characters of those are not allowed in repository names. So ":" before the port becomes "__", which
// no host name has, and "[::1]" becomes "ip6__0-0-0-0-0-0-0-1".
const (
	portMark = "__"
	ip6Mark  = "ip6__"
)

// folder returns the first path element of a host's repositories.
func folder(host string) (string, error) {
	name, port := strings.ToLower(host), ""
	if h, p, err := net.SplitHostPort(name); err == nil {
		name, port = h, p
	}
	name = strings.Trim(name, "[]")
	if strings.Contains(name, ":") {
		ip, err := netip.ParseAddr(name)
		if err != nil || ip.Zone() != "" {
			return "", fmt.Errorf("%q is not a host", host)
		}
		name = ip6Mark + strings.ReplaceAll(expanded(ip), ":", "-")
	} else if !validName(name) {
		return "", fmt.Errorf("%q is not a host", host)
	}
	if strings.Trim(port, "0123456789") != "" {
		return "", fmt.Errorf("%q is not a host", host)
	}
	if port != "" {
		name += portMark + port
	}
	return name, nil
}

// hostOf is the inverse of folder. What is no folder of a host comes back somehow; it names nothing then.
func hostOf(folder string) string {
	name, isIP6 := strings.CutPrefix(folder, ip6Mark)
	name, port, hasPort := strings.Cut(name, portMark)
	if ip, err := netip.ParseAddr(strings.ReplaceAll(name, "-", ":")); isIP6 && err == nil {
		name = "[" + ip.String() + "]"
	}
	if hasPort {
		name += ":" + port
	}
	return name
}

// expanded writes all eight groups without leading zeros, so that no "::" is left.
func expanded(ip netip.Addr) string {
	b := ip.As16()
	groups := make([]string, 8)
	for i := range groups {
		groups[i] = fmt.Sprintf("%x", uint16(b[2*i])<<8|uint16(b[2*i+1]))
	}
	return strings.Join(groups, ":")
}

func validName(host string) bool {
	for label := range strings.SplitSeq(host, ".") {
		if label == "" || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" ||
			strings.HasPrefix(label, "-") || strings.HasSuffix(label, "-") {
			return false
		}
	}
	return true
}
