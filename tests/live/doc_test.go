// Package live calls the Dagger module as people do, with the dagger program on a real engine, and compares it with the
// command line. Where no engine answers, every test is skipped. Registries listen on loopback, and reach the engine as
// services; nothing else of a network is needed but the image with the Go toolchain. One test deploys to an API server
// of its own, where etcd is installed and `make .bin/cluster` has been run.
package live
