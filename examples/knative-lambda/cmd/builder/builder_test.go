package main

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/berth-sh/berth/examples/knative-lambda/internal/cloudevent"
	"github.com/berth-sh/berth/examples/knative-lambda/internal/function"
	"github.com/berth-sh/berth/examples/knative-lambda/internal/service"
)

const buildData = `{"thirdPartyId":"acme","parserId":"invoice","sourceRef":"https://git.example/acme/invoice"}`

func newServer(t *testing.T) *service.Server {
	t.Helper()
	p := program("1.0.0", "abc")
	server := service.NewServer(p.Build, slog.New(slog.NewJSONHandler(io.Discard, nil)))
	server.Handle("POST /{$}", &builder{
		registry: "registry.example/functions", log: server.Log,
		events: server.Metrics.Counter("builder_events_total", "Events.", "outcome"),
	})
	return server
}

func post(server http.Handler, header map[string]string, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	for key, value := range header {
		r.Header.Set(key, value)
	}
	w := httptest.NewRecorder()
	server.ServeHTTP(w, r)
	return w
}

func startHeaders() map[string]string {
	return map[string]string{
		"ce-specversion": "1.0", "ce-id": "42", "ce-source": "/test", "ce-type": typeStart,
		"Content-Type": "application/json",
	}
}

func TestBuilderAnswersInTheModeOfTheRequest(t *testing.T) {
	t.Parallel()
	server := newServer(t)
	binary := post(server, startHeaders(), buildData)
	structured := post(server, map[string]string{"Content-Type": "application/cloudevents+json"},
		`{"specversion":"1.0","id":"42","source":"/test","type":"`+typeStart+`","data":`+buildData+`}`)
	var events []cloudevent.Event
	for want, w := range map[cloudevent.Mode]*httptest.ResponseRecorder{
		cloudevent.Binary: binary, cloudevent.Structured: structured,
	} {
		if w.Code != http.StatusOK {
			t.Fatalf("status %d: %s", w.Code, w.Body)
		}
		event, mode, err := cloudevent.Read(w.Header(), w.Body)
		if err != nil || mode != want {
			t.Fatalf("mode %d, want %d, error %v", mode, want, err)
		}
		var image function.Image
		if err := json.Unmarshal(event.Data, &image); err != nil {
			t.Fatal(err)
		}
		if event.Type != typePlanned || event.Subject != image.Image || image.ParserID != "invoice" ||
			!strings.HasPrefix(image.Image, "registry.example/functions/acme/invoice:src-") {
			t.Errorf("unexpected answer %+v", event)
		}
		events = append(events, event)
	}
	if events[0].ID != events[1].ID || string(events[0].Data) != string(events[1].Data) {
		t.Errorf("the same event got two answers: %+v", events)
	}
	other := startHeaders()
	other["ce-id"] = "43"
	if id := post(server, other, buildData).Header().Get("ce-id"); id == events[0].ID {
		t.Error("two events got answers with the same id")
	}
}

func TestBuilderRefuses(t *testing.T) {
	t.Parallel()
	with := func(key, value string) map[string]string {
		h := startHeaders()
		h[key] = value
		return h
	}
	tests := map[string]struct {
		header map[string]string
		body   string
		status int
		says   string
	}{
		"other type":   {with("ce-type", "x"), buildData, 400, "event type"},
		"not JSON":     {with("Content-Type", "text/plain"), buildData, 400, "expected application/json"},
		"bad data":     {startHeaders(), `{"thirdPartyId":"acme"}`, 400, "parserId is missing"},
		"bad event":    {with("ce-specversion", "0.3"), buildData, 400, "specversion"},
		"no event":     {map[string]string{}, buildData, 415, "content mode"},
		"too large":    {startHeaders(), buildData + strings.Repeat(" ", maxEventSize), 413, "too large"},
		"just too big": {startHeaders(), strings.Repeat(" ", maxEventSize+1), 413, "too large"},
		"at the limit": {startHeaders(), strings.Repeat(" ", maxEventSize), 400, "EOF"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := post(newServer(t), tt.header, tt.body)
			var problem struct {
				Status int
				Detail string
			}
			if err := json.Unmarshal(w.Body.Bytes(), &problem); err != nil {
				t.Fatal(err)
			}
			if w.Code != tt.status || problem.Status != tt.status || !strings.Contains(problem.Detail, tt.says) ||
				w.Header().Get("Content-Type") != "application/problem+json" {
				t.Errorf("got %d %s %+v, want %d with %q", w.Code, w.Header(), problem, tt.status, tt.says)
			}
		})
	}
}

func TestBuilderCountsAndKeepsToItsRoute(t *testing.T) {
	t.Parallel()
	server := newServer(t)
	post(server, startHeaders(), buildData)
	post(server, startHeaders(), "{}")
	w := httptest.NewRecorder()
	server.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("GET / answered %d", w.Code)
	}
	w = httptest.NewRecorder()
	server.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, line := range []string{
		`builder_events_total{outcome="planned"} 1`, `builder_events_total{outcome="refused"} 1`,
		`http_requests_total{method="POST",route="/{$}",code="400"} 1`,
	} {
		if !strings.Contains(w.Body.String(), line+"\n") {
			t.Errorf("metrics lack %s in\n%s", line, w.Body)
		}
	}
}

func TestProgramRefusesABadRegistry(t *testing.T) {
	t.Parallel()
	world := service.World{
		Args: []string{"--port", "0"}, Stdout: io.Discard, Stderr: io.Discard,
		Lookup: func(name string) (string, bool) { return "https://ghcr.io", name == "IMAGE_REGISTRY" },
	}
	if code := program("", "").Run(t.Context(), world); code != 2 {
		t.Errorf("exit code %d, want 2", code)
	}
}
