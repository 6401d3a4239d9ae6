// Package policy says which images a project may be built on.
//
// It reads the images that a Dockerfile takes content from with BuildKit's own parser, so that ARG, stages and targets
// mean what they mean in a build, holds them against the rules of berth.yaml, and rewrites the digests that pin them.
package policy
