package registry

import (
	"path"
	"slices"
)

// Mutability says which tags of a repository can be put again, in ECR's words.
// Source: https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-tag-mutability.html
type Mutability string

// The four kinds of mutability. The exclusions of the last two are wildcards over tags.
const (
	Mutable              Mutability = "MUTABLE"
	Immutable            Mutability = "IMMUTABLE"
	ImmutableExcept      Mutability = "IMMUTABLE_WITH_EXCLUSION"
	MutableWithExclusion Mutability = "MUTABLE_WITH_EXCLUSION"
)

// RepositorySettings are what a repository is created with, or was.
type RepositorySettings struct {
	// Mutability of the tags.
	Mutability Mutability `json:"mutability"`
	// Exclusions are the wildcards over tags that Mutability does not hold for.
	Exclusions []string `json:"exclusions"`
	// ScanOnPush looks for vulnerabilities in each image that is pushed.
	ScanOnPush bool `json:"scanOnPush"`
	// Tags of the repository itself, for the cloud's bills and rules. They are not read back.
	Tags map[string]string `json:"tags"`
	// Reason says why the tags are as mutable as they are.
	Reason string `json:"reason"`
}

// Holds tells whether the registry refuses to put a tag again.
func (s RepositorySettings) Holds(tag string) bool {
	excluded := slices.ContainsFunc(s.Exclusions, func(wildcard string) bool {
		ok, err := path.Match(wildcard, tag)
		return ok && err == nil
	})
	switch s.Mutability {
	case Immutable:
		return true
	case ImmutableExcept:
		return !excluded
	case MutableWithExclusion:
		return excluded
	default:
		return false
	}
}
