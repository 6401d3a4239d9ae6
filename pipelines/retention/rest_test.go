package retention_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/berth-sh/berth/pipelines/fault"
	"github.com/berth-sh/berth/pipelines/registry"
	"github.com/berth-sh/berth/pipelines/retention"
)

// quay answers as Quay's REST API does, page by page and for one token.
type quay struct {
	mu   sync.Mutex
	tags []string // name:days:digest
	log  []string
}

func (q *quay) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.log = append(q.log, r.Method)
	rest, ours := strings.CutPrefix(r.URL.Path, "/api/v1/repository/acme/web/tag/")
	switch {
	case r.Header.Get("Authorization") != "Bearer oauth":
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprint(w, `{"message": "Requires authentication"}`)
	case !ours:
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"detail": "Not Found", "error_message": "Not Found", "title": "not_found"}`)
	case r.Method == http.MethodDelete:
		q.tags = slices.DeleteFunc(q.tags, func(t string) bool { return strings.HasPrefix(t, rest+":") })
		w.WriteHeader(http.StatusNoContent)
	default:
		page, _ := strconv.Atoi(r.URL.Query().Get("page"))
		limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
		from, to := min((page-1)*limit, len(q.tags)), min(page*limit, len(q.tags))
		list := []map[string]any{}
		for _, text := range q.tags[from:to] {
			part := strings.Split(text, ":")
			days, _ := strconv.Atoi(part[1])
			one := map[string]any{
				"name": part[0], "manifest_digest": "sha256:" + part[2],
				"start_ts": now().AddDate(0, 0, -days).Unix(), "reversion": false,
			}
			if len(part) > 3 {
				one["end_ts"], one["expiration"] = now().AddDate(0, 0, 1).Unix(), "Sun, 22 Nov 2026 12:00:00 -0000"
			}
			list = append(list, one)
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"tags": list, "page": page, "has_additional": to < len(q.tags)})
	}
}

func serve(t *testing.T, h http.Handler, token string) retention.API {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return retention.API{
		Client: registry.NewClient(registry.Options{}).HTTP(), Base: server.URL, Token: token, Login: "get a token",
	}
}

// nothing is a source that must not be asked.
type nothing struct{ retention.Source }

func TestQuay(t *testing.T) {
	t.Parallel()
	server := &quay{tags: []string{
		"dev-1:40:a", "dev-2:40:b", "dev-3:3:c", "dev-latest:900:c", "v1.0.0:40:b", "dev-latest-x:1:d:soon",
	}}
	for i := range 250 {
		server.tags = append(server.tags, fmt.Sprintf("dev-n%d:1:e", i))
	}
	api := retention.Quay{API: serve(t, server, "oauth"), Repository: "acme/web"}
	p := policy(t, "dev")
	held, err := retention.Observe(t.Context(), "quay.io/acme/web", registry.Quay, nothing{}, api, p, retention.InUse{})
	if err != nil {
		t.Fatal(err)
	}
	if len(server.log) != 3 {
		t.Errorf("%d requests for three pages", len(server.log))
	}
	plan := retention.Decide(held, p, retention.InUse{}, now())
	var expired []string
	for _, v := range plan.Tags {
		if v.Action == retention.Expire {
			expired = append(expired, v.Tag)
		}
		if v.AgeFrom != "pushed" {
			t.Errorf("%+v", v)
		}
		if (v.Warning != "") != (v.Tag == "dev-latest-x") {
			t.Errorf("%+v", v)
		}
	}
	if diff := cmp.Diff([]string{"dev-1", "dev-2"}, expired); diff != "" {
		t.Error(diff)
	}
	for _, d := range plan.Delete {
		if d.Manifest {
			t.Errorf("Quay looks after manifests itself: %+v", d)
		}
		for range 2 { // what is gone already is done
			if err := api.Remove(t.Context(), d); err != nil {
				t.Error(err)
			}
		}
	}
	held, err = api.List(t.Context())
	if err != nil || len(held.Tags) != 254 {
		t.Errorf("%d tags, %v", len(held.Tags), err)
	}
}

// Ten thousand tags come in a hundred pages, and nothing else is asked for.
func TestTenThousandTags(t *testing.T) {
	t.Parallel()
	server := &quay{}
	for i := range 10_000 {
		server.tags = append(server.tags, fmt.Sprintf("dev-%d:%d:%d", i, i%60, i))
	}
	api := retention.Quay{API: serve(t, server, "oauth"), Repository: "acme/web"}
	p := policy(t, "dev")
	held, err := retention.Observe(t.Context(), "quay.io/acme/web", registry.Quay, nothing{}, api, p, retention.InUse{})
	if err != nil || len(server.log) != 100 {
		t.Fatalf("%d requests, %v", len(server.log), err)
	}
	if plan := retention.Decide(held, p, retention.InUse{}, now()); len(plan.Delete) != 4990 { // those of 30 days and more
		t.Errorf("%d deletions", len(plan.Delete))
	}
}

func TestQuayRefuses(t *testing.T) {
	t.Parallel()
	api := retention.Quay{API: serve(t, &quay{}, "robot"), Repository: "acme/web"}
	_, err := api.List(t.Context())
	if fault.CodeOf(err) != fault.Credentials || fault.NextOf(err) != "get a token" ||
		!strings.Contains(err.Error(), "401 Unauthorized: Requires authentication") || strings.Contains(err.Error(), "robot") {
		t.Errorf("%v, next %q", err, fault.NextOf(err))
	}
	none := retention.Quay{API: serve(t, &quay{}, "oauth"), Repository: "acme/none"}
	held, err := retention.Observe(t.Context(), "quay.io/acme/none", registry.Quay, nothing{}, none, policy(t, "dev"), retention.InUse{})
	if err != nil || len(held.Tags) != 0 {
		t.Errorf("%+v, %v", held, err)
	}
}

// github answers as GitHub's packages API does: every manifest is a version.
type github struct {
	mu       sync.Mutex
	kind     string // of the owner
	versions []version
	untag    func(tag string) // takes a tag out of the registry
}

type version struct {
	id     int64
	digest string
	tags   []string
	days   int
}

func (g *github) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	base := map[string]string{"Organization": "/orgs/", "User": "/users/"}[g.kind] + "acme/packages/container/shop%2Fweb/versions"
	rest, ours := strings.CutPrefix(r.URL.EscapedPath(), base)
	switch {
	case r.URL.Path == "/users/acme":
		fmt.Fprintf(w, `{"login": "acme", "type": %q}`, g.kind)
	case !ours || r.Header.Get("Authorization") != "Bearer classic":
		w.WriteHeader(http.StatusNotFound) // GitHub hides what a token may not see
		fmt.Fprint(w, `{"message": "Package not found.", "status": "404"}`)
	case r.Method == http.MethodDelete:
		id, _ := strconv.ParseInt(strings.TrimPrefix(rest, "/"), 10, 64)
		i := slices.IndexFunc(g.versions, func(v version) bool { return v.id == id })
		if i < 0 {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		for _, tag := range g.versions[i].tags {
			g.untag(tag)
		}
		g.versions = slices.Delete(g.versions, i, i+1)
		w.WriteHeader(http.StatusNoContent)
	default:
		page, _ := strconv.Atoi(r.URL.Query().Get("page"))
		limit, _ := strconv.Atoi(r.URL.Query().Get("per_page"))
		list := []map[string]any{}
		for _, v := range g.versions[min((page-1)*limit, len(g.versions)):min(page*limit, len(g.versions))] {
			at := now().AddDate(0, 0, -v.days).Format(time.RFC3339)
			list = append(list, map[string]any{
				"id": v.id, "name": v.digest, "created_at": at, "updated_at": at,
				"metadata": map[string]any{"package_type": "container", "container": map[string]any{"tags": v.tags}},
			})
		}
		_ = json.NewEncoder(w).Encode(list)
	}
}

// The platforms of an index look untagged at GitHub: they go with their index, and only with it.
func TestGitHub(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"Organization", "User"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			r := boxed(t, "quay.io/acme/shop/web", nil)
			server := &github{kind: kind, untag: func(tag string) {
				if err := r.Untag(t.Context(), tag); err != nil {
					t.Error(err)
				}
			}}
			add := func(name string, days int, tags ...string) {
				desc := push(t, r, name, days, tags...)
				for digest, m := range read(t, r, desc.Digest.String()) {
					server.versions = append(server.versions, version{int64(len(server.versions) + 1), digest, m, days})
				}
				i := slices.IndexFunc(server.versions, func(v version) bool { return v.digest == desc.Digest.String() })
				server.versions[i].tags = tags
			}
			add("old", 40, "dev-old")
			add("released", 40, "dev-released", "v1.0.0")
			add("young", 1, "dev-young")
			api := &retention.GitHub{API: serve(t, server, "classic"), Repository: "acme/shop/web"}
			p := policy(t, "dev")
			for i, want := range []retention.Outcome{
				{Deleted: []string{"dev-old"}, Manifests: 3}, {Deleted: []string{}},
			} {
				held, err := retention.Observe(t.Context(), r.String(), registry.GHCR, r, api, p, retention.InUse{})
				if err != nil {
					t.Fatal(err)
				}
				out, err := retention.Apply(t.Context(), retention.Decide(held, p, retention.InUse{}, now()), r, api)
				want.Repository = r.String()
				want.Left = []retention.Leftover{{
					Tag: "dev-released", Reason: "its digest is still needed, and the registry cannot delete a tag alone",
				}}
				if diff := cmp.Diff(want, out); diff != "" || err != nil {
					t.Errorf("run %d: %v\n%s", i, err, diff)
				}
			}
			if len(server.versions) != 6 {
				t.Errorf("%d versions are left", len(server.versions))
			}
		})
	}
}

// read lists the manifests of an index, itself included, without tags.
func read(t *testing.T, r *registry.Repository, digest string) map[string][]string {
	t.Helper()
	body, _, err := r.Manifest(t.Context(), digest)
	if err != nil {
		t.Fatal(err)
	}
	var index struct {
		Manifests []struct{ Digest string }
	}
	if err := json.Unmarshal(body, &index); err != nil {
		t.Fatal(err)
	}
	out := map[string][]string{digest: {}}
	for _, m := range index.Manifests {
		out[m.Digest] = []string{}
	}
	return out
}

// raw is a list of tags as Artifact Registry writes it.
type raw string

func (r raw) RawTags(ctx context.Context) ([]byte, error) { return []byte(r), ctx.Err() }

func TestGoogle(t *testing.T) {
	t.Parallel()
	pushed := now().AddDate(0, 0, -40)
	list := raw(fmt.Sprintf(`{"child": [], "name": "p/r/web", "tags": ["dev-1", "v1.0.0"], "manifest": {
		"sha256:a": {"imageSizeBytes": "0", "mediaType": "x", "tag": ["dev-1"], "timeCreatedMs": "0", "timeUploadedMs": "%d"},
		"sha256:b": {"tag": ["v1.0.0"], "timeUploadedMs": "0"}, "sha256:c": {"tag": []}}}`, pushed.UnixMilli()))
	held, err := retention.Google{Repository: list}.List(t.Context())
	if err != nil || !held.Complete || len(held.Manifests) != 3 || len(held.Tags) != 2 {
		t.Fatalf("%+v, %v", held, err)
	}
	slices.SortFunc(held.Tags, func(a, b retention.Tag) int { return strings.Compare(a.Name, b.Name) })
	if !held.Tags[0].Pushed.Equal(pushed) || !held.Tags[1].Pushed.IsZero() {
		t.Errorf("%+v", held.Tags)
	}
	// A registry that does not say more is read over the registry API.
	r := boxed(t, "gcr.io/acme/web", nil)
	push(t, r, "old", 40, "dev-old")
	p := policy(t, "dev")
	plain, err := retention.Observe(t.Context(), r.String(), registry.GCR, r, retention.Google{Repository: r}, p, retention.InUse{})
	if err != nil || len(plain.Tags) != 1 || plain.Complete {
		t.Errorf("%+v, %v", plain, err)
	}
	out, err := retention.Apply(t.Context(), retention.Decide(plain, p, retention.InUse{}, now()), r, retention.TagsFirst{Repository: r})
	if err != nil || len(out.Deleted) != 1 || len(tags(t, r)) != 0 {
		t.Errorf("%+v, %v", out, err)
	}
}
