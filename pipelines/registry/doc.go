// Package registry talks to container registries: which kind a host is, who berth is there, how requests are limited
// and retried, and how an image goes up by digest and gets its tags.
//
// It is a thin layer over oras-go. What it adds: one budget of requests per host, a retry policy that obeys
// Retry-After, uploads that are sent again after a reset, blobs that go up once and are mounted elsewhere, and errors
// that are [fault.Error] values with the exit code of the contract and the next step for that kind of registry.
package registry
