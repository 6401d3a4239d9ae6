package sandbox

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
)

// translated gives an answer of olareg back under the names of the real host.
type translated struct {
	http.ResponseWriter
	prefix string // the folder of the host
	wrote  bool
}

// WriteHeader implements http.ResponseWriter.
func (t *translated) WriteHeader(status int) {
	if !t.wrote {
		t.wrote = true
		h := t.Header()
		if v := h.Get("Location"); v != "" {
			h.Set("Location", strings.Replace(v, "/v2/"+t.prefix+"/", "/v2/", 1))
		}
		if v := h.Get("Link"); v != "" {
			h.Set("Link", strings.Replace(v, "</v2/"+t.prefix+"/", "</v2/", 1))
		}
	}
	t.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (t *translated) Write(b []byte) (int, error) {
	if !t.wrote {
		t.WriteHeader(http.StatusOK)
	}
	return t.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (t *translated) Unwrap() http.ResponseWriter { return t.ResponseWriter }

// memo keeps a small answer in memory.
type memo struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (m *memo) Header() http.Header { return m.header }

// WriteHeader implements http.ResponseWriter.
func (m *memo) WriteHeader(status int) {
	if m.status == 0 {
		m.status = status
	}
}

// Write implements http.ResponseWriter.
func (m *memo) Write(b []byte) (int, error) {
	m.WriteHeader(http.StatusOK)
	return m.body.Write(b)
}

// rename puts the repository's real name into a list of tags.
func (m *memo) rename(c call) *memo {
	var list struct {
		Name string   `json:"name"`
		Tags []string `json:"tags"`
	}
	if m.status != http.StatusOK || json.Unmarshal(m.body.Bytes(), &list) != nil {
		return m
	}
	list.Name = c.repository
	m.body.Reset()
	_ = json.NewEncoder(&m.body).Encode(list)
	m.header.Set("Content-Length", strconv.Itoa(m.body.Len()))
	return m
}

func (m *memo) replay(w http.ResponseWriter) {
	for k, v := range m.header {
		w.Header()[k] = v
	}
	w.WriteHeader(m.status)
	_, _ = w.Write(m.body.Bytes())
}
