package cloudevent

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"mime"
	"net/http"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"
)

const structuredType = "application/cloudevents+json"

// Read reads the event of a request and says which mode it came in. The caller bounds the body
// ([http.MaxBytesReader]); errors of reading it are returned wrapped.
func Read(header http.Header, body io.Reader) (Event, Mode, error) {
	types := header.Values("Content-Type")
	if len(types) > 1 {
		return Event{}, Binary, invalid("%d Content-Type headers", len(types))
	}
	contentType := header.Get("Content-Type")
	media, params, err := mime.ParseMediaType(contentType)
	if contentType != "" && err != nil {
		return Event{}, Binary, invalid("Content-Type %q: %v", contentType, err)
	}
	if strings.HasPrefix(media, "application/cloudevents") {
		if media != structuredType {
			return Event{}, Structured, fmt.Errorf("%w: %s; send %s or ce- headers", ErrMode, media, structuredType)
		}
		if charset, ok := params["charset"]; ok && !strings.EqualFold(charset, "utf-8") {
			return Event{}, Structured, fmt.Errorf("%w: charset %q; send UTF-8", ErrMode, charset)
		}
		e, err := readStructured(body)
		return e, Structured, err
	}
	if len(header.Values("ce-specversion")) == 0 {
		return Event{}, Binary, fmt.Errorf("%w: neither %s nor a ce-specversion header", ErrMode, structuredType)
	}
	e, err := readBinary(header, body)
	return e, Binary, err
}

func readBinary(header http.Header, body io.Reader) (Event, error) {
	attributes := map[string]string{}
	for key, values := range header {
		name, ok := strings.CutPrefix(strings.ToLower(key), "ce-")
		if !ok {
			continue
		}
		if len(values) != 1 {
			return Event{}, invalid("header %s is given %d times", key, len(values))
		}
		if name == "datacontenttype" {
			return Event{}, invalid("ce-datacontenttype is not allowed, Content-Type says it")
		}
		value, err := url.PathUnescape(values[0])
		if err != nil {
			return Event{}, invalid("header %s: %v", key, err)
		}
		attributes[name] = value
	}
	if contentType := header.Get("Content-Type"); contentType != "" {
		attributes["datacontenttype"] = contentType
	}
	e, err := fromAttributes(attributes)
	if err != nil {
		return Event{}, err
	}
	if e.Data, err = io.ReadAll(body); err != nil {
		return Event{}, fmt.Errorf("read the body: %w", err)
	}
	return e, nil
}

func readStructured(body io.Reader) (Event, error) {
	raw, err := io.ReadAll(body)
	if err != nil {
		return Event{}, fmt.Errorf("read the body: %w", err)
	}
	members, err := readObject(raw)
	if err != nil {
		return Event{}, err
	}
	data, hasData := members["data"]
	encoded, hasEncoded := members["data_base64"]
	delete(members, "data")
	delete(members, "data_base64")
	if hasData && hasEncoded {
		return Event{}, invalid("both data and data_base64 are given")
	}
	attributes := map[string]string{}
	for name, value := range members {
		if attributes[name], err = canonical(value); err != nil {
			return Event{}, invalid("attribute %q: %v", name, err)
		}
	}
	e, err := fromAttributes(attributes)
	if err != nil {
		return Event{}, err
	}
	switch {
	case hasEncoded:
		var text string
		if err := json.Unmarshal(encoded, &text); err != nil {
			return Event{}, invalid("data_base64 is not a string")
		}
		if e.Data, err = base64.StdEncoding.DecodeString(text); err != nil {
			return Event{}, invalid("data_base64: %v", err)
		}
	case hasData && !e.IsJSON() && data[0] == '"':
		var text string
		if err := json.Unmarshal(data, &text); err != nil {
			return Event{}, invalid("data: %v", err)
		}
		e.Data = []byte(text)
	case hasData:
		e.Data = data
		if e.DataContentType == "" {
			e.DataContentType = "application/json" // implied (JSON format, section 3.1)
		}
	}
	return e, nil
}

// readObject reads a JSON object member by member, because encoding/json hides that a name was given twice. Members
// that are null count as absent (JSON format, section 2.2).
func readObject(raw []byte) (map[string]json.RawMessage, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	if open, err := dec.Token(); err != nil {
		return nil, invalid("the body is not JSON: %v", err)
	} else if open != json.Delim('{') {
		return nil, invalid("the body is not a JSON object")
	}
	members, seen := map[string]json.RawMessage{}, map[string]bool{}
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return nil, invalid("the body is not JSON: %v", err)
		}
		name, _ := token.(string) // the decoder lets only strings stand there
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, invalid("member %q: %v", name, err)
		}
		if seen[name] {
			return nil, invalid("member %q is given twice", name)
		}
		seen[name] = true
		if string(value) != "null" {
			members[name] = value
		}
	}
	if _, err := dec.Token(); err != nil {
		return nil, invalid("the body is not JSON: %v", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, invalid("something follows the JSON object")
	}
	return members, nil
}

// canonical returns the string form of an attribute: strings as they are, true or false, integers of 32 bits.
func canonical(raw json.RawMessage) (string, error) {
	var value any
	if err := json.Unmarshal(raw, &value); err != nil {
		return "", err
	}
	switch v := value.(type) {
	case string:
		return v, nil
	case bool:
		return strconv.FormatBool(v), nil
	case float64:
		if v != math.Trunc(v) || v < math.MinInt32 || v > math.MaxInt32 {
			return "", errors.New("a number must be an integer of 32 bits")
		}
		return strconv.FormatInt(int64(v), 10), nil
	default:
		return "", errors.New("must be a string, a boolean or an integer")
	}
}

// Write answers a request with an event. In structured mode data that is JSON is embedded, other data is base64.
func Write(w http.ResponseWriter, e Event, mode Mode) error {
	if mode == Structured {
		return writeStructured(w, e)
	}
	attributes := e.attributes()
	delete(attributes, "datacontenttype")
	for name, value := range attributes {
		w.Header().Set(textproto.CanonicalMIMEHeaderKey("ce-"+name), escapeHeader(value))
	}
	w.Header()["Content-Type"] = nil // else net/http guesses one, which would become an attribute of the event
	if e.DataContentType != "" {
		w.Header().Set("Content-Type", e.DataContentType)
	}
	_, err := w.Write(e.Data)
	return err
}

func writeStructured(w http.ResponseWriter, e Event) error {
	body := map[string]any{}
	for name, value := range e.attributes() {
		body[name] = value
	}
	switch {
	case e.Data == nil:
	case e.IsJSON() && json.Valid(e.Data):
		body["data"] = json.RawMessage(e.Data)
	default:
		body["data_base64"] = e.Data
	}
	raw, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("encode the event: %w", err)
	}
	w.Header().Set("Content-Type", structuredType+"; charset=utf-8")
	_, err = w.Write(append(raw, '\n'))
	return err
}

// escapeHeader percent-encodes what the HTTP binding (3.1.3.2) asks for: space, ", % and all outside printable ASCII.
func escapeHeader(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c == '"' || c == '%' || c >= 0x7f {
			fmt.Fprintf(&b, "%%%02X", c)
			continue
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
