package main

import (
	"flag"
	"net/http"
	"sync"
	"time"

	"github.com/berth-sh/berth/examples/kubernaut/internal/service"
)

// cluster is what is known of one cluster.
type cluster struct {
	Version string            `json:"version"`
	Region  string            `json:"region"`
	Labels  map[string]string `json:"labels,omitempty"`
}

type cached struct {
	cluster
	until time.Time
}

type cache struct {
	now  func() time.Time
	ttl  time.Duration
	mu   sync.Mutex
	byID map[string]cached
}

func program() service.Program {
	var ttl *time.Duration
	return service.Program{
		Build: service.NewBuild("fleetmetadatacache", version, commit),
		Flags: func(f *flag.FlagSet) { ttl = f.Duration("ttl", 10*time.Minute, "how long facts are remembered") },
		Routes: func(mux *http.ServeMux, world service.World) error {
			c := &cache{now: world.Now, ttl: *ttl, byID: map[string]cached{}}
			mux.Handle("PUT /api/v1/clusters/{id}", service.Handle(
				func(r *http.Request, in cluster) (cluster, error) { return c.put(r.PathValue("id"), in), nil }))
			mux.Handle("GET /api/v1/clusters/{id}", service.Read(
				func(r *http.Request) (cluster, error) { return c.get(r.PathValue("id")) }))
			return nil
		},
	}
}

func (c *cache) put(id string, in cluster) cluster {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.byID[id] = cached{in, c.now().Add(c.ttl)}
	return in
}

func (c *cache) get(id string) (cluster, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	found, ok := c.byID[id]
	if ok && c.now().Before(found.until) {
		return found.cluster, nil
	}
	delete(c.byID, id)
	return cluster{}, service.Fail(http.StatusNotFound, "nothing is known of cluster %s", id)
}
