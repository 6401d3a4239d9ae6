package dockerfile

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"io"
	"net/http"
	"net/http/httptest"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// jobToken is a token as GitHub gives it to a job: what it holds is read, but by nobody verified.
func jobToken() string {
	part := base64.RawURLEncoding.EncodeToString
	return part([]byte(`{"alg":"none"}`)) + "." + part([]byte(`{"nbf":1700000000,"exp":4000000000,`+
		`"ac":"[{\"Scope\":\"refs/heads/main\",\"Permission\":3}]"}`)) + "." + part([]byte("signature"))
}

// actionsCache is a service that keeps caches as GitHub's does, with the part of Azure's storage that it hands out.
// Source: https://github.com/tonistiigi/go-actions-cache/blob/master/api.md
type actionsCache struct {
	url string

	mu     sync.Mutex
	keys   []string // with their scope, the newest last
	blobs  map[string][]byte
	blocks map[string][]byte
}

func startActionsCache(t *testing.T) *actionsCache {
	t.Helper()
	c := &actionsCache{blobs: map[string][]byte{}, blocks: map[string][]byte{}}
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	c.url = server.URL
	return c
}

func (c *actionsCache) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if strings.HasPrefix(r.URL.Path, "/blob/") {
		c.storage(w, r)
		return
	}
	var asked struct {
		Key         string   `json:"key"`
		RestoreKeys []string `json:"restore_keys"`
	}
	if r.Header.Get("Authorization") != "Bearer "+jobToken() || json.NewDecoder(r.Body).Decode(&asked) != nil {
		http.Error(w, "who are you", http.StatusUnauthorized)
		return
	}
	at := func(key string) string { return c.url + "/blob/" + hex.EncodeToString([]byte(key)) }
	answer := map[string]any{"ok": true}
	switch path.Base(r.URL.Path) {
	case "CreateCacheEntry":
		answer["ok"], answer["signed_upload_url"] = !slices.Contains(c.keys, asked.Key), at(asked.Key)
	case "FinalizeCacheEntryUpload":
		answer["entry_id"] = "1"
		c.keys = append(c.keys, asked.Key)
	case "GetCacheEntryDownloadURL":
		found := c.find(append([]string{asked.Key}, asked.RestoreKeys...))
		answer["ok"], answer["matched_key"], answer["signed_download_url"] = found != "", found, at(found)
	default:
		http.NotFound(w, r)
		return
	}
	_ = json.NewEncoder(w).Encode(answer)
}

// find is the newest entry whose key begins as one that is asked for.
func (c *actionsCache) find(prefixes []string) string {
	for _, prefix := range prefixes {
		for _, key := range slices.Backward(c.keys) {
			if strings.HasPrefix(key, prefix) {
				return key
			}
		}
	}
	return ""
}

// storage puts and gets a blob.
// Source: https://learn.microsoft.com/en-us/rest/api/storageservices/put-block-list
func (c *actionsCache) storage(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("x-ms-request-id", "1")
	name := path.Base(r.URL.Path)
	if r.Method == http.MethodGet {
		r.Header.Set("Range", r.Header.Get("x-ms-range"))
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(c.blobs[name]))
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	switch q := r.URL.Query(); q.Get("comp") {
	case "block":
		c.blocks[name+q.Get("blockid")] = body
	case "blocklist":
		var list struct{ Latest []string }
		if err := xml.Unmarshal(body, &list); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		c.blobs[name] = nil
		for _, id := range list.Latest {
			c.blobs[name] = append(c.blobs[name], c.blocks[name+id]...)
		}
	default:
		c.blobs[name] = body
	}
	w.WriteHeader(http.StatusCreated)
}

// ofItself is a job that has the token of the cache: nothing in berth.yaml asks for one.
func (l *lab) ofItself(t *testing.T) {
	dir := l.project(t, map[string]string{
		"berth.yaml": berthYAML("{dockerfile: {context: src}}"), "VERSION": "1.0.0\n", "src/Dockerfile": unique,
	})
	machine := l.cold(t)
	for _, writer := range []string{"docker", "buildkit"} {
		service := startActionsCache(t)
		job := func() []string {
			return machine("CI=true", "ACTIONS_RESULTS_URL="+service.url+"/", "ACTIONS_RUNTIME_TOKEN="+jobToken(),
				"ACTIONS_CACHE_SERVICE_V2=True")
		}
		wrote, _ := l.cached(t, dir, job(), writer)
		for _, reader := range []string{"docker", "buildkit"} {
			if found, hits := l.cached(t, dir, job(), reader); found != wrote || hits < 2 {
				t.Errorf("written by %s, %s found %d steps, %q instead of %q", writer, reader, hits, found, wrote)
			}
		}
	}
}
