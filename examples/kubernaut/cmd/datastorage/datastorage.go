package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/berth-sh/berth/examples/kubernaut/internal/service"
)

// event is what a service wants on record.
type event struct {
	Service string `json:"service"`
	Action  string `json:"action"`
	Subject string `json:"subject"`
}

// entry is an event in the chain. Its hash covers the hash before it.
type entry struct {
	event
	Time time.Time `json:"time"`
	Hash string    `json:"hash"`
}

type trail struct {
	now     func() time.Time
	mu      sync.Mutex
	entries []entry
}

func program() service.Program {
	return service.Program{
		Build: service.NewBuild("datastorage", version, commit),
		Routes: func(mux *http.ServeMux, world service.World) error {
			t := &trail{now: world.Now}
			mux.Handle("POST /api/v1/audit/events", service.Handle(
				func(_ *http.Request, in event) (entry, error) { return t.add(in) }))
			mux.Handle("GET /api/v1/audit/events", service.Read(
				func(*http.Request) ([]entry, error) { return t.list() }))
			return nil
		},
	}
}

func (t *trail) add(in event) (entry, error) {
	if in.Service == "" || in.Action == "" {
		return entry{}, errors.New("an event needs service and action")
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	e := entry{event: in, Time: t.now().UTC()}
	e.Hash = e.link(t.last())
	t.entries = append(t.entries, e)
	return e, nil
}

func (t *trail) last() string {
	if len(t.entries) == 0 {
		return ""
	}
	return t.entries[len(t.entries)-1].Hash
}

// list returns the whole chain after checking every link.
func (t *trail) list() ([]entry, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	before := ""
	for i, e := range t.entries {
		if e.link(before) != e.Hash {
			return nil, service.Fail(http.StatusInternalServerError, "entry %d of the trail was changed", i)
		}
		before = e.Hash
	}
	return append([]entry{}, t.entries...), nil
}

func (e entry) link(before string) string {
	text := fmt.Sprintf("%q %q %q %q %s", before, e.Service, e.Action, e.Subject, e.Time.Format(time.RFC3339Nano))
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}
