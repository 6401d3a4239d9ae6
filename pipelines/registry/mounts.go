package registry

import (
	"context"
	"sync"

	"github.com/opencontainers/go-digest"
)

// Mounts lets the pushes of one run share blobs: the first repository of a host uploads a blob, the others wait for it
// and mount it. When the first one fails, one of those that wait takes its place.
//
// It cannot deadlock with the limits on parallel work: who uploads waits for nobody, and who waits holds no place in
// the budget of requests.
type Mounts struct {
	mu    sync.Mutex
	blobs map[mountKey]*mountEntry
}

type mountKey struct {
	host string
	blob digest.Digest
}

// mountEntry is one blob. repository is written before done is closed; "" then means that the upload failed.
type mountEntry struct {
	done       chan struct{}
	repository string
}

// NewMounts returns a coordinator for the pushes of one run.
func NewMounts() *Mounts { return &Mounts{blobs: map[mountKey]*mountEntry{}} }

// claim returns the repository that has the blob, or "" and a function: then the caller uploads the blob and calls the
// function with the repository's name, or with "" when that failed.
func (m *Mounts) claim(ctx context.Context, host string, blob digest.Digest) (string, func(repository string), error) {
	key := mountKey{host, blob}
	for {
		m.mu.Lock()
		entry, ok := m.blobs[key]
		if !ok {
			entry = &mountEntry{done: make(chan struct{})}
			m.blobs[key] = entry
			m.mu.Unlock()
			return "", func(repository string) { m.settle(key, entry, repository) }, nil
		}
		m.mu.Unlock()
		select {
		case <-ctx.Done():
			return "", nil, context.Cause(ctx)
		case <-entry.done:
			if entry.repository != "" {
				return entry.repository, nil, nil
			}
		}
	}
}

func (m *Mounts) settle(key mountKey, entry *mountEntry, repository string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if repository == "" {
		delete(m.blobs, key)
	}
	entry.repository = repository
	close(entry.done)
}

// found records that a repository has a blob, unless another one is known to have it or uploads it just now.
func (m *Mounts) found(host string, blob digest.Digest, repository string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := mountKey{host, blob}
	if _, ok := m.blobs[key]; ok {
		return
	}
	entry := &mountEntry{done: make(chan struct{}), repository: repository}
	close(entry.done)
	m.blobs[key] = entry
}
