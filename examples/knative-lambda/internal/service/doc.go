// Package service is what the components have in common: settings, health, readiness, version, metrics, structured logs
// and a graceful end. It uses the standard library only, so that a cold build stays short.
//
// metrics-pusher is a module of its own and holds a copy of this package, made by "go generate ./internal/service" in
// the parent module. A test here fails when the two differ.
package service

//go:generate cp build.go doc.go metrics.go program.go server.go ../../metrics-pusher/internal/service/
