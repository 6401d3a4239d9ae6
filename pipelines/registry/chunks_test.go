package registry_test

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/berth-sh/berth/internal/distribution"
	"github.com/berth-sh/berth/internal/faultproxy"
	"github.com/berth-sh/berth/internal/faultproxy/testimage"
	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/registry"
)

// narrow is a proxy, as nginx is, that refuses requests over a size. It counts the refused and notes the largest that
// passed.
type narrow struct {
	next  http.Handler
	limit int64

	mu      sync.Mutex
	refused int
	largest int64
	patches int
}

func (n *narrow) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n.mu.Lock()
	fits := r.ContentLength <= n.limit
	switch {
	case !fits:
		n.refused++
	case r.Method == http.MethodPatch:
		n.patches++
		n.largest = max(n.largest, r.ContentLength)
	}
	n.mu.Unlock()
	if !fits {
		http.Error(w, "<html>413 Request Entity Too Large</html>", http.StatusRequestEntityTooLarge)
		return
	}
	n.next.ServeHTTP(w, r)
}

// narrowed puts a narrow proxy in front of docker-registry.
func narrowed(t *testing.T, limit int64, rules ...faultproxy.Rule) (string, *narrow) {
	t.Helper()
	behind := &url.URL{Scheme: "http", Host: distribution.Start(t, distribution.Options{}).Host}
	n := &narrow{limit: limit, next: &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(behind)
		r.Out.Host = r.In.Host
	}}}
	server := httptest.NewServer(faultproxy.New(n, rules...))
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return strings.TrimPrefix(server.URL, "http://"), n
}

func TestABlobGoesUpInPiecesWhereRequestsAreLimited(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		limit int64
		size  int
		fault []faultproxy.Rule
	}{
		"nginx's own limit": {1 << 20, 3<<20 + 17, nil},
		"a smaller limit":   {300 << 10, 2<<20 + 1, nil},
		"faults meanwhile": {1 << 20, 3<<20 + 17, []faultproxy.Rule{
			{Method: "PATCH", Skip: 1, Times: 1, Fault: status(503, "0")},
			{Method: "PATCH", Skip: 3, Times: 1, Fault: faultproxy.Fault{LoseAnswer: true}},
			{Method: "PATCH", Skip: 5, Times: 1, Fault: reset(1000)},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			host, n := narrowed(t, c.limit, c.fault...)
			r, x := repository(t, host+"/o/n", registry.Options{}), testimage.New(t, "a", c.size)
			sent, err := r.Push(t.Context(), x, x.Root, registry.PushOptions{Concurrency: 1})
			if err != nil {
				t.Fatal(err)
			}
			if want := (registry.Uploaded{Blobs: testimage.Blobs, Bytes: x.Bytes, Manifests: 3}); sent != want {
				t.Errorf("sent %+v, want %+v", sent, want)
			}
			if err := r.Tag(t.Context(), x.Index, x.Root, "v1"); err != nil {
				t.Error(err)
			}
			// What was learned from the first blob is used for the others.
			if n.refused > 6 || n.patches < 6 || n.largest > c.limit {
				t.Errorf("%d requests refused, %d pieces, the largest of %d bytes", n.refused, n.patches, n.largest)
			}
		})
	}
}

func TestALimitBelowEveryPieceIsReported(t *testing.T) {
	t.Parallel()
	host, _ := narrowed(t, 1000)
	r, x := repository(t, host+"/o/n", registry.Options{}), testimage.New(t, "a", 400_000)
	_, err := r.Push(t.Context(), x, x.Root, registry.PushOptions{Concurrency: 1})
	if fault.CodeOf(err) != fault.Failed || !strings.Contains(fault.NextOf(err), "client_max_body_size") {
		t.Errorf("%v\n%s", err, fault.NextOf(err))
	}
}
