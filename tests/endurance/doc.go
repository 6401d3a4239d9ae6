// Package endurance runs the built program against a real registry, and stops it, kills it and disturbs it: whatever
// happens, no tag names an image that is not whole, and the same command finishes the work.
package endurance
