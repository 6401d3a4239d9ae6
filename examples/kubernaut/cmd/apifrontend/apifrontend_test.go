package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestRoute(t *testing.T) {
	t.Parallel()
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.URL.Path)
	}))
	t.Cleanup(upstream.Close)
	mux := http.NewServeMux()
	if err := route(mux, "gateway="+upstream.URL); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"/gateway/healthz": "/healthz", "/other/healthz": "404 page not found\n"} {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if w.Body.String() != want {
			t.Errorf("%s: %q", path, w.Body)
		}
	}
	for _, bad := range []string{"gateway", "=http://x", "gateway=x"} {
		if err := route(http.NewServeMux(), bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}
