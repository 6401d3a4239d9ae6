// Package cloudevent reads and writes CloudEvents 1.0 over HTTP, in binary and in structured JSON mode. It is strict:
// what the specification calls a MUST is checked.
//
// Sources: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md, bindings/http-protocol-binding.md and
// formats/json-format.md.
package cloudevent

import (
	"errors"
	"fmt"
	"mime"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

var (
	// ErrInvalid is wrapped by every error about an event that breaks the specification.
	ErrInvalid = errors.New("invalid CloudEvent")
	// ErrMode is wrapped when a request is in a content mode or format that is not read here: batches, XML, Avro.
	ErrMode = errors.New("unsupported CloudEvents content mode")
)

// Mode is how an event is laid out in an HTTP message.
type Mode int

const (
	// Binary puts the attributes into ce- headers and the data into the body.
	Binary Mode = iota
	// Structured puts the whole event into a JSON body.
	Structured
)

// Event is a CloudEvent. Time, Subject, DataContentType and DataSchema are empty where the event does not have them.
type Event struct {
	ID              string
	Source          string
	Type            string
	Subject         string
	Time            string // RFC 3339, as it was sent
	DataContentType string
	DataSchema      string
	Extensions      map[string]string // in their canonical string form
	Data            []byte
}

// attributes lists the context attributes by name, those without a value left out.
func (e Event) attributes() map[string]string {
	all := map[string]string{"specversion": "1.0"}
	for name, value := range e.Extensions {
		all[name] = value
	}
	for name, field := range e.fields() {
		if *field != "" {
			all[name] = *field
		}
	}
	return all
}

func (e *Event) fields() map[string]*string {
	return map[string]*string{
		"id": &e.ID, "source": &e.Source, "type": &e.Type, "subject": &e.Subject, "time": &e.Time,
		"datacontenttype": &e.DataContentType, "dataschema": &e.DataSchema,
	}
}

// fromAttributes builds and checks an event. An attribute that is there must not be empty.
func fromAttributes(attributes map[string]string) (Event, error) {
	var e Event
	fields := e.fields()
	for name, value := range attributes {
		if !validName(name) {
			return Event{}, invalid("attribute name %q: only a-z and 0-9 are allowed", name)
		}
		if value == "" {
			return Event{}, invalid("attribute %q is empty", name)
		}
		if err := validText(value); err != nil {
			return Event{}, invalid("attribute %q: %v", name, err)
		}
		switch field, known := fields[name]; {
		case name == "specversion":
			if value != "1.0" {
				return Event{}, invalid("specversion is %q, expected \"1.0\"", value)
			}
		case known:
			*field = value
		default:
			if e.Extensions == nil {
				e.Extensions = map[string]string{}
			}
			e.Extensions[name] = value
		}
	}
	for _, name := range []string{"specversion", "id", "source", "type"} {
		if attributes[name] == "" {
			return Event{}, invalid("required attribute %q is missing", name)
		}
	}
	return e, e.checkForms()
}

func (e Event) checkForms() error {
	if _, err := url.Parse(e.Source); err != nil {
		return invalid("source is not a URI reference: %v", err)
	}
	if e.DataSchema != "" {
		if u, err := url.Parse(e.DataSchema); err != nil || !u.IsAbs() {
			return invalid("dataschema %q is not an absolute URI", e.DataSchema)
		}
	}
	if e.Time != "" {
		if _, err := time.Parse(time.RFC3339Nano, e.Time); err != nil {
			return invalid("time %q is not an RFC 3339 timestamp", e.Time)
		}
	}
	if e.DataContentType != "" {
		if _, _, err := mime.ParseMediaType(e.DataContentType); err != nil {
			return invalid("datacontenttype %q: %v", e.DataContentType, err)
		}
	}
	return nil
}

// IsJSON says whether the data is JSON: application/json, any +json type, or no content type at all.
func (e Event) IsJSON() bool {
	if e.DataContentType == "" {
		return true
	}
	media, _, err := mime.ParseMediaType(e.DataContentType)
	return err == nil && (strings.HasSuffix(media, "/json") || strings.HasSuffix(media, "+json"))
}

func validName(name string) bool {
	for _, r := range name {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') {
			return false
		}
	}
	return name != "" && name != "data"
}

func validText(s string) error {
	if !utf8.ValidString(s) {
		return errors.New("not UTF-8")
	}
	if i := strings.IndexFunc(s, unicode.IsControl); i >= 0 {
		return fmt.Errorf("control character at byte %d", i)
	}
	return nil
}

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrInvalid}, args...)...)
}
