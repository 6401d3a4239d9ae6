package cloud_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/berth-sh/berth/pipelines/cloud"
	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/sandbox"
)

// headers keeps what was sent with each request.
type headers struct {
	http.RoundTripper
	sent []http.Header
}

func (h *headers) RoundTrip(r *http.Request) (*http.Response, error) {
	h.sent = append(h.sent, r.Header)
	return h.RoundTripper.RoundTrip(r)
}

// Keys that are handed over are asked for once, when AWS is, and sign in the region of the registry's name.
func TestKeysThatAreGiven(t *testing.T) {
	t.Parallel()
	asked := 0
	h := &headers{RoundTripper: openBox(t, sandbox.Options{}).Transport()}
	e := cloud.NewECR(cloud.Options{Transport: h, Keys: func(context.Context) (cloud.Key, error) {
		asked++
		return cloud.Key{ID: sandbox.Username, Secret: "planted-hunter2", Session: "session-hunter2"}, nil
	}})
	if got, err := e.Credential(t.Context(), "ghcr.io"); err != nil || !got.Anonymous() || asked != 0 {
		t.Fatalf("asked %d times for GHCR: %v, %v", asked, got, err)
	}
	for range 2 {
		got, err := e.Credential(t.Context(), host)
		if err != nil || got.Username != "AWS" || got.Source != "the AWS key that was given" {
			t.Fatalf("%v, %v", got, err)
		}
	}
	if asked != 1 || len(h.sent) != 2 {
		t.Errorf("asked %d times for %d requests", asked, len(h.sent))
	}
	for _, sent := range h.sent {
		if sent.Get("X-Amz-Security-Token") != "session-hunter2" ||
			!strings.Contains(sent.Get("Authorization"), "/us-west-2/ecr/aws4_request") {
			t.Errorf("%v", sent)
		}
	}
}

// A key that cannot be read is a fault, and not the same as no login.
func TestKeysThatCannotBeRead(t *testing.T) {
	t.Parallel()
	e := cloud.NewECR(cloud.Options{Transport: refuses{t}, Keys: func(context.Context) (cloud.Key, error) {
		return cloud.Key{}, fault.New(fault.Credentials, "--aws-access-key-id", "give one", "the secret is empty")
	}})
	if _, err := e.Credential(t.Context(), host); fault.CodeOf(err) != fault.Credentials || fault.NextOf(err) != "give one" {
		t.Errorf("a login: %v", err)
	}
	if _, err := e.Missing(t.Context(), []string{host + "/app/web"}); fault.CodeOf(err) != fault.Credentials ||
		fault.NextOf(err) != "give one" {
		t.Errorf("repositories: %v", err)
	}
}
