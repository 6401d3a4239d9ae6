package acceptance

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httputil"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/berth-sh/berth/internal/intercept"
	"github.com/berth-sh/berth/pipelines/registry"
	"github.com/berth-sh/berth/pipelines/sandbox"
)

// registries answers every registry under its real name, through berth's real network code: an HTTPS proxy stands
// before embedded registries, where every account has this password. AWS and Google answer too: AWS takes the access
// key "sandbox", Google any key of a service account. With "strict", repositories of ECR must be created first.
//
//	registries PASSWORD [strict]
func registries(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) == 0 {
		ts.Fatalf("usage: registries PASSWORD [strict]")
	}
	dir := ts.MkAbs(filepath.Join(ts.Getenv("WORK"), ".registries"))
	box, err := sandbox.New(sandbox.Options{
		Dir: dir, Password: args[0],
		MustCreate: func(host string) bool {
			return slices.Contains(args, "strict") && registry.KindOf(host) == registry.ECR
		},
		Kinds: func(host string) registry.Kind {
			if strings.HasPrefix(host, "harbor.") {
				return registry.Harbor
			}
			return registry.KindOf(host)
		},
	})
	ts.Check(err)
	ts.Defer(func() { _ = box.Close() })
	asked := &journal{}
	forward := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = "https", r.In.Host, r.In.Host
		},
		Transport: box.Transport(),
	}
	proxy, err := intercept.New(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.note(r)
		if r.Host == "oauth2.googleapis.com" {
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(map[string]any{"access_token": args[0], "expires_in": 3600, "token_type": "Bearer"})
			return
		}
		forward.ServeHTTP(w, r)
	}))
	ts.Check(err)
	ts.Defer(func() { _ = proxy.Close() })
	ca := filepath.Join(ts.Getenv("WORK"), ".ca.pem")
	ts.Check(os.WriteFile(ca, proxy.Authority(), 0o600))
	ts.Setenv("HTTPS_PROXY", proxy.URL())
	ts.Setenv("SSL_CERT_FILE", ca)
	// The machine that runs the tests may be one of a cloud's.
	ts.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	ts.Setenv("GCE_METADATA_HOST", "127.0.0.1:1")
	*ts.Value(journalKey{}).(**journal) = asked
}

// journal is what the registries were asked.
type journal struct {
	mu    sync.Mutex
	lines []string
}

type journalKey struct{}

func (j *journal) note(r *http.Request) {
	j.mu.Lock()
	defer j.mu.Unlock()
	line := r.Method + " " + r.Host + r.URL.Path
	if target := r.Header.Get("X-Amz-Target"); target != "" {
		_, operation, _ := strings.Cut(target, ".")
		line = fmt.Sprintf("%s %s", operation, r.Host)
	}
	j.lines = append(j.lines, line)
}

// requests prints what the registries were asked since the last time, one line a request.
//
//	requests
func requests(ts *testscript.TestScript, _ bool, _ []string) {
	j := *ts.Value(journalKey{}).(**journal)
	j.mu.Lock()
	defer j.mu.Unlock()
	_, _ = fmt.Fprintln(ts.Stdout(), strings.Join(j.lines, "\n"))
	j.lines = nil
}
