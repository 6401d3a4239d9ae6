// Package guard decides what happens to tags, and sets them. Publishing and promoting share it: a version tag never
// names another digest, a floating tag moves forward only, and of two runs at the same moment one is told that it lost.
package guard
