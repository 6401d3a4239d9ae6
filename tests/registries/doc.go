// Package registries tries what berth promises at every kind of registry, and writes down what it saw: the tables of
// docs/registries.md come from these tests. `go test ./tests/registries -update` writes them.
package registries
