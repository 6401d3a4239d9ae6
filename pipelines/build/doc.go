// Package build turns components into binaries.
//
// [Go] runs the Go toolchain so that the bytes depend on the source, the version and the toolchain that the component's
// go.mod pins, and on nothing of the machine: not on its folders, caches, settings or on a newer Go.
package build
