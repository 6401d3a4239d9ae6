package registry_test

import (
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/berth-sh/berth/internal/faultproxy"
	"github.com/berth-sh/berth/internal/faultproxy/testimage"
	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/registry"
)

// components pushes three images that share a layer into three repositories at once and returns the sums.
func components(t *testing.T, c *registry.Client, host string, mounts *registry.Mounts) (registry.Uploaded,
	map[registry.Event]int, error,
) {
	t.Helper()
	var (
		mu     sync.Mutex
		sum    registry.Uploaded
		errs   []error
		events = map[registry.Event]int{}
		group  sync.WaitGroup
	)
	for _, name := range []string{"builder", "sidecar", "pusher"} {
		r, err := c.Repository(host + "/o/" + name)
		if err != nil {
			t.Fatal(err)
		}
		x := testimage.New(t, name, 50_000)
		group.Go(func() {
			sent, err := r.Push(t.Context(), x, x.Root, registry.PushOptions{
				Mounts: mounts,
				Progress: func(_ ocispec.Descriptor, e registry.Event) {
					mu.Lock()
					defer mu.Unlock()
					events[e]++
				},
			})
			mu.Lock()
			defer mu.Unlock()
			errs = append(errs, err)
			sum.Blobs += sent.Blobs
			sum.Bytes += sent.Bytes
			sum.Manifests += sent.Manifests
		})
	}
	group.Wait()
	return sum, events, errors.Join(errs...)
}

func TestASharedLayerIsSentOnceAndMounted(t *testing.T) {
	t.Parallel()
	host, _ := serve(t)
	c := registry.NewClient(registry.Options{Policy: quick()})
	sum, events, err := components(t, c, host, registry.NewMounts())
	if err != nil {
		t.Fatal(err)
	}
	// Five blobs each, of which one is the same.
	if sum.Blobs != 13 || sum.Manifests != 9 || events[registry.Mounted] != 2 || events[registry.Sent] != 22 {
		t.Errorf("sent %+v, %v", sum, events)
	}
	sum, events, err = components(t, c, host, registry.NewMounts())
	if err != nil || sum != (registry.Uploaded{}) || events[registry.Present] != 3 || len(events) != 1 {
		t.Errorf("again: %+v, %v, %v", sum, events, err)
	}
}

func TestWithoutMountsEveryRepositoryGetsItsOwn(t *testing.T) {
	t.Parallel()
	host, _ := serve(t)
	sum, events, err := components(t, registry.NewClient(registry.Options{Policy: quick()}), host, nil)
	if err != nil || sum.Blobs != 15 || events[registry.Mounted] != 0 {
		t.Errorf("sent %+v, %v, %v", sum, events, err)
	}
}

// noMounts answers a mount as registries do that will not: by a session for an upload, or by a refusal.
type noMounts struct {
	base   http.RoundTripper
	refuse int
}

func (n noMounts) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Query().Get("mount") == "" {
		return n.base.RoundTrip(r)
	}
	if n.refuse != 0 {
		return faultproxy.New(nil, faultproxy.Rule{Fault: status(n.refuse, "")}).Wrap(n.base).RoundTrip(r)
	}
	plain := r.Clone(r.Context())
	plain.URL.RawQuery = ""
	return n.base.RoundTrip(plain)
}

func TestAMountThatIsNotGrantedBecomesAnUpload(t *testing.T) {
	t.Parallel()
	for _, refuse := range []int{0, 401, 403, 404, 405} {
		host, _ := serve(t)
		base := &http.Transport{}
		t.Cleanup(base.CloseIdleConnections)
		c := registry.NewClient(registry.Options{Policy: quick(), Transport: noMounts{base, refuse}})
		sum, events, err := components(t, c, host, registry.NewMounts())
		if err != nil || sum.Blobs != 15 || events[registry.Mounted] != 0 {
			t.Errorf("refused with %d: %+v, %v, %v", refuse, sum, events, err)
		}
	}
}

func TestTheFailureOfOneRepositoryDoesNotHoldTheOthers(t *testing.T) {
	t.Parallel()
	shared := testimage.New(t, "builder", 50_000).Shared.Digest.Encoded()
	host, proxy := serve(t)
	base := &http.Transport{}
	t.Cleanup(base.CloseIdleConnections)
	// The first session for an upload of the shared layer is refused, whoever begins it.
	c := registry.NewClient(registry.Options{
		Policy: quick(), Requests: 2,
		Transport: &refuseFirst{base: base, blob: shared},
	})
	sum, _, err := components(t, c, host, registry.NewMounts())
	if fault.CodeOf(err) != fault.Credentials {
		t.Fatalf("the refusal came out as %v", err)
	}
	if sum.Manifests != 6 {
		t.Errorf("the other two did not finish: %+v, %v\n%v", sum, err, proxy.Log())
	}
	if sum, _, err := components(t, c, host, registry.NewMounts()); err != nil || sum.Manifests != 3 {
		t.Errorf("running again does not finish: %+v, %v", sum, err)
	}
}

// refuseFirst refuses the first transfer of one blob.
type refuseFirst struct {
	base http.RoundTripper
	blob string
	once sync.Once
}

func (f *refuseFirst) RoundTrip(r *http.Request) (*http.Response, error) {
	refused := false
	if r.Method == http.MethodPut && strings.Contains(r.URL.RawQuery, f.blob) {
		f.once.Do(func() { refused = true })
	}
	if refused {
		return faultproxy.New(nil, faultproxy.Rule{Fault: status(403, "")}).Wrap(f.base).RoundTrip(r)
	}
	return f.base.RoundTrip(r)
}
