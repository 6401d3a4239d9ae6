// Package publish carries out a plan: it looks at every tag first, pushes all images by digest, and only when all are
// up sets the version tags and then the floating ones. A failure before that leaves no tag changed anywhere; a failure
// within it is finished by running the same command again.
package publish
