package cloudevent

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
)

func headers(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return h
}

func binaryHeaders(more ...string) http.Header {
	return headers(append([]string{"ce-specversion", "1.0", "ce-id", "1", "ce-source", "/s", "ce-type", "t"}, more...)...)
}

func TestReadAccepts(t *testing.T) {
	t.Parallel()
	structured := headers("Content-Type", "application/cloudevents+json; charset=UTF-8")
	base := Event{ID: "1", Source: "/s", Type: "t"}
	with := func(change func(*Event)) Event { e := base; change(&e); return e }
	tests := map[string]struct {
		header http.Header
		body   string
		want   Event
		mode   Mode
	}{
		"binary": {
			binaryHeaders("Content-Type", "application/json"), `{"a":1}`,
			with(func(e *Event) { e.DataContentType, e.Data = "application/json", []byte(`{"a":1}`) }), Binary,
		},
		"binary, percent-encoded": {
			binaryHeaders("ce-subject", "Euro%20%E2%82%AC"), "",
			with(func(e *Event) { e.Subject, e.Data = "Euro €", []byte{} }), Binary,
		},
		"structured": {
			structured, `{"specversion":"1.0","id":"1","source":"/s","type":"t","data":{"a":1}}`,
			with(func(e *Event) { e.DataContentType, e.Data = "application/json", []byte(`{"a":1}`) }), Structured,
		},
		"structured, null is absent": {
			structured,
			`{"specversion":"1.0","id":"1","source":"/s","type":"t","time":null,"data":null}`, base, Structured,
		},
		"structured, extensions": {
			structured,
			`{"specversion":"1.0","id":"1","source":"/s","type":"t","n":-7,"yes":true,"traceparent":"x"}`,
			with(func(e *Event) {
				e.Extensions = map[string]string{"n": "-7", "yes": "true", "traceparent": "x"}
			}), Structured,
		},
		"structured, base64": {
			structured,
			`{"specversion":"1.0","id":"1","source":"/s","type":"t","datacontenttype":"image/png","data_base64":"AAE="}`,
			with(func(e *Event) { e.DataContentType, e.Data = "image/png", []byte{0, 1} }), Structured,
		},
		"structured, text": {
			structured,
			`{"specversion":"1.0","id":"1","source":"/s","type":"t","datacontenttype":"text/plain","data":"a\nb"}`,
			with(func(e *Event) { e.DataContentType, e.Data = "text/plain", []byte("a\nb") }), Structured,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, mode, err := Read(tt.header, strings.NewReader(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			if mode != tt.mode || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got mode %d and %+v, want mode %d and %+v", mode, got, tt.mode, tt.want)
			}
		})
	}
}

func TestReadRefuses(t *testing.T) {
	t.Parallel()
	structured := headers("Content-Type", "application/cloudevents+json")
	tests := map[string]struct {
		header http.Header
		body   string
		is     error
		says   string
	}{
		"no event": {headers("Content-Type", "application/json"), "{}", ErrMode, "neither"},
		"batch":    {headers("Content-Type", "application/cloudevents-batch+json"), "[]", ErrMode, "batch"},
		"latin1": {
			headers("Content-Type", "application/cloudevents+json; charset=latin1"),
			"{}", ErrMode, "latin1",
		},
		"bad content type": {headers("Content-Type", "a b"), "", ErrInvalid, "Content-Type"},
		"two content types": {
			binaryHeaders("Content-Type", "a/b", "Content-Type", "c/d"),
			"", ErrInvalid, "2 Content-Type",
		},
		"old version": {headers("ce-specversion", "0.3"), "", ErrInvalid, `specversion is "0.3"`},
		"id missing": {
			headers("ce-specversion", "1.0", "ce-source", "/", "ce-type", "t"),
			"", ErrInvalid, `"id" is missing`,
		},
		"id twice":        {binaryHeaders("ce-id", "2"), "", ErrInvalid, "2 times"},
		"empty attribute": {binaryHeaders("ce-subject", ""), "", ErrInvalid, `"subject" is empty`},
		"bad name":        {binaryHeaders("ce-my_ext", "x"), "", ErrInvalid, "attribute name"},
		"bad escape":      {binaryHeaders("ce-subject", "%zz"), "", ErrInvalid, "Subject"},
		"not UTF-8":       {binaryHeaders("ce-subject", "%ff"), "", ErrInvalid, "UTF-8"},
		"control":         {binaryHeaders("ce-subject", "a%00"), "", ErrInvalid, "control character"},
		"bad time":        {binaryHeaders("ce-time", "yesterday"), "", ErrInvalid, "RFC 3339"},
		"bad source": {
			headers("ce-specversion", "1.0", "ce-id", "1", "ce-source", "%25zz", "ce-type", "t"),
			"", ErrInvalid, "URI",
		},
		"relative schema": {binaryHeaders("ce-dataschema", "/x"), "", ErrInvalid, "dataschema"},
		"ce-datacontenttype": {
			binaryHeaders("ce-datacontenttype", "text/plain"), "", ErrInvalid,
			"not allowed",
		},
		"not JSON": {structured, "x", ErrInvalid, "not JSON"},
		"array":    {structured, "[]", ErrInvalid, "not a JSON object"},
		"cut off":  {structured, `{"id":"1"`, ErrInvalid, "not JSON"},
		"trailing": {
			structured,
			`{"specversion":"1.0","id":"1","source":"/s","type":"t"} {}`, ErrInvalid, "follows",
		},
		"member twice": {structured, `{"id":"1","id":"2"}`, ErrInvalid, "twice"},
		"object value": {structured, `{"id":{}}`, ErrInvalid, "must be a string"},
		"fraction":     {structured, `{"id":"1","n":1.5}`, ErrInvalid, "integer"},
		"large number": {structured, `{"id":"1","n":2147483648}`, ErrInvalid, "integer"},
		"both data":    {structured, `{"data":1,"data_base64":"AA=="}`, ErrInvalid, "both"},
		"bad base64": {
			structured,
			`{"specversion":"1.0","id":"1","source":"/s","type":"t","data_base64":"*"}`, ErrInvalid, "base64",
		},
		"base64 no text": {
			structured,
			`{"specversion":"1.0","id":"1","source":"/s","type":"t","data_base64":1}`, ErrInvalid, "not a string",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, err := Read(tt.header, strings.NewReader(tt.body))
			if !errors.Is(err, tt.is) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v, want %v with %q", err, tt.is, tt.says)
			}
		})
	}
}

func TestReadReportsABrokenBody(t *testing.T) {
	t.Parallel()
	for _, header := range []http.Header{binaryHeaders(), headers("Content-Type", "application/cloudevents+json")} {
		body := io.MultiReader(strings.NewReader("{"), &broken{})
		if _, _, err := Read(header, body); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%v: got %v, want the reader's error", header, err)
		}
	}
}

type broken struct{}

func (*broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// FuzzRoundTrip holds that whatever is read can be written in both modes and read again as the same event.
func FuzzRoundTrip(f *testing.F) {
	f.Add([]byte(`{"specversion":"1.0","id":"1","source":"/s","type":"t","data":{"a":1}}`))
	f.Add([]byte(`{"specversion":"1.0","id":"1","source":"/s","type":"t","data_base64":""}`))
	f.Add([]byte(`{"specversion":"1.0","id":"ü %\" ","source":"/s","type":"t","datacontenttype":"a/b",` +
		`"data_base64":"AAE="}`))
	f.Add([]byte(`{"specversion":"1.0","id":"1","source":"/s","type":"t","datacontenttype":"a/b","data":"text","n":4}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		event, _, err := Read(headers("Content-Type", "application/cloudevents+json"), bytes.NewReader(raw))
		if err != nil {
			if !errors.Is(err, ErrInvalid) {
				t.Fatalf("an error of another kind: %v", err)
			}
			return
		}
		for _, mode := range []Mode{Binary, Structured} {
			w := httptest.NewRecorder()
			if err := Write(w, event, mode); err != nil {
				t.Fatal(err)
			}
			again, gotMode, err := Read(w.Header(), w.Body)
			if err != nil {
				t.Fatalf("mode %d: %v", mode, err)
			}
			if gotMode != mode {
				t.Fatalf("mode %d came back as %d", mode, gotMode)
			}
			if !reflect.DeepEqual(again.attributes(), event.attributes()) {
				t.Fatalf("mode %d: %v came back as %v", mode, event.attributes(), again.attributes())
			}
			if mode == Binary && !bytes.Equal(again.Data, event.Data) {
				t.Fatalf("data %q came back as %q", event.Data, again.Data)
			}
		}
	})
}
