package registry_test

import (
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/berth-sh/berth/internal/distribution"
	"github.com/berth-sh/berth/internal/faultproxy/testimage"
	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/registry"
)

func TestAnAuthorityOfOnesOwn(t *testing.T) {
	t.Parallel()
	var protocol atomic.Value
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		protocol.Store(r.Proto)
		w.WriteHeader(http.StatusNotFound)
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "https://")
	write := func(name, text string) string {
		file := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	good := write("ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
	for name, c := range map[string]struct {
		file string
		code fault.Code
		text string
	}{
		"the right one":  {good, fault.Done, ""},
		"a missing file": {filepath.Join(t.TempDir(), "none.pem"), fault.Usage, "no such file"},
		"no certificate": {write("bad.pem", "hello"), fault.Usage, "no certificate in PEM"},
	} {
		r := repository(t, host+"/n", registry.Options{CA: func(h string) string {
			if h != host {
				t.Errorf("%s: asked for %s", name, h)
			}
			return c.file
		}})
		_, err := r.Resolve(t.Context(), "v1")
		if c.code == fault.Done {
			if !errors.Is(err, registry.ErrNotFound) {
				t.Errorf("%s: %v", name, err)
			}
			if protocol.Load() != "HTTP/2.0" {
				t.Errorf("%s: spoken to with %v", name, protocol.Load())
			}
			continue
		}
		if fault.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.text) || !strings.Contains(err.Error(), c.file) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A registry with TLS and passwords, as people run it.
func TestDistributionWithTLSAndPasswords(t *testing.T) {
	t.Parallel()
	s := distribution.Start(t, distribution.Options{TLS: true, Login: true, Delete: true})
	open := func(password string) *registry.Repository {
		return repository(t, s.Host+"/o/n", registry.Options{
			CA: func(string) string { return s.CA },
			Credentials: registry.NewCredentials(registry.Explicit{
				s.Host: {Username: distribution.Username, Password: password, Source: "test"},
			}),
		})
	}
	x := testimage.New(t, "a", 300_000)
	if _, err := publish(t.Context(), open("wrong"), x); fault.CodeOf(err) != fault.Credentials {
		t.Errorf("a wrong password: %v", err)
	}
	r := open(distribution.Password)
	if _, err := publish(t.Context(), r, x); err != nil {
		t.Fatal(err)
	}
	if sent, err := publish(t.Context(), r, x); err != nil || sent != (registry.Uploaded{}) {
		t.Errorf("again: %+v, %v", sent, err)
	}
}

// connectProxy is a proxy for HTTPS that may want a login.
func connectProxy(t *testing.T, refuse int) (address string, seen *atomic.Value) {
	t.Helper()
	seen = new(atomic.Value)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen.Store(r.Method + " " + r.Host)
		w.WriteHeader(refuse)
	}))
	t.Cleanup(server.Close)
	return server.URL, seen
}

func TestAProxyThatRefuses(t *testing.T) {
	t.Parallel()
	for status, next := range map[int]string{
		407: "HTTPS_PROXY=http://USER:PASSWORD@PROXY:PORT", 403: "NO_PROXY=registry.example.com", 502: "NO_PROXY=",
	} {
		address, seen := connectProxy(t, status)
		transport, err := registry.Proxied(address)
		if err != nil {
			t.Fatal(err)
		}
		_, err = repository(t, "registry.example.com/n", registry.Options{Transport: transport}).Resolve(t.Context(), "v1")
		if fault.CodeOf(err) != fault.Unavailable || !strings.Contains(fault.NextOf(err), next) ||
			!strings.Contains(err.Error(), fmt.Sprintf("the proxy %s answered %d", strings.TrimPrefix(address, "http://"), status)) {
			t.Errorf("%d: %v\n%s", status, err, fault.NextOf(err))
		}
		if seen.Load() != "CONNECT registry.example.com:443" {
			t.Errorf("the proxy saw %v", seen.Load())
		}
	}
}
