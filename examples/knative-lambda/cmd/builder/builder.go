package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/berth-sh/berth/examples/knative-lambda/internal/cloudevent"
	"github.com/berth-sh/berth/examples/knative-lambda/internal/function"
	"github.com/berth-sh/berth/examples/knative-lambda/internal/service"
)

const (
	name         = "knative-lambda-builder"
	typeStart    = "dev.knative.lambda.build.start"
	typePlanned  = "dev.knative.lambda.build.planned"
	eventSource  = "/knative-lambda/builder"
	maxEventSize = 64 << 10 // bytes; the least that CloudEvents asks every consumer to take
)

func program(version, commit string) service.Program {
	var registry string
	return service.Program{
		Build: service.NewBuild(name, version, commit),
		Flags: func(flags *flag.FlagSet) {
			flags.StringVar(&registry, "image-registry", "ghcr.io/brunovlucena", "where images of functions go")
		},
		Start: func(server *service.Server) ([]service.Job, error) {
			parsed, err := function.ParseRegistry(registry)
			if err != nil {
				return nil, err
			}
			server.Handle("POST /{$}", &builder{
				registry: parsed,
				log:      server.Log,
				events:   server.Metrics.Counter("builder_events_total", "Events received, by outcome.", "outcome"),
			})
			return nil, nil
		},
	}
}

type builder struct {
	registry function.Registry
	log      *slog.Logger
	events   *service.Counter
}

// ServeHTTP answers one event.
func (b *builder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	event, mode, err := cloudevent.Read(r.Header, http.MaxBytesReader(w, r.Body, maxEventSize))
	if err == nil {
		event, err = b.answer(event)
	}
	if err != nil {
		status := statusOf(err)
		b.events.Add(1, "refused")
		b.log.Warn("event refused", "status", status, "error", err.Error())
		service.WriteProblem(w, status, err.Error())
		return
	}
	b.events.Add(1, "planned")
	b.log.Info("build planned", "image", event.Subject)
	if err := cloudevent.Write(w, event, mode); err != nil {
		b.log.Warn("answer not sent", "error", err.Error())
	}
}

// answer is deterministic, down to the event's id: an event that is delivered again gets the same answer.
func (b *builder) answer(event cloudevent.Event) (cloudevent.Event, error) {
	if event.Type != typeStart {
		return cloudevent.Event{}, fmt.Errorf("event type is %q, expected %q", event.Type, typeStart)
	}
	if !event.IsJSON() {
		return cloudevent.Event{}, fmt.Errorf("data is %q, expected application/json", event.DataContentType)
	}
	build, err := function.ReadBuild(event.Data)
	if err != nil {
		return cloudevent.Event{}, err
	}
	image, err := b.registry.Image(build)
	if err != nil {
		return cloudevent.Event{}, err
	}
	data, err := json.Marshal(image)
	if err != nil {
		return cloudevent.Event{}, fmt.Errorf("encode the answer: %w", err)
	}
	// Source and id name an event; the length keeps "a"+"bc" apart from "ab"+"c".
	id := sha256.Sum256(fmt.Appendf(nil, "%d:%s%s", len(event.Source), event.Source, event.ID))
	return cloudevent.Event{
		ID:              hex.EncodeToString(id[:16]),
		Source:          eventSource,
		Type:            typePlanned,
		Subject:         image.Image,
		DataContentType: "application/json",
		Data:            data,
	}, nil
}

func statusOf(err error) int {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return http.StatusRequestEntityTooLarge
	}
	if errors.Is(err, cloudevent.ErrMode) {
		return http.StatusUnsupportedMediaType
	}
	return http.StatusBadRequest
}
