package version

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strings"
)

// maxSlug keeps a slug usable as a DNS label, and leaves room in a tag for what a template adds.
const maxSlug = 63

// slugHash is the length of the hash in a changed slug, in hex digits.
const slugHash = 7

// reserved are names that something else may have: a slug with a hash, and the name of a pull request.
var reserved = regexp.MustCompile(`-[0-9a-f]{7}$|^pr-[0-9a-z]+$`)

// Slug writes a branch name in the characters of an image tag. A name that had to be changed or cut gets a short hash
// of the whole name, so that two branches never share a slug; so does a name that only looks as if it had one, or like
// a pull request's.
func Slug(name string) string {
	slug := strings.Map(func(r rune) rune {
		if r < 0x80 && isTagByte(byte(r)) {
			return r
		}
		return '-'
	}, name)
	slug = strings.TrimLeft(slug, "-.")
	if slug == name && slug != "" && len(slug) <= maxSlug && !reserved.MatchString(slug) {
		return slug
	}
	sum := sha256.Sum256([]byte(name))
	if room := maxSlug - slugHash - 1; len(slug) > room {
		slug = slug[:room]
	}
	return strings.TrimLeft(strings.TrimRight(slug, "-.")+"-"+hex.EncodeToString(sum[:])[:slugHash], "-")
}

func isTagByte(b byte) bool {
	return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' || b == '_' || b == '.' || b == '-'
}
