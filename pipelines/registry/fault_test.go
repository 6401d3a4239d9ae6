package registry_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/olareg/olareg"
	"github.com/olareg/olareg/config"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/berth-sh/berth/internal/faultproxy"
	"github.com/berth-sh/berth/internal/faultproxy/testimage"
	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/registry"
)

// now is the time in these tests.
func now() time.Time { return time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC) }

// quick retries as berth does, with waits that no test notices.
func quick() registry.Policy { return registry.Policy{Base: time.Millisecond} }

// serve starts a real registry on loopback with a proxy in front, and returns its host.
func serve(t *testing.T, rules ...faultproxy.Rule) (string, *faultproxy.Proxy) {
	t.Helper()
	return serveWith(t, config.ConfigAPI{}, rules...)
}

func serveWith(t *testing.T, api config.ConfigAPI, rules ...faultproxy.Rule) (string, *faultproxy.Proxy) {
	t.Helper()
	olareg := olareg.New(config.Config{
		Storage: config.ConfigStorage{StoreType: config.StoreMem, GC: config.ConfigGC{Frequency: -1}}, API: api,
	})
	proxy := faultproxy.New(olareg, rules...)
	server := httptest.NewServer(proxy)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
		if err := olareg.Close(); err != nil {
			t.Error(err)
		}
	})
	return strings.TrimPrefix(server.URL, "http://"), proxy
}

func repository(t *testing.T, name string, o registry.Options) *registry.Repository {
	t.Helper()
	if o.Policy == (registry.Policy{}) {
		o.Policy = quick()
	}
	o.Clock = now
	r, err := registry.NewClient(o).Repository(name)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// publish pushes and tags.
func publish(ctx context.Context, r *registry.Repository, x testimage.Image) (registry.Uploaded, error) {
	sent, err := r.Push(ctx, x, x.Root, registry.PushOptions{})
	if err != nil {
		return sent, err
	}
	return sent, r.Tag(ctx, x.Index, x.Root, "v1")
}

func status(code int, after string) faultproxy.Fault {
	f := faultproxy.Fault{Status: code, Body: fmt.Sprintf(`{"errors":[{"code":"TEST","message":"status %d"}]}`, code)}
	if after != "" {
		f.Header = http.Header{"Retry-After": {after}}
	}
	return f
}

func reset(after int64) faultproxy.Fault { return faultproxy.Fault{Reset: true, ResetAfter: after} }

func uploads() *regexp.Regexp   { return regexp.MustCompile(`/blobs/uploads/`) }
func manifests() *regexp.Regexp { return regexp.MustCompile(`/manifests/`) }

func TestFaultsThatPassAreOvercome(t *testing.T) {
	t.Parallel()
	cases := map[string]faultproxy.Rule{
		"429 on POST":            {Method: "POST", Path: uploads(), Times: 3, Fault: status(429, "0")},
		"429 on PUT of a blob":   {Method: "PUT", Path: uploads(), Times: 3, Fault: status(429, "0")},
		"429 with a date":        {Method: "HEAD", Times: 2, Fault: status(429, now().Format(http.TimeFormat))},
		"408 on HEAD":            {Method: "HEAD", Times: 3, Fault: status(408, "")},
		"500 on PUT of a blob":   {Method: "PUT", Path: uploads(), Skip: 1, Times: 4, Fault: status(500, "")},
		"502 on PUT of manifest": {Method: "PUT", Path: manifests(), Times: 4, Fault: status(502, "")},
		"503 everywhere":         {Times: 4, Fault: status(503, "")},
		"504 on HEAD":            {Method: "HEAD", Times: 4, Fault: status(504, "")},
		"reset at once":          {Method: "POST", Times: 3, Fault: faultproxy.Fault{Reset: true}},
		"reset in an upload":     {Method: "PUT", Path: uploads(), Times: 4, Fault: reset(1000)},
		"reset in a manifest":    {Method: "PUT", Path: manifests(), Times: 4, Fault: reset(10)},
		"lost answer to a blob":  {Method: "PUT", Path: uploads(), Times: 3, Fault: faultproxy.Fault{LoseAnswer: true}},
		"lost answer to a tag":   {Method: "PUT", Path: manifests(), Times: 3, Fault: faultproxy.Fault{LoseAnswer: true}},
		"a lost session": {Method: "PUT", Path: uploads(), Times: 2, Fault: faultproxy.Fault{
			Status: 404,
			Body:   `{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN"}]}`,
		}},
		"stale for POST":     {Method: "POST", Times: 3, Fault: faultproxy.Fault{Close: true}},
		"stale for a blob":   {Method: "PUT", Path: uploads(), Times: 3, Fault: faultproxy.Fault{Close: true}},
		"stale for manifest": {Method: "PUT", Path: manifests(), Times: 3, Fault: faultproxy.Fault{Close: true}},
		"silence":            {Method: "PUT", Path: uploads(), Times: 2, Fault: faultproxy.Fault{Hang: true}},
	}
	for name, rule := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			host, proxy := serve(t, rule)
			// A registry that does not answer within this time counts as silent.
			transport := &http.Transport{ResponseHeaderTimeout: time.Second}
			t.Cleanup(transport.CloseIdleConnections)
			r, x := repository(t, host+"/o/n", registry.Options{Transport: transport}), testimage.New(t, "a", 300_000)
			sent, err := publish(t.Context(), r, x)
			if err != nil {
				t.Fatal(err)
			}
			if want := (registry.Uploaded{Blobs: testimage.Blobs, Bytes: x.Bytes, Manifests: 3}); sent != want {
				t.Errorf("sent %+v, want %+v", sent, want)
			}
			if desc, err := r.Resolve(t.Context(), "v1"); err != nil || desc.Digest != x.Root.Digest {
				t.Errorf("v1 is %v, %v", desc, err)
			}
			proxy.Clear()
			if sent, err := r.Push(t.Context(), x, x.Root, registry.PushOptions{}); err != nil || sent != (registry.Uploaded{}) {
				t.Errorf("again: %+v, %v", sent, err)
			}
		})
	}
}

// lasting is a fault that stays, and what is said about it.
type lasting struct {
	method    string
	fault     faultproxy.Fault
	code      fault.Code
	retryable bool
	text      string // in the message
	next      string // in the next step; "" for none
	requests  int    // for the blob that fails
}

func lastingFaults() map[string]lasting {
	denied := faultproxy.Fault{Status: 403, Body: `{"errors":[{"code":"DENIED","message":"no write_package"}]}`}
	denied400 := faultproxy.Fault{Status: 400, Body: denied.Body}
	unknown := faultproxy.Fault{Status: 400, Body: `{"errors":[{"code":"NAME_UNKNOWN"}]}`}
	page := faultproxy.Fault{Status: 400, Body: "<html>"}
	hang := faultproxy.Fault{Hang: true}
	const (
		bad, out, failed = fault.Credentials, fault.Unavailable, fault.Failed
		hour             = "wait until 2026-11-20T13:00:00Z"
		later            = "again later"
	)
	return map[string]lasting{
		"401":             {"POST", status(401, ""), bad, false, "401 Unauthorized: TEST status 401", "docker login", 1},
		"403":             {"POST", denied, bad, false, "DENIED no write_package", "docker login", 1},
		"403 on PUT":      {"PUT", denied, bad, false, "DENIED no write_package", "docker login", 1},
		"denied with 400": {"POST", denied400, bad, false, "DENIED", "docker login", 1},
		"429":             {"POST", status(429, "0"), out, true, "429 Too Many Requests", later, 7},
		"429 for an hour": {"POST", status(429, "3600"), out, true, hour, later, 1},
		"429 hour on PUT": {"PUT", status(429, "3600"), out, true, hour, later, 1},
		"500 on PUT":      {"PUT", status(500, ""), out, true, "500 Internal Server Error", later, 7},
		"502":             {"POST", status(502, ""), out, true, "502 Bad Gateway", later, 7},
		"503 on PUT":      {"PUT", status(503, ""), out, true, "503 Service Unavailable", later, 7},
		"501":             {"POST", status(501, ""), out, false, "501", "", 1},
		"a full disk":     {"PUT", status(507, ""), out, true, "507 Insufficient Storage", "no space left", 1},
		"reset":           {"PUT", reset(1000), out, true, "", "network", 7},
		"silence":         {"PUT", hang, out, true, "timeout", "network", 7},
		"413":             {"PUT", status(413, ""), failed, false, "413", "client_max_body_size", 1},
		"404":             {"POST", status(404, ""), failed, false, "does not exist", "create the repository", 1},
		"name unknown":    {"POST", unknown, failed, false, "does not exist", "create the repository", 1},
		"an odd answer":   {"PUT", status(418, "is a container registry"), failed, false, "418", "is a container registry", 1},
		"no details":      {"PUT", page, failed, false, "400 Bad Request", "is a container registry", 1},
	}
}

func TestFaultsThatStayAreReported(t *testing.T) {
	t.Parallel()
	for name, c := range lastingFaults() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			host, proxy := serve(t, faultproxy.Rule{Method: c.method, Path: uploads(), Fault: c.fault})
			transport := &http.Transport{ResponseHeaderTimeout: 50 * time.Millisecond}
			if c.text != "timeout" {
				transport.ResponseHeaderTimeout = 0
			}
			t.Cleanup(transport.CloseIdleConnections)
			r, x := repository(t, host+"/o/n", registry.Options{Transport: transport}), testimage.New(t, "a", 100_000)
			_, err := r.Push(t.Context(), x, x.Root, registry.PushOptions{Concurrency: 1})
			f, ok := errors.AsType[*fault.Error](err)
			if !ok {
				t.Fatalf("no fault: %v", err)
			}
			if f.Code != c.code || f.Retryable != c.retryable {
				t.Errorf("code %d, retryable %v, want %d, %v: %v", f.Code, f.Retryable, c.code, c.retryable, err)
			}
			if want := host + "/o/n@" + x.Root.Digest.String(); f.Subject != want {
				t.Errorf("subject %s, want %s", f.Subject, want)
			}
			if !strings.Contains(f.Error(), c.text) || !strings.Contains(f.Next, c.next) || c.next == "" && f.Next != "" {
				t.Errorf("%v\n%s\nwant %q and %q", err, f.Next, c.text, c.next)
			}
			if strings.ContainsAny(f.Error(), "?\"") {
				t.Errorf("a URL in %v", f)
			}
			// The next blob may begin before the failure of the first one stops the push.
			if n := proxy.Count(c.method, "uploads"); n < c.requests || n > 2*c.requests {
				t.Errorf("%d requests, want %d: %v", n, c.requests, proxy.Log())
			}
		})
	}
}

func TestOnlyA404IsNotFound(t *testing.T) {
	t.Parallel()
	for _, code := range []int{400, 401, 403, 404, 405, 409, 429, 500, 503} {
		host, _ := serve(t, faultproxy.Rule{Fault: status(code, "0")})
		r := repository(t, host+"/o/n", registry.Options{})
		_, resolve := r.Resolve(t.Context(), "v1")
		_, _, manifest := r.Manifest(t.Context(), "v1")
		_, tags := r.Tags(t.Context())
		for op, err := range map[string]error{"resolve": resolve, "manifest": manifest, "tags": tags} {
			if errors.Is(err, registry.ErrNotFound) != (code == 404) || err == nil {
				t.Errorf("%s after %d: %v", op, code, err)
			}
		}
	}
}

func TestACutAnswerIsReadAgain(t *testing.T) {
	t.Parallel()
	host, proxy := serve(t)
	r, x := repository(t, host+"/o/n", registry.Options{}), testimage.New(t, "a", 100)
	if _, err := publish(t.Context(), r, x); err != nil {
		t.Fatal(err)
	}
	cut := faultproxy.Rule{Method: "GET", Path: manifests(), Times: 6, Fault: faultproxy.Fault{Truncate: 20}}
	proxy.Add(cut)
	if body, _, err := r.Manifest(t.Context(), "v1"); err != nil || string(body) != string(x.Index) {
		t.Errorf("read %s, %v", body, err)
	}
	cut.Times = 0
	proxy.Add(cut)
	if _, _, err := r.Manifest(t.Context(), "v1"); fault.CodeOf(err) != fault.Unavailable {
		t.Errorf("cut every time: %v", err)
	}
}

func TestAStormOfFaults(t *testing.T) {
	t.Parallel()
	for seed := range uint64(8) {
		host, proxy := serve(t)
		proxy.Random(seed, 0.2, status(429, "0"), status(500, ""), status(502, ""), status(503, ""),
			faultproxy.Fault{Reset: true}, faultproxy.Fault{Reset: true, ResetAfter: 5000}, faultproxy.Fault{LoseAnswer: true})
		policy := quick()
		policy.Attempts = 12
		r, x := repository(t, host+"/o/n", registry.Options{Policy: policy}), testimage.New(t, "a", 200_000)
		if _, err := publish(t.Context(), r, x); err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
		proxy.Clear()
		if desc, err := r.Resolve(t.Context(), "v1"); err != nil || desc.Digest != x.Root.Digest {
			t.Errorf("seed %d: v1 is %v, %v", seed, desc, err)
		}
	}
}

func TestACancelledContextPassesThrough(t *testing.T) {
	t.Parallel()
	host, _ := serve(t, faultproxy.Rule{Method: "PUT", Fault: faultproxy.Fault{Hang: true}},
		faultproxy.Rule{Method: "HEAD", Path: regexp.MustCompile("v1"), Fault: status(503, "30")})
	ctx, cancel := context.WithCancel(t.Context())
	r, x := repository(t, host+"/o/n", registry.Options{}), testimage.New(t, "a", 100)
	ended := make(chan error)
	go func() {
		_, err := r.Push(ctx, x, x.Root, registry.PushOptions{Mounts: registry.NewMounts()})
		ended <- err
	}()
	go func() {
		_, err := r.Resolve(ctx, "v1")
		ended <- err
	}()
	cancel()
	for range 2 {
		if err := <-ended; !errors.Is(err, context.Canceled) || fault.CodeOf(err) != fault.Failed {
			t.Errorf("got %v", err)
		}
	}
}

// errorTransport fails every request.
type errorTransport struct{ err error }

func (e errorTransport) RoundTrip(*http.Request) (*http.Response, error) { return nil, e.err }

func TestFailuresWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	tls := httptest.NewUnstartedServer(http.NotFoundHandler())
	tls.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0) // the handshake is meant to fail
	tls.StartTLS()
	t.Cleanup(tls.Close)
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	closed := httptest.NewServer(nil)
	closed.Close()
	// to reaches a server under a name that is not loopback, so that it is spoken to with HTTPS.
	to := func(server *httptest.Server) http.RoundTripper {
		return &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", server.Listener.Addr().String())
		}}
	}
	cases := map[string]struct {
		name      string
		transport http.RoundTripper
		retryable bool
		next      string
	}{
		"unknown authority": {"registry.example.com/n", to(tls), false, "SSL_CERT_FILE"},
		"plain HTTP":        {"registry.example.com/n", to(plain), false, "insecure: true"},
		"nobody listens":    {strings.TrimPrefix(closed.URL, "http://") + "/n", nil, true, "network"},
		"no such host": {
			"registry.example.com/n",
			errorTransport{&net.DNSError{Err: "no such host", IsNotFound: true}},
			true, "registry's name",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := repository(t, c.name, registry.Options{Transport: c.transport}).Resolve(t.Context(), "v1")
			f, ok := errors.AsType[*fault.Error](err)
			if !ok || f.Code != fault.Unavailable || f.Retryable != c.retryable || !strings.Contains(f.Next, c.next) {
				t.Errorf("%+v", err)
			}
			if f != nil && f.Subject != c.name+":v1" {
				t.Errorf("subject %s", f.Subject)
			}
		})
	}
	// The same server as insecure is spoken to plainly, and says 404.
	_, err := repository(t, "registry.example.com/n", registry.Options{
		Transport: to(plain),
		Insecure:  func(host string) bool { return host == "registry.example.com" },
	}).Resolve(t.Context(), "v1")
	if !errors.Is(err, registry.ErrNotFound) {
		t.Errorf("insecure: %v", err)
	}
}

func TestTheBudgetHoldsForAHost(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	running, most := 0, 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		running++
		most = max(most, running)
		mu.Unlock()
		time.Sleep(2 * time.Millisecond)
		mu.Lock()
		running--
		mu.Unlock()
		w.WriteHeader(http.StatusNotFound)
	}))
	t.Cleanup(server.Close)
	r := repository(t, strings.TrimPrefix(server.URL, "http://")+"/n", registry.Options{Requests: 3})
	var group sync.WaitGroup
	for range 30 {
		group.Go(func() { _, _ = r.Resolve(t.Context(), "v1") })
	}
	group.Wait()
	if most != 3 {
		t.Errorf("%d requests at once, want 3", most)
	}
}

func TestATagWithOtherBytesIsNotPut(t *testing.T) {
	t.Parallel()
	host, proxy := serve(t)
	r := repository(t, host+"/n", registry.Options{})
	desc := ocispec.Descriptor{
		MediaType: ocispec.MediaTypeImageIndex, Size: 2,
		Digest: testimage.New(t, "a", 1).Root.Digest,
	}
	if err := r.Tag(t.Context(), []byte("{}"), desc, "v1"); fault.CodeOf(err) != fault.Failed {
		t.Errorf("got %v", err)
	}
	if n := proxy.Count("", ""); n != 0 {
		t.Errorf("%d requests", n)
	}
}
