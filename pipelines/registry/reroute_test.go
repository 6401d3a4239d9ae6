package registry_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/berth-sh/berth/pipelines/registry"
)

// refusing stands for the network: it says which host a request would have gone to.
type refusing struct{ asked *string }

func (r refusing) RoundTrip(request *http.Request) (*http.Response, error) {
	*r.asked = request.URL.Host
	return nil, context.Canceled
}

func TestReroute(t *testing.T) {
	t.Parallel()
	var host, proto, location string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, proto = r.Host, r.Header.Get("X-Forwarded-Proto")
		if location != "" {
			w.Header().Set("Location", location)
		}
		w.WriteHeader(http.StatusAccepted)
	}))
	t.Cleanup(server.Close)
	to, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(r registry.Reroute) (*http.Response, error) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://hub.example.com/v2/shop/web/blobs/uploads/", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := r.RoundTrip(request)
		if err == nil {
			_ = resp.Body.Close()
			if resp.Request != request {
				t.Error("the answer is not to the request that was made")
			}
		}
		if request.URL.Host != "hub.example.com" || request.Header.Get("X-Forwarded-Proto") != "" {
			t.Errorf("the request was changed: %s %v", request.URL, request.Header)
		}
		return resp, err
	}

	for name, c := range map[string]struct{ sent, got string }{
		"none":                 {"", ""},
		"relative":             {"/v2/x", "/v2/x"},
		"its own address":      {server.URL + "/v2/x?y=z", "https://hub.example.com/v2/x?y=z"},
		"the registry, http":   {"http://hub.example.com/v2/x", "https://hub.example.com/v2/x"},
		"the registry, a port": {"http://hub.example.com:5000/v2/x", "https://hub.example.com/v2/x"},
		"somewhere else":       {"https://blobs.example.com/x", "https://blobs.example.com/x"},
	} {
		location = c.sent
		resp, err := ask(registry.Reroute{Base: http.DefaultTransport, To: to})
		if err != nil {
			t.Fatal(err)
		}
		if got := resp.Header.Get("Location"); got != c.got {
			t.Errorf("%s: Location %q, want %q", name, got, c.got)
		}
		if host != "hub.example.com" || proto != "https" {
			t.Errorf("%s: the endpoint was called %q by %q", name, host, proto)
		}
	}

	var asked string
	if _, err := ask(registry.Reroute{Base: http.DefaultTransport, To: to, Hosts: []string{"hub.example.com"}}); err != nil {
		t.Error(err)
	}
	if _, err := ask(registry.Reroute{Base: refusing{&asked}, To: to, Hosts: []string{"other.example.com"}}); err == nil {
		t.Error("a registry that is not named was rerouted")
	}
	if asked != "hub.example.com" {
		t.Errorf("the network was asked for %q", asked)
	}
}
