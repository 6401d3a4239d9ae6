package registry_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/berth-sh/berth/pipelines/registry"
)

// What is traced holds no secret: neither a login nor the signature of a storage service.
func TestTraceShowsNoSecret(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	digest := "sha256:" + strings.Repeat("0", 64)
	mux.HandleFunc("/v2/app/manifests/v1", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer t0ken" {
			w.Header().Set("WWW-Authenticate", `Bearer realm="`+server.URL+`/token",service="hub",scope="repository:app:pull"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		http.Redirect(w, r, "/store/m?X-Amz-Signature=hunter2&n=1", http.StatusTemporaryRedirect)
	})
	mux.HandleFunc("/token", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"token":"t0ken"}`)) })
	mux.HandleFunc("/store/m", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
		w.Header().Set("Docker-Content-Digest", digest)
		w.Header().Set("Content-Length", "2")
	})
	host := strings.TrimPrefix(server.URL, "http://")
	var mu sync.Mutex
	var told []string
	client := registry.NewClient(registry.Options{
		Credentials: registry.NewCredentials(registry.Explicit{host: {Username: "me", Password: "hunter2"}}),
		Trace: func(x registry.Exchange) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, x.Method+" "+strings.TrimPrefix(x.URL, server.URL)+" "+http.StatusText(x.Status))
			if x.Err != nil || x.Took < 0 {
				t.Errorf("%+v", x)
			}
		},
	})
	r, err := client.Repository(host + "/app")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Resolve(t.Context(), "v1"); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"HEAD /v2/app/manifests/v1 Unauthorized",
		"GET /token?scope=repository:app:pull&service=hub OK",
		"HEAD /v2/app/manifests/v1 Temporary Redirect",
		"HEAD /store/m?X-Amz-Signature=…&n=1 OK",
	}
	if !slices.Equal(want, told) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(told, "\n"), strings.Join(want, "\n"))
	}
}
