// Package image turns binaries into container images, as values, and carries images in and out of files.
//
// [Assemble] is deterministic: the same binaries, base and facts give the same digest on every machine. Nothing in an
// image names an environment, a tag or a registry, so the digest is also the same wherever the image goes.
//
// An [Index] holds descriptors and ways to open content, never a layer in memory. It is an oras
// content.ReadOnlyStorage: the code that copies it into a registry does not care whether it was just assembled, read
// from an OCI layout by [ReadLayout] or loaded from another store by [Load].
package image
