package live

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/olareg/olareg"
	"github.com/olareg/olareg/config"

	"github.com/berth-sh/berth/internal/faultproxy"
)

const shopYAML = `apiVersion: berth/v1
project: shop
version: {file: VERSION, bump: [VERSION]}
platforms: [linux/amd64, linux/arm64]
components:
  web: {go: {dir: web}}
registries:
  hub: {kind: oci, prefix: hub.example.com/shop}
  other: {kind: oci, prefix: "other.invalid/${TEAM}"}
environments:
  dev: {registry: hub}
  spare: {registry: other}
tags:
  - {branch: "**", set: ["v{version}", latest, "{sha}"]}
`

// shop is a repository of somebody else: its project is in a subfolder.
type shop struct {
	t    *testing.T
	root string
}

func newShop(t *testing.T) shop {
	t.Helper()
	live(t)
	s := shop{t, t.TempDir()}
	s.write("svc/berth.yaml", shopYAML)
	s.write("svc/VERSION", "0.1.0\n")
	s.write("svc/web/go.mod", "module example.com/shop/web\n\ngo 1.26.0\n\ntoolchain go1.26.8\n")
	s.write("svc/web/main.go", "package main\n\nimport \"fmt\"\n\nfunc main() { fmt.Println(\"open\") }\n")
	s.write("svc/web/main_test.go", "package main\n\nimport \"testing\"\n\nfunc TestMain(t *testing.M) { t.Run() }\n")
	s.git("init", "--quiet", "--initial-branch", "main")
	s.commit("feat: open the shop")
	return s
}

// project is the folder of berth.yaml.
func (s shop) project() string { return filepath.Join(s.root, "svc") }

func (s shop) write(name, content string) {
	s.t.Helper()
	file := filepath.Join(s.root, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

func (s shop) read(name string) string {
	s.t.Helper()
	content, err := os.ReadFile(filepath.Join(s.root, name))
	if err != nil {
		s.t.Fatal(err)
	}
	return string(content)
}

func (s shop) git(args ...string) string {
	s.t.Helper()
	who := []string{"-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "commit.gpgsign=false"}
	return run(s.t, s.root, nil, "git", append(who, args...)...).ok(s.t)
}

func (s shop) commit(message string) {
	s.t.Helper()
	s.git("add", "--all")
	s.git("commit", "--quiet", "--message", message)
}

// hub is a registry on loopback that counts what it is asked.
type hub struct {
	*faultproxy.Proxy
	service string // as an argument of dagger call
	url     string
}

func newHub(t *testing.T, guard func(http.Handler) http.Handler) hub {
	t.Helper()
	yes := true
	store := olareg.New(config.Config{
		Storage: config.ConfigStorage{StoreType: config.StoreMem, GC: config.ConfigGC{Frequency: -1}},
		API:     config.ConfigAPI{DeleteEnabled: &yes},
	})
	proxy := faultproxy.New(store)
	handler := http.Handler(proxy)
	if guard != nil {
		handler = guard(proxy)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return hub{proxy, "--registry-service=tcp://" + strings.TrimPrefix(server.URL, "http://"), server.URL}
}

// receipt is what the tests read of a receipt, and of the list of built images.
type receipt struct {
	Images []built `json:"images"`
}

type built struct {
	Component string     `json:"component"`
	Digest    string     `json:"digest"`
	Platforms []string   `json:"platforms"`
	Tags      []builtTag `json:"tags"`
	Uploaded  struct {
		Blobs     int `json:"blobs"`
		Manifests int `json:"manifests"`
	} `json:"uploaded"`
}

type builtTag struct {
	Name   string `json:"name"`
	Action string `json:"action"`
}

func decode[T any](t *testing.T, text string) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v in:\n%s", err, text)
	}
	return v
}

func digests(images []built) map[string]string {
	out := map[string]string{}
	for _, x := range images {
		out[x.Component] = x.Digest
	}
	return out
}
