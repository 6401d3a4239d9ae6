// Package dockerfile reads Dockerfiles with BuildKit's own parser, so that ARG, stages and targets mean what they mean
// in a build: which images a build takes content from, and where the digests that pin them are written.
package dockerfile
