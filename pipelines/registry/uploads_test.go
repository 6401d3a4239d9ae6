package registry_test

import (
	"context"
	"errors"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/berth-sh/berth/internal/faultproxy/testimage"
	"github.com/berth-sh/berth/pipelines/registry"
)

// Of the uploads that wait, the largest goes first; one that gives up leaves the place to the others.
func TestTheLargestUploadGoesFirst(t *testing.T) {
	t.Parallel()
	turn := registry.NewTurn(1)
	end, err := turn.Begin(t.Context(), "host", 1)
	if err != nil {
		t.Fatal(err)
	}
	var (
		mu    sync.Mutex
		order []int64
		group sync.WaitGroup
	)
	ctx, cancel := context.WithCancel(t.Context())
	for i, size := range []int64{5, 50, 70, 20, 50} {
		wait := t.Context()
		if size == 70 {
			wait = ctx
		}
		group.Go(func() {
			end, err := turn.Begin(wait, "host", size)
			if err != nil {
				if size != 70 || !errors.Is(err, context.Canceled) {
					t.Errorf("%d: %v", size, err)
				}
				return
			}
			mu.Lock()
			order = append(order, size)
			mu.Unlock()
			end()
		})
		for turn.Waiting("host") != i+1 {
			runtime.Gosched()
		}
	}
	other, err := turn.Begin(t.Context(), "other", 9)
	if err != nil {
		t.Fatal(err)
	}
	other()
	cancel()
	for turn.Waiting("host") != 4 {
		runtime.Gosched()
	}
	end()
	group.Wait()
	if !slices.Equal(order, []int64{50, 50, 20, 5}) {
		t.Errorf("in the order %v", order)
	}
	if last, err := turn.Begin(t.Context(), "host", 1); err != nil {
		t.Error(err)
	} else {
		last()
	}
}

// A copy asks about small blobs and begins to send them by one request, and about large ones before it sends them: a
// second copy of an image whose index alone is missing sends no blob.
func TestACopyFindsOutThatItsGuessWasWrong(t *testing.T) {
	t.Parallel()
	for _, size := range []int{100, 50_000} {
		for _, mounts := range []bool{true, false} {
			far, _ := serve(t)
			near, target := serve(t)
			base := &http.Transport{}
			t.Cleanup(base.CloseIdleConnections)
			o := registry.Options{Policy: quick(), Transport: base}
			if !mounts {
				o.Transport = noMounts{base, http.StatusMethodNotAllowed}
			}
			c := registry.NewClient(o)
			from, err := c.Repository(far + "/o/a")
			if err != nil {
				t.Fatal(err)
			}
			to, err := c.Repository(near + "/o/a")
			if err != nil {
				t.Fatal(err)
			}
			x := testimage.New(t, "a", size)
			if _, err := publish(t.Context(), from, x); err != nil {
				t.Fatal(err)
			}
			for _, child := range childrenOf(t, x.Index) { // all blobs, and no index
				if _, err := registry.NewCopier(from, to, registry.NewMounts()).Copy(t.Context(), child); err != nil {
					t.Fatal(err)
				}
			}
			target.ResetCounts()
			sent, err := registry.NewCopier(from, to, registry.NewMounts()).Copy(t.Context(), x.Root)
			if err != nil || sent.Manifests != 3 {
				t.Fatalf("%+v, %v", sent, err)
			}
			small := testimage.Blobs // that are asked for by beginning an upload
			if size > 100 {
				small = 2
			}
			want := 0
			if !mounts {
				want = small // are sent once more
			}
			if n := target.Count(http.MethodPut, "uploads"); n != want || sent.Blobs != want {
				t.Errorf("%d bytes, mounts %v: %d blobs sent again, want %d: %v", size, mounts, n, want, target.Log())
			}
			if n := target.Count(http.MethodHead, "blobs"); n != testimage.Blobs-small {
				t.Errorf("%d bytes, mounts %v: %d looks", size, mounts, n)
			}
		}
	}
}

// old makes the repositories below a path those of a registry without the referrers API.
type old struct {
	base http.RoundTripper
	path string
}

func (o old) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.HasPrefix(r.URL.Path, o.path) && strings.Contains(r.URL.Path, "/referrers/") {
		r = r.Clone(r.Context())
		r.URL.Path = "/no/such/address"
	}
	resp, err := o.base.RoundTrip(r)
	if err == nil && strings.HasPrefix(r.URL.Path, o.path) {
		resp.Header.Del("OCI-Subject")
	}
	return resp, err
}

// Where there is no referrers API, the list of a repository's tags tells that nothing is attached; that is found out
// once, and counts for what is below the same path only.
func TestWhatIsAttachedIsFoundByFewRequests(t *testing.T) {
	t.Parallel()
	host, proxy := serve(t)
	base := &http.Transport{}
	t.Cleanup(base.CloseIdleConnections)
	c := registry.NewClient(registry.Options{Policy: quick(), Transport: old{base, "/v2/old/"}})
	open := func(name string) *registry.Repository {
		r, err := c.Repository(host + name)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	x := testimage.New(t, "a", 100)
	for _, name := range []string{"/old/a", "/old/b", "/old/c", "/new/a", "/new/b"} {
		if _, err := publish(t.Context(), open(name), x); err != nil {
			t.Fatal(err)
		}
	}
	attach(t, open("/old/c"), x.Root, "application/sbom", "1")
	attach(t, open("/new/b"), x.Root, "application/sbom", "1")
	for _, want := range []struct {
		name           string
		requests, sent int
	}{
		{"/old/a", 1 + 1 + 1, 0}, // tags, the API, and the fallback tag of what it was asked about
		{"/old/b", 1, 0},
		{"/old/c", 1 + 1, 1}, // tags, and the fallback tag that is among them
		{"/new/a", 1 + 3, 0},
		{"/new/b", 1 + 3 + 1, 1}, // and what is attached to the attachment
	} {
		proxy.ResetCounts()
		to := open("/to" + want.name)
		copier := registry.NewCopier(open(want.name), to, registry.NewMounts())
		found, err := copier.FindAttached(t.Context(), whole(x, childrenOf(t, x.Index)...))
		if err != nil {
			t.Fatal(err)
		}
		if n := proxy.Count("", ""); n != want.requests {
			t.Errorf("%s: %d requests, want %d: %v", want.name, n, want.requests, proxy.Log())
		}
		if _, err := copier.Copy(t.Context(), x.Root); err != nil {
			t.Fatal(err)
		}
		if sent, err := copier.CopyFound(t.Context(), found); err != nil || sent.Manifests != want.sent {
			t.Errorf("%s: %+v, %v", want.name, sent, err)
		}
	}
}
