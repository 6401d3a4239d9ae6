// Package version turns a version and git facts into image tags. It is pure: no clock, no files, no network.
package version
