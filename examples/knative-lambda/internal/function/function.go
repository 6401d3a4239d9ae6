// Package function turns the description of a function's source into the reference of the image that holds it.
package function

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxID        = 63   // a DNS label: the names also become Kubernetes objects
	maxSourceRef = 2048 // bytes
	tagHashBytes = 16   // 128 bits of the content hash stand in the tag
)

var (
	// One path component of a repository, from the OCI distribution specification 1.1 ("Pulling manifests").
	component = regexp.MustCompile(`^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$`)
	host      = regexp.MustCompile(`^[a-z0-9]+(?:[.-]+[a-z0-9]+)*(?::[0-9]{1,5})?$`)
	digest    = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
)

// sourceSchemes are where a function's source may live.
func sourceSchemes() []string { return []string{"git+https", "gs", "https", "s3"} }

// Build is a request to build one function. SourceDigest is optional and names the exact bytes of the source.
type Build struct {
	ThirdPartyID string `json:"thirdPartyId"`
	ParserID     string `json:"parserId"`
	SourceRef    string `json:"sourceRef"`
	SourceDigest string `json:"sourceDigest,omitempty"`
}

// Image is what the builder would build.
type Image struct {
	Image      string `json:"image"` // repository:tag
	Repository string `json:"repository"`
	Tag        string `json:"tag"`
	Build
}

// ReadBuild decodes and checks a request. Unknown members are refused: a misspelt one would change what is built.
func ReadBuild(data []byte) (Build, error) {
	var b Build
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&b); err != nil {
		return Build{}, fmt.Errorf("data: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return Build{}, errors.New("data: something follows the JSON object")
	}
	return b, b.check()
}

func (b Build) check() error {
	for _, id := range []struct{ name, value string }{{"thirdPartyId", b.ThirdPartyID}, {"parserId", b.ParserID}} {
		switch {
		case id.value == "":
			return fmt.Errorf("data: %s is missing", id.name)
		case len(id.value) > maxID:
			return fmt.Errorf("data: %s has %d characters, at most %d are allowed", id.name, len(id.value), maxID)
		case !component.MatchString(id.value):
			return fmt.Errorf("data: %s %q: lower-case letters and digits, separated by . _ or -, are allowed",
				id.name, id.value)
		}
	}
	if b.SourceDigest != "" && !digest.MatchString(b.SourceDigest) {
		return fmt.Errorf("data: sourceDigest %q is not sha256: and 64 hexadecimal digits", b.SourceDigest)
	}
	return checkSource(b.SourceRef)
}

// checkSource never repeats the reference in its errors: it may hold a password.
func checkSource(ref string) error {
	unprintable := func(r rune) bool { return !unicode.IsPrint(r) || r == ' ' }
	switch u, err := url.Parse(ref); {
	case ref == "":
		return errors.New("data: sourceRef is missing")
	case len(ref) > maxSourceRef:
		return fmt.Errorf("data: sourceRef has %d bytes, at most %d are allowed", len(ref), maxSourceRef)
	case !utf8.ValidString(ref) || strings.ContainsFunc(ref, unprintable):
		return errors.New("data: sourceRef holds a space or an unprintable character")
	case err != nil:
		return errors.New("data: sourceRef is not a URL")
	case u.User != nil:
		return errors.New("data: sourceRef must not hold credentials")
	case !slices.Contains(sourceSchemes(), u.Scheme):
		return fmt.Errorf("data: sourceRef has scheme %q, expected one of %s",
			u.Scheme, strings.Join(sourceSchemes(), ", "))
	case u.Host == "" || strings.Trim(u.Path, "/") == "":
		return errors.New("data: sourceRef needs a host or bucket, and a path")
	}
	return nil
}

// Registry is where the images go: a host and, mostly, a path.
type Registry string

// ParseRegistry checks a registry such as ghcr.io/brunovlucena or localhost:5000/functions.
func ParseRegistry(s string) (Registry, error) {
	name, path, hasPath := strings.Cut(s, "/")
	if !host.MatchString(name) {
		return "", fmt.Errorf("image registry %q: %q is not a host", s, name)
	}
	if hasPath {
		for part := range strings.SplitSeq(path, "/") {
			if !component.MatchString(part) {
				return "", fmt.Errorf("image registry %q: %q is not a repository component", s, part)
			}
		}
	}
	return Registry(s), nil
}

// Image returns the image of a build: the same request gives the same reference, another one another tag.
func (r Registry) Image(b Build) (Image, error) {
	content, err := json.Marshal(b) // fields in the order of the struct: one byte sequence for one request
	if err != nil {
		return Image{}, fmt.Errorf("encode the build: %w", err)
	}
	sum := sha256.Sum256(content)
	repository := string(r) + "/" + b.ThirdPartyID + "/" + b.ParserID
	tag := "src-" + hex.EncodeToString(sum[:tagHashBytes])
	return Image{Image: repository + ":" + tag, Repository: repository, Tag: tag, Build: b}, nil
}
