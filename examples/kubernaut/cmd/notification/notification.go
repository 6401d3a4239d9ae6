package main

import (
	"errors"
	"net/http"
	"regexp"
	"strings"

	"github.com/berth-sh/berth/examples/kubernaut/internal/service"
	"github.com/berth-sh/berth/examples/kubernaut/internal/signal"
)

// request is what somebody should be told.
type request struct {
	Signal signal.Signal `json:"signal"`
	Text   string        `json:"text"`
}

// message is ready to be sent.
type message struct {
	Channel string `json:"channel"`
	Subject string `json:"subject"`
	Body    string `json:"body"`
}

// secret finds assignments to names that sound secret, and bearer tokens.
var secret = regexp.MustCompile(`(?i)((?:password|passwd|token|secret|api[_-]?key)\s*[=:]\s*|bearer\s+)\S+`)

func program() service.Program {
	return service.Program{
		Build: service.NewBuild("notification", version, commit),
		Routes: func(mux *http.ServeMux, _ service.World) error {
			mux.Handle("POST /api/v1/notifications", service.Handle(
				func(_ *http.Request, in request) (message, error) { return write(in) }))
			return nil
		},
	}
}

func write(in request) (message, error) {
	if err := in.Signal.Check(); err != nil {
		return message{}, err
	}
	if strings.TrimSpace(in.Text) == "" {
		return message{}, errors.New("there is nothing to say")
	}
	s := in.Signal
	channel := "log"
	switch s.Severity {
	case signal.Critical:
		channel = "pager"
	case signal.Warning:
		channel = "chat"
	}
	return message{
		Channel: channel,
		Subject: strings.ToUpper(string(s.Severity)) + " " + s.Name + ": " + s.Namespace + "/" + s.Object,
		Body:    secret.ReplaceAllString(in.Text, "${1}[redacted]"),
	}, nil
}
