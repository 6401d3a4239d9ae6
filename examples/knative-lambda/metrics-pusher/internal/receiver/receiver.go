// Package receiver is a remote write 1.0 endpoint for tests. It decodes with the protobuf runtime from the message
// definitions of the specification, not with what the sender uses, so that both cannot be wrong in the same way.
package receiver

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"

	"github.com/golang/snappy"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/berth-sh/berth/examples/knative-lambda/metrics-pusher/internal/series"
)

// definition is the file types.proto and remote.proto of Prometheus, cut to what remote write 1.0 names.
const definition = `name: "remote.proto" syntax: "proto3" package: "prometheus"
message_type { name: "WriteRequest"
  field { name: "timeseries" number: 1 label: LABEL_REPEATED type: TYPE_MESSAGE type_name: ".prometheus.TimeSeries" } }
message_type { name: "TimeSeries"
  field { name: "labels" number: 1 label: LABEL_REPEATED type: TYPE_MESSAGE type_name: ".prometheus.Label" }
  field { name: "samples" number: 2 label: LABEL_REPEATED type: TYPE_MESSAGE type_name: ".prometheus.Sample" } }
message_type { name: "Label"
  field { name: "name" number: 1 label: LABEL_OPTIONAL type: TYPE_STRING }
  field { name: "value" number: 2 label: LABEL_OPTIONAL type: TYPE_STRING } }
message_type { name: "Sample"
  field { name: "value" number: 1 label: LABEL_OPTIONAL type: TYPE_DOUBLE }
  field { name: "timestamp" number: 2 label: LABEL_OPTIONAL type: TYPE_INT64 } }`

// Request is one request that came in.
type Request struct {
	Header  http.Header
	Samples []series.Sample
}

// Receiver answers with what Answer writes, and with 204 where it is nil. A request that breaks the specification gets
// 400 and is not kept.
type Receiver struct {
	// Answer answers the n-th request, counted from 1.
	Answer func(n int, w http.ResponseWriter)

	mu       sync.Mutex
	requests []Request
}

// Requests returns what came in so far.
func (r *Receiver) Requests() []Request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Request(nil), r.requests...)
}

// ServeHTTP takes one request.
func (r *Receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	samples, err := read(req)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	r.requests = append(r.requests, Request{Header: req.Header, Samples: samples})
	n := len(r.requests)
	r.mu.Unlock()
	if r.Answer != nil {
		r.Answer(n, w)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func read(req *http.Request) ([]series.Sample, error) {
	for name, want := range map[string]string{
		"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy",
		"X-Prometheus-Remote-Write-Version": "0.1.0",
	} {
		if got := req.Header.Get(name); got != want {
			return nil, fmt.Errorf("header %s is %q, expected %q", name, got, want)
		}
	}
	if req.Method != http.MethodPost || req.UserAgent() == "" {
		return nil, errors.New("expected POST with a user agent")
	}
	packed, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	raw, err := snappy.Decode(nil, packed)
	if err != nil {
		return nil, err
	}
	return Decode(raw)
}

// Decode reads a WriteRequest and checks what the specification asks of labels.
func Decode(raw []byte) ([]series.Sample, error) {
	var description descriptorpb.FileDescriptorProto
	if err := prototext.Unmarshal([]byte(definition), &description); err != nil {
		return nil, err
	}
	file, err := protodesc.NewFile(&description, nil)
	if err != nil {
		return nil, err
	}
	request := dynamicpb.NewMessage(file.Messages().ByName("WriteRequest"))
	if err := proto.Unmarshal(raw, request); err != nil {
		return nil, err
	}
	var all []series.Sample
	for _, one := range list(request, "timeseries") {
		if len(one.GetUnknown()) > 0 {
			return nil, errors.New("unknown fields")
		}
		labels, err := readLabels(one)
		if err != nil {
			return nil, err
		}
		for _, s := range list(one, "samples") {
			all = append(all, series.Sample{
				Labels: labels, Value: field(s, "value").Float(),
				Time: field(s, "timestamp").Int(),
			})
		}
	}
	return all, nil
}

func readLabels(one protoreflect.Message) ([]series.Label, error) {
	var labels []series.Label
	named := false
	for _, l := range list(one, "labels") {
		label := series.Label{Name: field(l, "name").String(), Value: field(l, "value").String()}
		if label.Name == "" || label.Value == "" {
			return nil, fmt.Errorf("empty label %+v", label)
		}
		if n := len(labels); n > 0 && labels[n-1].Name >= label.Name {
			return nil, fmt.Errorf("label %s after %s", label.Name, labels[n-1].Name)
		}
		named = named || label.Name == series.NameLabel
		labels = append(labels, label)
	}
	if !named {
		return nil, fmt.Errorf("no %s in %v", series.NameLabel, labels)
	}
	return labels, nil
}

func field(m protoreflect.Message, name protoreflect.Name) protoreflect.Value {
	return m.Get(m.Descriptor().Fields().ByName(name))
}

func list(m protoreflect.Message, name protoreflect.Name) []protoreflect.Message {
	values := field(m, name).List()
	messages := make([]protoreflect.Message, values.Len())
	for i := range messages {
		messages[i] = values.Get(i).Message()
	}
	return messages
}
