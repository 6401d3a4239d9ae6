package dockerfile

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/olareg/olareg"
	olaregconfig "github.com/olareg/olareg/config"
)

const (
	username = "brunovlucena"
	password = "a-token-of-the-test"
)

// guarded starts a registry that wants a login, and returns its host.
func guarded(t *testing.T) string {
	t.Helper()
	store := olareg.New(olaregconfig.Config{Storage: olaregconfig.ConfigStorage{
		StoreType: olaregconfig.StoreMem, GC: olaregconfig.ConfigGC{Frequency: -1},
	}})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if u, p, ok := r.BasicAuth(); !ok || u != username || p != password {
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			http.Error(w, `{"errors":[{"code":"UNAUTHORIZED"}]}`, http.StatusUnauthorized)
			return
		}
		store.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return strings.TrimPrefix(server.URL, "http://")
}

// suite runs the integration suite of DEVOPS-009 on a clone of the last commit. Nothing but hosts is replaced.
func (l *lab) suite(t *testing.T, docker *daemon) {
	clone := filepath.Join(t.TempDir(), "clone")
	l.do(t, l.root, nil, "git", "clone", "--quiet", "--no-hardlinks", ".", clone)
	l.do(t, clone, nil, "git", "checkout", "--quiet", "-B", "main")
	ghcr, ecr := guarded(t), guarded(t)
	file := filepath.Join(clone, "berth.yaml")
	text := strings.NewReplacer(
		"kind: ghcr, prefix: ghcr.io/", "prefix: "+ghcr+"/",
		"kind: ecr,  prefix: 339954290315.dkr.ecr.us-west-2.amazonaws.com/", "prefix: "+ecr+"/",
	).Replace(read(file))
	if strings.Contains(text, "amazonaws.com") || strings.Contains(text, "ghcr.io") {
		t.Fatal("berth.yaml has other lines than this test knows")
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	l.commit(t, clone)
	out := l.do(t, clone, l.environment("DOCKER_HOST="+docker.address, "DOCKER_CONFIG="+t.TempDir(), "BERTH_BIN="+l.berth,
		"GHCR="+ghcr, "ECR="+ecr, "REGISTRY_USERNAME="+username, "REGISTRY_PASSWORD="+password),
		"tests/integration/test-multi-registry.sh")
	for _, want := range []string{"✅ GHCR flow complete", "✅ ECR flow complete", "✅ Version tagging complete", "🎉"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}
