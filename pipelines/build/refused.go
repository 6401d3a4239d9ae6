package build

import (
	"regexp"
	"strings"

	"github.com/berth-sh/berth/pipelines/registry"
)

// refusal finds, in the words of BuildKit and of what is built on it, an image that a registry does not hand out to the
// account that asked. There is nothing but these words: docker buildx is a program, and BuildKit's own errors cross its
// protocol as text.
// Source: https://github.com/containerd/containerd/tree/main/core/remotes/docker (resolver.go, authorizer.go)
var refusal = regexp.MustCompile(`failed to (?:resolve source metadata for|resolve image|convert Dockerfile to LLB:) ` +
	`"?([^\s":]+(?::\d+)?/[^\s"]+?)"?: .*(?:401 Unauthorized|403 Forbidden|authorization failed|failed to authorize)`)

// refusedNext is what to do about such an image.
func refusedNext(image, login string) string {
	return "the registry does not give " + image + " to this account, or has no such image:\ncorrect its name, or " + login
}

// refused returns the image that a builder could not pull for want of an account, and how to log in to its registry.
func refused(said string) (image, next string, ok bool) {
	found := refusal.FindStringSubmatch(said)
	if found == nil {
		return "", "", false
	}
	image = found[1]
	host, name, _ := strings.Cut(image, "/")
	name, _, _ = strings.Cut(name, "@")
	if i := strings.LastIndex(name, ":"); i > 0 {
		name = name[:i]
	}
	return image, registry.KindOf(host).LoginHint(host, name), true
}
