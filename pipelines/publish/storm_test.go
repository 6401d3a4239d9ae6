package publish_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"

	"github.com/berth-sh/berth/internal/faultproxy"
	"github.com/berth-sh/berth/pipelines/registry"
)

// fleetSize is the number of kubernaut's services.
const fleetSize = 14

// A fifth of all requests fails: nobody who publishes notices, and the registry has what it has after a calm day. The
// policy is the default one, but for its waits.
func TestAFleetWeathersAStorm(t *testing.T) {
	t.Parallel()
	k := cargo{version: "1.0.0", day: 1, ships: fleetSize}
	calm := newHarbour(t)
	made := stock{k: calm.must(k).images}
	want := calm.tagsOf(ships(fleetSize)...)
	if len(want) != fleetSize*tagsOfMain {
		t.Fatalf("a calm day: %v", want)
	}
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			h := newHarbour(t)
			h.stock = made
			transport := &http.Transport{MaxIdleConnsPerHost: 16}
			t.Cleanup(transport.CloseIdleConnections)
			h.client = registry.NewClient(registry.Options{Transport: transport, Policy: registry.Policy{Base: time.Millisecond}})
			h.proxy.Random(seed, 0.2, status(429), status(500), status(502), status(503), status(504),
				faultproxy.Fault{Reset: true}, faultproxy.Fault{Reset: true, ResetAfter: 50}, faultproxy.Fault{Close: true})
			if _, err := h.publish(t.Context(), h.load(k)); err != nil {
				t.Fatal(err)
			}
			same(t, "in the storm", h.tagsOf(ships(fleetSize)...), want)
			for _, name := range ships(fleetSize) {
				r, err := h.direct.Repository(h.behind + "/acme/" + name)
				if err != nil {
					t.Fatal(err)
				}
				desc, err := r.Resolve(t.Context(), "latest")
				if err != nil {
					t.Fatal(err)
				}
				if err := whole(t.Context(), r, desc); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
		})
	}
}

// whole checks that everything below a descriptor is there.
func whole(ctx context.Context, r *registry.Repository, desc ocispec.Descriptor) error {
	ok, err := r.Exists(ctx, desc)
	if err != nil || !ok {
		return errors.Join(err, fmt.Errorf("%s exists: %v", desc.Digest, ok))
	}
	children, err := content.Successors(ctx, r, desc)
	for _, child := range children {
		err = errors.Join(err, whole(ctx, r, child))
	}
	return err
}
