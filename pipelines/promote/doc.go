// Package promote brings images from one environment to another: the very same bytes, with what is attached to them. It
// plans first, copies by digest, and only when every component is complete at the target it sets the tags there, by the
// guard that publishing uses. A rollback moves floating tags back to a version that was released before.
package promote
