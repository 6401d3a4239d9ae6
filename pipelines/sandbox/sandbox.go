// Package sandbox embeds registries in the process: every host is answered by a real OCI registry with the habits of
// its kind, under its real name, without a socket.
package sandbox

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"github.com/berth-sh/berth/pipelines/registry"
)

// The account that every sandboxed registry accepts. Any other user name with the same password is accepted too, so
// that the accounts in `writers` can be rehearsed.
const (
	Username = "sandbox"
	Password = "sandbox"
)

// Options describe a sandbox.
type Options struct {
	// Dir holds the registries' state, normally .berth/sandbox.
	Dir string
	// Kinds tells the kind of a host; nil is [registry.KindOf].
	Kinds func(host string) registry.Kind
	// Log gets the registry's own messages; nil discards them.
	Log *slog.Logger
	// Immutable names, by host, the tags that may never be put again, as glob patterns. Only ECR and Quay have such
	// tags.
	Immutable map[string][]string
	// RequireRepositories makes ECR hosts answer 404 NAME_UNKNOWN for repositories that nobody created.
	RequireRepositories bool
}

// Sandbox is the embedded registries. Close it to release the lock on its folder.
type Sandbox struct{}

// New opens the sandbox in o.Dir and creates the folder when needed.
func New(o Options) (*Sandbox, error) { return nil, errors.ErrUnsupported }

// Transport answers every host in process.
func (s *Sandbox) Transport() http.RoundTripper { return nil }

// Handler serves the sandbox read-only and without login, as /v2/<host>/<repository>.
func (s *Sandbox) Handler() http.Handler { return nil }

// Serve serves [Sandbox.Handler] on a loopback address until ctx ends; ready is told the address in use.
func (s *Sandbox) Serve(ctx context.Context, addr string, ready func(addr string)) error {
	return errors.ErrUnsupported
}

// Close releases everything.
func (s *Sandbox) Close() error { return nil }
