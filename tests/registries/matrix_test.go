package registries

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/berth-sh/berth/internal/faultproxy"
	"github.com/berth-sh/berth/internal/faultproxy/testimage"
	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/registry"
	"github.com/berth-sh/berth/pipelines/sandbox"
)

// situation is a line of the table: what is tried, and what it showed at a kind, in a few words. It fails the test
// where a promise is broken, and says how the kinds differ where they may.
type situation struct {
	name string
	try  func(t *testing.T, kind, host string) string
}

func situations() []situation {
	return []situation{
		{"login", login},
		{"push", push},
		{"push again", pushAgain},
		{"other digest on an immutable tag", immutable},
		{"missing repository", missing},
		{"mount", mount},
		{"referrers", referrers},
		{"list 2,000 tags", list},
		{"delete", remove},
		{"wrong password", wrongPassword},
		{"expired login", expired},
		{"429", throttled},
	}
}

// What berth promises holds at every kind. The table in the documentation is what this test saw.
func TestMatrix(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	cells := map[string]map[string]string{}
	t.Run("kinds", func(t *testing.T) {
		for _, s := range situations() {
			cells[s.name] = map[string]string{}
			for _, k := range kinds() {
				t.Run(s.name+"/"+k[0], func(t *testing.T) {
					t.Parallel()
					cell := s.try(t, k[0], k[1])
					mu.Lock()
					defer mu.Unlock()
					cells[s.name][k[0]] = cell
				})
			}
		}
	})
	rows := [][]string{{"situation"}}
	for _, k := range kinds() {
		rows[0] = append(rows[0], k[0])
	}
	for _, s := range situations() {
		row := []string{s.name}
		for _, k := range kinds() {
			cell, ok := cells[s.name][k[0]]
			if !ok {
				t.Skipf("no table: %s was not tried at %s", s.name, k[0])
			}
			row = append(row, cell)
		}
		rows = append(rows, row)
	}
	if t.Failed() {
		return
	}
	document(t, "matrix", rows)
}

func login(t *testing.T, kind, host string) string {
	h := open(t, kind, host, sandbox.Options{})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+h.host+"/v2/", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := h.base.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	scheme, _, _ := strings.Cut(resp.Header.Get("WWW-Authenticate"), " ")
	if err := h.client(h.pass).Ping(t.Context(), h.host); err != nil {
		t.Error(err)
	}
	return map[string]string{"Basic": "password", "Bearer": "token"}[scheme]
}

func push(t *testing.T, kind, host string) string {
	h := open(t, kind, host, sandbox.Options{})
	receipt, err := publishShip(t.Context(), h.client(h.pass), h.load(t, "one"), nothing)
	if err != nil {
		t.Fatal(err)
	}
	up := receipt.Uploaded()
	return fmt.Sprintf("%d blobs, %d manifests", up.Blobs, up.Manifests)
}

func pushAgain(t *testing.T, kind, host string) string {
	h := open(t, kind, host, sandbox.Options{Immutable: map[string][]string{host: {"v*"}}})
	s := h.load(t, "one")
	if _, err := publishShip(t.Context(), h.client(h.pass), s, nothing); err != nil {
		t.Fatal(err)
	}
	h.proxy.ResetCounts()
	if _, err := publishShip(t.Context(), h.client(h.pass), s, nothing); err != nil {
		t.Fatal(err)
	}
	if n := h.proxy.Count(http.MethodPut, "") + h.proxy.Count(http.MethodPost, "uploads"); n != 0 {
		t.Errorf("%d requests that send: %v", n, h.proxy.Log())
	}
	// A registry that refuses to put an immutable tag again has what is wanted when it names the same digest.
	r := h.repository(t, h.client(h.pass), "web")
	body, desc, err := r.Manifest(t.Context(), "v1.0.0")
	if err == nil {
		err = r.Tag(t.Context(), body, desc, "v1.0.0")
	}
	if err != nil {
		t.Error(err)
	}
	return "nothing sent"
}

// immutable tries the guard of publishing, and past it that of the registry.
func immutable(t *testing.T, kind, host string) string {
	h := open(t, kind, host, sandbox.Options{Immutable: map[string][]string{host: {"v*"}}})
	one, two := h.load(t, "one"), h.load(t, "two")
	if _, err := publishShip(t.Context(), h.client(h.pass), one, nothing); err != nil {
		t.Fatal(err)
	}
	was, is := one.images[0].Descriptor.Digest.String(), two.images[0].Descriptor.Digest.String()
	refused := func(err error) {
		if text := fmt.Sprint(err); fault.CodeOf(err) != fault.Refused || !strings.Contains(text, was) || !strings.Contains(text, is) {
			t.Errorf("no refusal that names both digests: %v", err)
		}
	}
	_, err := publishShip(t.Context(), h.client(h.pass), two, nothing)
	refused(err)
	r := h.repository(t, h.client(h.pass), "web")
	if _, err := r.Push(t.Context(), two.images[0], two.images[0].Descriptor, registry.PushOptions{}); err != nil {
		t.Fatal(err)
	}
	body, desc, err := r.Manifest(t.Context(), is)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Tag(t.Context(), body, desc, "v1.0.0"); err != nil {
		refused(err)
		return "exit 3, by berth and the registry"
	}
	return "exit 3, by berth"
}

func missing(t *testing.T, kind, host string) string {
	h := open(t, kind, host, sandbox.Options{RequireRepositories: true})
	s := h.load(t, "one")
	_, err := publishShip(t.Context(), h.client(h.pass), s, nothing)
	if err == nil {
		return "made by the first push"
	}
	if fault.CodeOf(err) != fault.Failed || !errors.Is(err, registry.ErrNotFound) || !strings.HasPrefix(fault.NextOf(err), "create it: ") {
		t.Errorf("%v\n%s", err, fault.NextOf(err))
	}
	if err := h.box.CreateRepository(t.Context(), h.host+"/"+h.path+"/web"); err != nil {
		t.Fatal(err)
	}
	if _, err := publishShip(t.Context(), h.client(h.pass), s, nothing); err != nil {
		t.Errorf("after its creation: %v", err)
	}
	return "exit 1, how to create it"
}

func mount(t *testing.T, kind, host string) string {
	h := open(t, kind, host, sandbox.Options{})
	c, mounts := h.client(h.pass), registry.NewMounts()
	x, events := testimage.New(t, "a", 1000), map[registry.Event]int{}
	var mu sync.Mutex
	for i, name := range []string{"one", "two"} {
		o := registry.PushOptions{Mounts: mounts, Progress: func(desc ocispec.Descriptor, e registry.Event) {
			mu.Lock()
			defer mu.Unlock()
			if i == 1 && !strings.Contains(desc.MediaType, ".manifest.") && !strings.Contains(desc.MediaType, ".index.") {
				events[e]++
			}
		}}
		if _, err := h.repository(t, c, name).Push(t.Context(), x, x.Root, o); err != nil {
			t.Fatal(err)
		}
	}
	switch {
	case events[registry.Mounted] == testimage.Blobs:
		return "mounted"
	case events[registry.Sent] == testimage.Blobs:
		return "sent again"
	default:
		t.Errorf("events %v", events)
		return ""
	}
}

func referrers(t *testing.T, kind, host string) string {
	h := open(t, kind, host, sandbox.Options{})
	r, x := h.repository(t, h.client(h.pass), "web"), testimage.New(t, "a", 100)
	if _, err := r.Push(t.Context(), x, x.Root, registry.PushOptions{}); err != nil {
		t.Fatal(err)
	}
	record := attach(t, r, x.Root)
	found, err := r.Referrers(t.Context(), x.Root.Digest.String(), "application/vnd.acme.record")
	if err != nil || len(found) != 1 || found[0].Digest != record.Digest {
		t.Errorf("%v, %v", found, err)
	}
	api, err := r.HasReferrersAPI(t.Context())
	if err != nil {
		t.Error(err)
	}
	return map[bool]string{true: "API", false: "fallback tag"}[api]
}

const manyTags = 2000

func list(t *testing.T, kind, host string) string {
	dir := t.TempDir()
	h := open(t, kind, host, sandbox.Options{Dir: dir})
	r, x := h.repository(t, h.client(h.pass), "web"), testimage.New(t, "a", 100)
	if _, err := r.Push(t.Context(), x, x.Root, registry.PushOptions{}); err != nil {
		t.Fatal(err)
	}
	if h.box == nil {
		var g errgroup.Group
		g.SetLimit(8)
		for i := range manyTags {
			g.Go(func() error { return r.Tag(t.Context(), x.Index, x.Root, fmt.Sprintf("v0.0.%d", i)) })
		}
		if err := g.Wait(); err != nil {
			t.Fatal(err)
		}
	} else {
		// The embedded registry writes its index anew for each tag; all at once is what two thousand releases leave.
		if err := h.box.Close(); err != nil {
			t.Fatal(err)
		}
		addTags(t, filepath.Join(dir, "registries", h.host, h.path, "web", "index.json"), x.Root)
		again := open(t, kind, host, sandbox.Options{Dir: dir})
		h.base, h.box = again.base, again.box
	}
	h.proxy.ResetCounts()
	tags, err := h.repository(t, h.client(h.pass), "web").Tags(t.Context())
	seen := map[string]bool{}
	for _, tag := range tags {
		seen[tag] = true
	}
	if err != nil || len(tags) != manyTags || len(seen) != manyTags {
		t.Errorf("%d tags, %d different ones, %v", len(tags), len(seen), err)
	}
	// The first request of all may be refused for want of a login.
	pages := h.proxy.Count(http.MethodGet, "tags") - 1
	if pages == 1 {
		return "1 page"
	}
	return fmt.Sprintf("%d pages", pages)
}

// addTags puts tags into the index of an OCI layout.
func addTags(t *testing.T, file string, desc ocispec.Descriptor) {
	t.Helper()
	var index ocispec.Index
	if err := json.Unmarshal(read(t, file), &index); err != nil {
		t.Fatal(err)
	}
	for i := range manyTags {
		desc.Annotations = map[string]string{ocispec.AnnotationRefName: fmt.Sprintf("v0.0.%d", i)}
		index.Manifests = append(index.Manifests, desc)
	}
	raw, err := json.Marshal(index)
	if err == nil {
		err = os.WriteFile(file, raw, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, kind, host string) string {
	h := open(t, kind, host, sandbox.Options{})
	r, x := h.repository(t, h.client(h.pass), "web"), testimage.New(t, "a", 100)
	if _, err := r.Push(t.Context(), x, x.Root, registry.PushOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, tag := range []string{"v1", "v2"} {
		if err := r.Tag(t.Context(), x.Index, x.Root, tag); err != nil {
			t.Fatal(err)
		}
	}
	can := func(what string, err error) string {
		switch {
		case err == nil:
			return what
		case !errors.Is(err, registry.ErrUnsupported) || fault.NextOf(err) == "":
			t.Errorf("%s: %v", what, err)
		}
		return ""
	}
	parts := can("tag", r.Untag(t.Context(), "v1"))
	if _, err := r.Resolve(t.Context(), "v2"); err != nil {
		t.Errorf("after deleting another tag: %v", err)
	}
	if image := can("image", r.Delete(t.Context(), x.Root.Digest.String())); image != "" {
		parts = strings.TrimPrefix(parts+", "+image, ", ")
		if _, err := r.Resolve(t.Context(), x.Root.Digest.String()); !errors.Is(err, registry.ErrNotFound) {
			t.Errorf("after deleting it: %v", err)
		}
	}
	if parts == "" {
		return "not by this API"
	}
	return parts
}

func wrongPassword(t *testing.T, kind, host string) string {
	h := open(t, kind, host, sandbox.Options{})
	_, err := publishShip(t.Context(), h.client("not-"+h.pass), h.load(t, "one"), nothing)
	if fault.CodeOf(err) != fault.Credentials || !strings.Contains(fault.NextOf(err), `refused user "`+h.user+`" from test`) {
		t.Errorf("%v\n%s", err, fault.NextOf(err))
	}
	if h.proxy.Count(http.MethodPost, "uploads")+h.proxy.Count(http.MethodPut, "") != 0 {
		t.Errorf("something was sent: %v", h.proxy.Log())
	}
	return "exit 4, before anything is sent"
}

// expired ends the login in the middle of a publish.
func expired(t *testing.T, kind, host string) string {
	h := open(t, kind, host, sandbox.Options{})
	if h.box == nil || kind == "oci" {
		return "passwords last"
	}
	_, err := publishShip(t.Context(), h.client(h.pass), h.load(t, "one"), func() { h.box.Expire(h.host) })
	if err == nil {
		return "renewed in mid-run"
	}
	if fault.CodeOf(err) != fault.Credentials || !strings.Contains(fault.NextOf(err), "get-login-password") {
		t.Errorf("%v\n%s", err, fault.NextOf(err))
	}
	return "exit 4, how to log in"
}

func throttled(t *testing.T, kind, host string) string {
	h := open(t, kind, host, sandbox.Options{})
	slow := func(after string) {
		if h.box != nil {
			h.box.Throttle(h.host, 3, after)
			return
		}
		h.proxy.Add(faultproxy.Rule{Times: 3, Fault: faultproxy.Fault{Status: 429, Header: http.Header{"Retry-After": {after}}}})
	}
	if _, err := publishShip(t.Context(), h.client(h.pass), h.load(t, "one"), func() { slow("0") }); err != nil {
		t.Errorf("a short wait: %v", err)
	}
	h.proxy.Clear()
	slow("7200")
	_, err := publishShip(t.Context(), h.client(h.pass), h.load(t, "two"), nothing)
	if fault.CodeOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "asks to wait until") {
		t.Errorf("a long wait: %v", err)
	}
	return "waits as told; over a minute exit 5"
}
